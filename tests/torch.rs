//! PyTorch through its real libraries, on the CPU. NIGHT_SWEEP_TEST_TORCH names an environment that
//! has it: `.ci/run` makes one.

mod support;

use night_sweep::device::Device;
use night_sweep::device::torch::{Search, Session, Torch, TorchChoice};
use night_sweep::ops::planner::Planner;
use night_sweep::workload::{
    Backend, Case, DType, Gemm, GemmLayout, GemmShape, Operation, Provider, ProviderChoice, Sdpa,
    SdpaShape,
};
use std::rc::Rc;

/// The environment whose PyTorch is tested.
fn environment() -> String {
    std::env::var("NIGHT_SWEEP_TEST_TORCH").expect("NIGHT_SWEEP_TEST_TORCH names an environment")
}

fn planner() -> Planner {
    let search = Search::run(&TorchChoice::Path(environment().into()), |_| None).unwrap();
    let torch = Torch::load(&search.found.unwrap(), None).unwrap();
    let session = Rc::new(Session::new(torch, &Device::Cpu).unwrap());
    Planner::new(Device::Cpu, Some(session), 42)
}

fn case(dtype: DType, operation: Operation) -> Case {
    Case::row("X", "series", "point", 1, dtype, operation)
}

fn sdpa(head_dim: usize, backend: Backend) -> Sdpa {
    let shape = SdpaShape { batch: 2, seq_len: 96, n_heads: 4, n_kv_heads: None, head_dim };
    Sdpa::dense(shape, backend)
}

#[test]
#[ignore = "needs PyTorch"]
fn attention_is_verified_at_any_head_dim_masked_grouped_and_padded() {
    let planner = planner();
    for dtype in DType::ALL {
        for (head_dim, backend, ran) in [
            (64, Backend::Auto, Backend::Flash),
            (107, Backend::Auto, Backend::Flash),
            (107, Backend::Flash, Backend::Flash),
            (64, Backend::Math, Backend::Math),
            (107, Backend::Math, Backend::Math),
        ] {
            for (causal, n_kv_heads) in [(false, None), (true, None), (false, Some(2))] {
                let mut sdpa = Sdpa { causal, ..sdpa(head_dim, backend) };
                sdpa.shape.n_kv_heads = n_kv_heads;
                let mut planned = planner.plan(&case(dtype, Operation::Sdpa(sdpa))).unwrap();
                let verification = planned.plan.verify().unwrap();
                assert_eq!(verification.rows, 64);
                planned.plan.launch().unwrap();
                let chosen = planned.backend.unwrap();
                assert_eq!((planned.provider, chosen.route.backend), (Provider::Pytorch, ran));
                assert!(!chosen.stand_in && chosen.reason.contains("PyTorch 2."), "{chosen:?}");
            }
        }
        let padded = Sdpa { data_head_dim: 107, ..sdpa(112, Backend::Auto) };
        for operation in [Operation::Sdpa(padded), Operation::SdpaOnTheFly(padded)] {
            planner.plan(&case(dtype, operation)).unwrap().plan.verify().unwrap();
        }
    }
}

#[test]
#[ignore = "needs PyTorch"]
fn a_backend_that_a_cpu_lacks_is_unsupported_and_ours_stay_ours() {
    let planner = planner();
    for backend in [Backend::MemEfficient, Backend::Cudnn] {
        let operation = Operation::Sdpa(sdpa(64, backend));
        let error = planner.plan(&case(DType::Fp16, operation)).err().unwrap();
        let says = format!("PyTorch has no {} on the CPU", backend.name());
        assert_eq!(error.message, says);
    }
    let ours = Sdpa { provider: ProviderChoice::NightSweep, ..sdpa(64, Backend::Auto) };
    let planned = planner.plan(&case(DType::Fp16, Operation::Sdpa(ours))).unwrap();
    assert_eq!(planned.provider, Provider::Cpu);
    assert!(planned.backend.unwrap().stand_in);
    let fastest = sdpa(64, Backend::NsFastest);
    let planned = planner.plan(&case(DType::Fp16, Operation::Sdpa(fastest))).unwrap();
    assert!(planned.backend.unwrap().route.backend.name() != "FLASH");
}

#[test]
#[ignore = "needs PyTorch"]
fn gemms_are_verified_whole_in_sequence_and_padded() {
    let planner = planner();
    let provider = ProviderChoice::Pytorch;
    let data = GemmShape { m: 33, n: 107, k: 107 };
    let dense = Gemm { provider, ..Gemm::dense(data) };
    let padded = |shape| Gemm { shape, ..dense };
    let wider = padded(GemmShape { n: 112, ..data });
    let deeper = padded(GemmShape { k: 112, ..data });
    for dtype in DType::ALL {
        for operation in [
            Operation::Gemm(dense),
            Operation::GemmSequence(vec![dense, wider]),
            Operation::GemmOnTheFly(wider),
            Operation::GemmOnTheFly(deeper),
        ] {
            let mut planned = planner.plan(&case(dtype, operation)).unwrap();
            assert_eq!(planned.provider, Provider::Pytorch);
            planned.plan.verify().unwrap();
            planned.plan.launch().unwrap();
        }
        let concurrent = case(dtype, Operation::GemmConcurrent(vec![dense]));
        assert!(!planner.offers(&concurrent) && planner.plan(&concurrent).is_err());
    }
}

#[test]
#[ignore = "needs PyTorch"]
fn gemms_are_verified_in_every_layout_and_batch() {
    let planner = planner();
    let provider = ProviderChoice::Pytorch;
    for (m, n, k) in [(1, 1, 1), (33, 107, 65), (64, 96, 128)] {
        for layout in GemmLayout::ALL {
            for batch in [1, 3] {
                let dense = Gemm::dense(GemmShape { m, n, k });
                let gemm = Gemm { layout, batch, provider, ..dense };
                for dtype in DType::ALL {
                    let mut planned = planner.plan(&case(dtype, Operation::Gemm(gemm))).unwrap();
                    assert_eq!(planned.provider, Provider::Pytorch);
                    let verification = planned.plan.verify().unwrap();
                    assert_eq!(verification.rows, (batch * m).min(64), "{gemm:?}");
                    planned.plan.launch().unwrap();
                }
            }
        }
    }
}
