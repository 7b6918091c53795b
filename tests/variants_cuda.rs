//! The ways to compute a case that only a GPU has: padding within the launch, the fastest backend,
//! GEMMs together.
//!
//! `cargo test --test variants_cuda -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{DTYPES, SEED};
use night_sweep::device::Cuda;
use night_sweep::device::cuda::Graph;
use night_sweep::device::kernel::Kernel;
use night_sweep::ops::planner::{Planned, Planner};
use night_sweep::ops::sdpa;
use night_sweep::workload::case::Case;
use night_sweep::workload::error::{CaseError, ErrorKind};
use night_sweep::workload::operation::{Backend, Gemm, Operation, ProviderChoice, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use std::rc::Rc;

struct Gpu {
    cuda: Rc<Cuda>,
    planner: Planner,
}

impl Gpu {
    fn new() -> Self {
        let (cuda, device) = gpu::gpu();
        Gpu { cuda, planner: Planner::new(device, None, SEED) }
    }

    fn plan(&self, operation: &Operation, dtype: DType) -> Result<Planned, CaseError> {
        self.planner.plan(&Case::row("X1", "series", "point", 0, dtype, operation.clone()))
    }

    /// Plans, verifies, captures and replays; hands back the kernels of a launch.
    fn ran(&self, operation: &Operation, dtype: DType) -> (Planned, Vec<Kernel>) {
        let mut planned =
            self.plan(operation, dtype).unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        planned.plan.verify().unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        let graph = Graph::capture(&self.cuda, 3, || planned.plan.launch()).unwrap();
        graph.launch().unwrap();
        self.cuda.synchronize().unwrap();
        let mut kernels = graph.kernels(&self.cuda).unwrap();
        assert_eq!(kernels.len() % 3, 0, "{kernels:?}");
        kernels.truncate(kernels.len() / 3);
        assert!(!kernels.is_empty());
        if let Some(chosen) = planned.backend.clone() {
            sdpa::proven(chosen, &kernels).unwrap();
        }
        (planned, kernels)
    }
}

fn resizes(kernels: &[Kernel]) -> usize {
    kernels.iter().filter(|kernel| kernel.name.starts_with("resize")).count()
}

fn attention(head_dim: usize, n_kv_heads: Option<usize>, backend: Backend) -> Sdpa {
    let shape =
        SdpaShape { batch: 2, seq_len: 1000, kv_len: None, n_heads: 4, n_kv_heads, head_dim };
    Sdpa::dense(shape, backend)
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_are_padded_within_the_launch() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        let data = GemmShape { m: 333, n: 107, k: 107 };
        // K is a dimension of A and B, N of B and the result.
        for shape in [GemmShape { k: 112, ..data }, GemmShape { n: 128, ..data }] {
            let operation = Operation::GemmOnTheFly(Gemm { shape, ..Gemm::dense(data) });
            let (_, kernels) = gpu.ran(&operation, dtype);
            assert_eq!(resizes(&kernels), 2, "{kernels:?}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn attention_is_padded_within_the_launch() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        for (n_kv_heads, copies) in [(None, 2), (Some(2), 3)] {
            for causal in [false, true] {
                for backend in [Backend::NsFlash, Backend::NsMath] {
                    let padded = attention(112, n_kv_heads, backend);
                    let sdpa = Sdpa { data_head_dim: 107, causal, ..padded };
                    let (planned, kernels) = gpu.ran(&Operation::SdpaOnTheFly(sdpa), dtype);
                    let chosen = planned.backend.unwrap();
                    // One launch for tensors of one size, and one that cuts the result.
                    assert_eq!(resizes(&kernels), copies, "{chosen:?} {kernels:?}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn auto_pads_as_pytorch_does_and_its_kernel_runs_alone_too() {
    let gpu = Gpu::new();
    for head_dim in [64, 107, 128, 130] {
        let provider = ProviderChoice::NightSweep;
        let sdpa = Sdpa { provider, ..attention(head_dim, None, Backend::Auto) };
        let is_padded = head_dim % 8 != 0;
        let (whole, kernels) = gpu.ran(&Operation::Sdpa(sdpa), DType::Fp16);
        let chosen = whole.backend.unwrap();
        assert_eq!((resizes(&kernels) > 0, chosen.route.pad_to.is_some()), (is_padded, is_padded));
        assert!(chosen.stand_in && chosen.reason.starts_with("stand-in for AUTO: NS_"));
        assert!(chosen.reason.contains("; PyTorch 2.11 on sm_"), "{}", chosen.reason);
        let alone = Operation::SdpaKernelOnly(sdpa);
        let case = Case::row("S1", "series", "point", head_dim, DType::Fp16, alone.clone());
        assert_eq!(gpu.planner.offers(&case), is_padded);
        let (_, alone) = gpu.ran(&alone, DType::Fp16);
        assert_eq!(resizes(&alone), 0, "{alone:?}");
        let name = &alone[0].name;
        assert!(kernels.iter().any(|kernel| kernel.name == *name), "{name} in {kernels:?}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_fastest_tries_what_may_be_it_and_remembers() {
    let gpu = Gpu::new();
    for head_dim in [107, 112, 264] {
        for n_kv_heads in [None, Some(2)] {
            let operation = Operation::Sdpa(attention(head_dim, n_kv_heads, Backend::NsFastest));
            let (first, _) = gpu.ran(&operation, DType::Fp16);
            let (again, _) = gpu.ran(&operation, DType::Fp16);
            assert_eq!(first.backend, again.backend);
            let reason = first.backend.unwrap().reason;
            // With 1000 keys the unfused are tried where nothing else runs.
            assert!(head_dim == 264 || !reason.contains("NS_MATH"), "{reason}");
            assert!(reason.contains(" ms"), "{reason}");
            assert!(head_dim != 107 || reason.contains("NS_CUDNN padded to 112"), "{reason}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_backend_by_name_runs_its_own_kernels_or_says_why_not() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        for (head_dim, n_kv_heads, causal) in
            [(64, None, false), (107, None, true), (128, Some(2), true), (136, Some(1), false)]
        {
            for backend in Backend::ALL {
                let provider = ProviderChoice::NightSweep;
                let named = attention(head_dim, n_kv_heads, backend);
                let sdpa = Sdpa { causal, provider, ..named };
                match gpu.plan(&Operation::Sdpa(sdpa), dtype) {
                    Ok(_) => drop(gpu.ran(&Operation::Sdpa(sdpa), dtype)),
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Unsupported, "{sdpa:?}: {error}");
                        use Backend::{Auto, Flash, Math, NsFastest, NsFlash, NsMath};
                        let always = [Auto, Flash, Math, NsFastest, NsFlash, NsMath];
                        assert!(!always.contains(&backend), "{sdpa:?}: {error}");
                        println!("{} at {head_dim}: {error}", backend.name());
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn one_query_on_a_cache_runs_by_name_as_a_stand_in_and_as_the_fastest() {
    let gpu = Gpu::new();
    for (head_dim, n_kv_heads) in [(107, None), (128, Some(2)), (264, None)] {
        let shape = attention(head_dim, n_kv_heads, Backend::NsFlashDecode).shape;
        let shape = SdpaShape { seq_len: 1, kv_len: Some(1000), ..shape };
        let ran = |backend| {
            let provider = ProviderChoice::NightSweep;
            let sdpa = Sdpa { provider, ..Sdpa::dense(shape, backend) };
            gpu.plan(&Operation::Sdpa(sdpa), DType::Fp16)?;
            let (planned, kernels) = gpu.ran(&Operation::Sdpa(sdpa), DType::Fp16);
            Ok((planned.backend.unwrap(), kernels))
        };
        let ours: Result<_, CaseError> = ran(Backend::NsFlashDecode);
        if head_dim > 256 {
            assert_eq!(ours.err().unwrap().kind, ErrorKind::Unsupported);
            assert_eq!(ran(Backend::NsMath).unwrap().0.route.backend, Backend::NsMath);
            continue;
        }
        let (_, kernels) = ours.unwrap();
        assert_eq!(kernels.len(), 1, "one kernel, whatever is merged: {kernels:?}");
        let (stand_in, _) = ran(Backend::Flash).unwrap();
        assert_eq!(stand_in.route.backend, Backend::NsFlashDecode);
        assert_eq!(stand_in.route.pad_to, (head_dim == 107).then_some(112));
        let (fastest, _) = ran(Backend::NsFastest).unwrap();
        assert!(fastest.reason.contains("NS_FLASH_DECODE 0."), "{}", fastest.reason);
    }
}

fn parts() -> Vec<Gemm> {
    [1024, 896, 856, 768].map(|n| Gemm::dense(GemmShape { m: 512, n, k: 4096 })).to_vec()
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_run_side_by_side() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        let (_, in_sequence) = gpu.ran(&Operation::GemmSequence(parts()), dtype);
        let (_, concurrent) = gpu.ran(&Operation::GemmConcurrent(parts()), dtype);
        let sorted = |kernels: &[Kernel]| {
            let mut names: Vec<_> = kernels.iter().map(|kernel| kernel.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(sorted(&concurrent), sorted(&in_sequence));
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn low_rank_pairs_are_verified_and_padded() {
    let gpu = Gpu::new();
    for pair in gpu::low_rank_pairs(ProviderChoice::Auto) {
        for dtype in DTYPES {
            let (_, kernels) = gpu.ran(&Operation::LowRank(pair), dtype);
            assert!(kernels.len() >= 2, "{kernels:?}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_run_in_one_grouped_call() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        match gpu.plan(&Operation::GemmGrouped(parts()), dtype) {
            Ok(_) => {
                let (_, kernels) = gpu.ran(&Operation::GemmGrouped(parts()), dtype);
                println!("{kernels:?}");
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Unsupported);
                assert!(error.message.contains("12.5"), "{error}");
            }
        }
    }
}
