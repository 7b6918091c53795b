//! PyTorch through its real libraries, on the CPU. NIGHT_SWEEP_TEST_TORCH names an environment that
//! has it: `.ci/run` makes one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use night_sweep::device::Device;
use night_sweep::device::torch::{
    Memory, MemoryMut, Product, Search, Session, Target, Torch, TorchChoice,
};
use night_sweep::ops::planner::Planner;
use night_sweep::ops::verify::SAMPLED_ROWS;
use night_sweep::workload::{
    Backend, Case, CaseError, DType, ErrorKind, Gemm, GemmLayout, GemmShape, Operation, Precision,
    Provider, ProviderChoice, Sdpa, SdpaShape,
};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The environment whose PyTorch is tested.
fn environment() -> String {
    std::env::var("NIGHT_SWEEP_TEST_TORCH").expect("NIGHT_SWEEP_TEST_TORCH names an environment")
}

/// Plans through the dispatcher, if this PyTorch has one, and without it.
struct Planners {
    planners: Vec<Planner>,
    /// The switches of attention backends are those of the process: one test at a time.
    _turn: MutexGuard<'static, ()>,
}

impl Planners {
    fn new() -> Planners {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let search = Search::run(&TorchChoice::Path(environment().into()), |_| None).unwrap();
        let torch = Torch::load(&search.found.unwrap(), None).unwrap();
        let session = || Session::new(torch, &Device::Cpu).unwrap();
        let is_old = torch.installation().version.starts_with("2.6.");
        assert_eq!(session().has_dispatcher(), !is_old);
        let direct = (!is_old).then(|| session().without_dispatcher());
        let sessions = [session()].into_iter().chain(direct);
        let planner = |session| Planner::new(Device::Cpu, Some(Rc::new(session)), 42);
        Planners { planners: sessions.map(planner).collect(), _turn }
    }
}

fn has_dispatcher(planner: &Planner) -> bool {
    planner.torch().unwrap().has_dispatcher()
}

/// Checks the reason for which `what` needs the dispatcher.
fn assert_needs_the_dispatcher(planner: &Planner, what: &str, error: &CaseError) {
    let version = &planner.torch().unwrap().torch().installation().version;
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert_eq!(
        error.message,
        format!(
            "PyTorch {version} cannot be asked for {what} without Python: \
             its dispatcher can be called since 2.7"
        )
    );
}

/// What PyTorch and we multiply on a CPU.
const ON_CPU: [Precision; 3] = [Precision::Fp16, Precision::Bf16, Precision::Fp32];

fn case(dtype: impl Into<Precision>, operation: Operation) -> Case {
    Case::row("X", "series", "point", 1, dtype, operation)
}

fn sdpa(head_dim: usize, backend: Backend) -> Sdpa {
    let shape =
        SdpaShape { batch: 2, seq_len: 96, kv_len: None, n_heads: 4, n_kv_heads: None, head_dim };
    Sdpa::dense(shape, backend)
}

#[test]
#[ignore = "needs PyTorch"]
fn attention_is_verified_at_any_head_dim_masked_grouped_and_padded() {
    let planners = Planners::new();
    for planner in &planners.planners {
        for dtype in DType::ALL {
            for (head_dim, backend, ran) in [
                (64, Backend::Auto, Backend::Flash),
                (107, Backend::Auto, Backend::Flash),
                (64, Backend::Flash, Backend::Flash),
                (107, Backend::Flash, Backend::Flash),
                (64, Backend::Math, Backend::Math),
                (107, Backend::Math, Backend::Math),
            ] {
                for (causal, n_kv_heads) in [(false, None), (true, None), (false, Some(2))] {
                    let mut sdpa = Sdpa { causal, ..sdpa(head_dim, backend) };
                    sdpa.shape.n_kv_heads = n_kv_heads;
                    check_attention(planner, dtype, sdpa, ran);
                    if !causal {
                        let shape = SdpaShape { seq_len: 1, kv_len: Some(333), ..sdpa.shape };
                        check_attention(planner, dtype, Sdpa { shape, ..sdpa }, ran);
                    }
                }
            }
            let padded = Sdpa { data_head_dim: 107, ..sdpa(112, Backend::Flash) };
            check_attention(planner, dtype, padded, Backend::Flash);
            let on_the_fly = case(dtype, Operation::SdpaOnTheFly(padded));
            planner.plan(&on_the_fly).unwrap().plan.verify().unwrap();
            if has_dispatcher(planner) {
                let padded = Sdpa { backend: Backend::Auto, ..padded };
                for operation in [Operation::Sdpa(padded), Operation::SdpaOnTheFly(padded)] {
                    planner.plan(&case(dtype, operation)).unwrap().plan.verify().unwrap();
                }
            }
        }
    }
}

/// Verifies an attention, or that it cannot be had without the dispatcher.
fn check_attention(planner: &Planner, dtype: DType, sdpa: Sdpa, ran: Backend) {
    let planned = planner.plan(&case(dtype, Operation::Sdpa(sdpa)));
    let needs_it = match sdpa.backend {
        Backend::Flash => sdpa.shape.n_kv_heads.map(|_| "FLASH with fewer KV heads"),
        backend => Some(backend.name()),
    };
    if let Some(what) = needs_it.filter(|_| !has_dispatcher(planner)) {
        return assert_needs_the_dispatcher(planner, what, &planned.err().unwrap());
    }
    let mut planned = planned.unwrap_or_else(|error| panic!("{sdpa:?}: {error}"));
    let verification = planned.plan.verify().unwrap();
    let rows = sdpa.shape.batch * sdpa.shape.n_heads * sdpa.shape.seq_len;
    assert_eq!(verification.rows, rows.min(SAMPLED_ROWS));
    planned.plan.launch().unwrap();
    let chosen = planned.backend.unwrap();
    assert_eq!((planned.provider, chosen.route.backend), (Provider::Pytorch, ran));
    assert!(!chosen.stand_in && chosen.reason.contains("PyTorch 2."), "{chosen:?}");
}

#[test]
#[ignore = "needs PyTorch"]
fn a_backend_that_a_cpu_lacks_is_unsupported_and_ours_stay_ours() {
    let planners = Planners::new();
    for planner in &planners.planners {
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
}

#[test]
#[ignore = "needs PyTorch"]
fn gemms_are_verified_whole_in_sequence_and_padded() {
    let provider = ProviderChoice::Pytorch;
    let data = GemmShape { m: 33, n: 107, k: 107 };
    let dense = Gemm { provider, ..Gemm::dense(data) };
    let padded = |shape| Gemm { shape, ..dense };
    let wider = padded(GemmShape { n: 112, ..data });
    let deeper = padded(GemmShape { k: 112, ..data });
    let planners = Planners::new();
    for planner in &planners.planners {
        for dtype in ON_CPU {
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
}

#[test]
#[ignore = "needs PyTorch"]
fn a_low_rank_pair_is_verified_where_there_is_linear() {
    let (layout, provider) = (GemmLayout::Nt, ProviderChoice::Pytorch);
    let linear = |m, n, k| Gemm { layout, provider, ..Gemm::dense(GemmShape { m, n, k }) };
    let (first, second) = (linear(33, 13, 107), linear(33, 65, 13));
    let wider = Gemm { shape: GemmShape { n: 16, ..first.shape }, ..first };
    let deeper = Gemm { shape: GemmShape { k: 16, ..second.shape }, ..second };
    let planners = Planners::new();
    for planner in &planners.planners {
        for pair in [[first, second], [wider, deeper]] {
            let planned = planner.plan(&case(DType::Fp16, Operation::LowRank(pair)));
            if !has_dispatcher(planner) {
                assert_needs_the_dispatcher(planner, "aten::linear", &planned.err().unwrap());
                continue;
            }
            let mut planned = planned.unwrap();
            assert_eq!(planned.provider, Provider::Pytorch);
            assert_eq!(planned.plan.verify().unwrap().rows, 66);
            planned.plan.launch().unwrap();
        }
    }
}

#[test]
#[ignore = "needs PyTorch"]
fn products_that_no_plan_asks_for_are_right_or_need_the_dispatcher() {
    const ONE: u16 = 0x3c00;
    const FOUR: u16 = 0x4400;
    const ROWS: usize = 3;
    let ones = vec![ONE; 40];
    let ones = Memory::Host(&ones);
    let planners = Planners::new();
    for planner in &planners.planners {
        let session = planner.torch().unwrap();
        for (product, a, b, c) in [
            (Product::Bmm, &[2, ROWS, 4][..], &[2, 4, 5][..], &[2, ROWS, 5][..]),
            (Product::Linear, &[ROWS, 4], &[5, 4], &[ROWS, 5]),
        ] {
            let tensor = |sizes: &[usize]| {
                session.operand(ones, DType::Fp16, sizes, sizes[sizes.len() - 1]).unwrap()
            };
            let (a, b) = (tensor(a), tensor(b));
            let result = session.multiply(product, [(&a, ones), (&b, ones)], Precision::Fp16);
            if product == Product::Linear && !has_dispatcher(planner) {
                let error = CaseError::from(result.err().unwrap());
                assert_needs_the_dispatcher(planner, "aten::linear", &error);
                continue;
            }
            // The first columns of it, into rows with a gap.
            let mut read = vec![0; 48];
            let sizes = [&c[..c.len() - 1], &[4]].concat();
            let rows: usize = sizes[..sizes.len() - 1].iter().product();
            let memory = MemoryMut::Host(&mut read);
            let to = Target { memory, dtype: DType::Fp16.into(), sizes, row_stride: 8 };
            session.copy_out(&result.unwrap(), to).unwrap();
            let row = [FOUR, FOUR, FOUR, FOUR, 0, 0, 0, 0];
            assert_eq!(read, [row.repeat(rows), vec![0; 48 - 8 * rows]].concat());
        }
    }
}

#[test]
#[ignore = "needs PyTorch"]
fn gemms_are_verified_in_every_layout_and_batch() {
    let planners = Planners::new();
    let provider = ProviderChoice::Pytorch;
    let with = |layout, batch, [m, n, k]: [usize; 3]| Gemm {
        layout,
        batch,
        provider,
        ..Gemm::dense(GemmShape { m, n, k })
    };
    for planner in &planners.planners {
        for shape in [[1, 1, 1], [33, 107, 65], [64, 96, 128]] {
            for (layout, batch) in GemmLayout::ALL.into_iter().flat_map(|it| [(it, 1), (it, 3)]) {
                let gemm = with(layout, batch, shape);
                for dtype in ON_CPU {
                    let planned = planner.plan(&case(dtype, Operation::Gemm(gemm)));
                    if Product::of(layout, batch) == Product::Linear && !has_dispatcher(planner) {
                        let error = planned.err().unwrap();
                        assert_needs_the_dispatcher(planner, "aten::linear", &error);
                        continue;
                    }
                    let mut planned = planned.unwrap();
                    assert_eq!(planned.provider, Provider::Pytorch);
                    let verification = planned.plan.verify().unwrap();
                    assert_eq!(verification.rows, (batch * shape[0]).min(64), "{gemm:?}");
                    planned.plan.launch().unwrap();
                }
            }
        }
    }
}

#[test]
#[ignore = "needs PyTorch"]
fn what_a_cpu_does_not_multiply_is_unsupported() {
    let planners = Planners::new();
    let dense = Gemm::dense(GemmShape { m: 16, n: 16, k: 16 });
    for planner in &planners.planners {
        for provider in [ProviderChoice::Auto, ProviderChoice::Pytorch] {
            for precision in [Precision::Tf32, Precision::Fp8E4m3] {
                let gemm = Operation::Gemm(Gemm { provider, ..dense });
                let error = planner.plan(&case(precision, gemm)).err().unwrap();
                assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
                assert!(error.message.contains("the CPU multiplies fp16, bf16 and fp32"));
            }
        }
    }
}
