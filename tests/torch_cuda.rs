//! PyTorch's attention and GEMMs on a GPU: of the active environment, or of `python3`.
//!
//! `cargo test --test torch_cuda -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{DTYPES, SEED, precisions};
use night_sweep::device::cuda::Graph;
use night_sweep::device::torch::{Session, TorchChoice};
use night_sweep::device::{Cuda, Device, DeviceChoice, Kernel, Opened, libraries};
use night_sweep::ops::planner::{Planned, Planner};
use night_sweep::ops::sdpa::{Chosen, proven};
use night_sweep::workload::{
    Backend, Case, CaseError, ErrorKind, Gemm, GemmLayout, GemmShape, Operation, Precision,
    Provider, ProviderChoice, Sdpa, SdpaShape,
};
use std::rc::Rc;

struct Gpu {
    cuda: Rc<Cuda>,
    planner: Planner,
}

impl Gpu {
    fn new() -> Gpu {
        gpu::wait();
        let opened = Opened::new(DeviceChoice::Cuda(0), &TorchChoice::Auto).unwrap();
        let Device::Cuda(cuda) = &opened.device else { panic!("a GPU was asked for") };
        let torch = opened.torch.unwrap_or_else(|reason| panic!("{}", reason.why));
        let planner = Planner::new(opened.device.clone(), Some(torch), SEED);
        Gpu { cuda: cuda.clone(), planner }
    }

    /// PyTorch's operators called directly, as those of 2.6 are.
    fn without_dispatcher() -> Gpu {
        let Gpu { cuda, planner } = Gpu::new();
        let device = Device::Cuda(cuda.clone());
        let torch = planner.torch().unwrap().torch();
        // Its session gives the current stream back, which the next one sets.
        drop(planner);
        let session = Session::new(torch, &device).unwrap();
        let session = Rc::new(session.without_dispatcher());
        Gpu { cuda, planner: Planner::new(device, Some(session), SEED) }
    }

    fn plan(
        &self,
        dtype: impl Into<Precision>,
        operation: Operation,
    ) -> Result<Planned, CaseError> {
        self.planner.plan(&Case::row("X", "series", "point", 1, dtype, operation))
    }

    /// Verifies a plan, captures three launches of it, and returns the kernels of one.
    fn check(
        &self,
        dtype: impl Into<Precision>,
        operation: Operation,
    ) -> (Option<Chosen>, Vec<Kernel>) {
        let dtype = dtype.into();
        let what = format!("{dtype:?} {operation:?}");
        let mut planned =
            self.plan(dtype, operation).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(planned.provider, Provider::Pytorch, "{what}");
        planned.plan.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
        let graph = Graph::capture(&self.cuda, 3, || planned.plan.launch())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        graph.launch().unwrap();
        self.cuda.synchronize().unwrap();
        let mut kernels = graph.kernels(&self.cuda).unwrap();
        assert_eq!(kernels.len() % 3, 0, "{what}: {kernels:?}");
        kernels.truncate(kernels.len() / 3);
        let chosen = planned.backend.map(|chosen| proven(chosen, &kernels).unwrap());
        (chosen, kernels)
    }
}

fn sdpa(head_dim: usize, backend: Backend) -> Sdpa {
    let shape =
        SdpaShape { batch: 2, seq_len: 512, kv_len: None, n_heads: 8, n_kv_heads: None, head_dim };
    Sdpa::dense(shape, backend)
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_backend_is_verified_and_proven_by_its_kernels() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        for head_dim in [64_usize, 72, 96, 104, 107, 112, 128, 129, 160, 256] {
            for causal in [false, true] {
                for backend in
                    [Backend::Flash, Backend::MemEfficient, Backend::Math, Backend::Cudnn]
                {
                    let is_refused = !head_dim.is_multiple_of(8)
                        && matches!(backend, Backend::MemEfficient | Backend::Cudnn);
                    let operation = Operation::Sdpa(Sdpa { causal, ..sdpa(head_dim, backend) });
                    if is_refused {
                        let error = gpu.plan(dtype, operation).err().unwrap();
                        assert_eq!(error.kind, ErrorKind::Unsupported);
                        assert!(error.message.contains("no multiple of 8"), "{error}");
                        continue;
                    }
                    let (chosen, kernels) = gpu.check(dtype, operation);
                    let chosen = chosen.unwrap();
                    assert_eq!(chosen.route.backend, backend);
                    let pads = backend == Backend::Flash && !head_dim.is_multiple_of(8);
                    assert_eq!(chosen.route.pad_to.is_some(), pads, "{kernels:?}");
                }
                let auto = Operation::Sdpa(Sdpa { causal, ..sdpa(head_dim, Backend::Auto) });
                let (chosen, _) = gpu.check(dtype, auto);
                assert_ne!(chosen.unwrap().route.backend, Backend::Auto);
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn grouped_heads_and_tensors_padded_by_the_program_are_verified() {
    let gpu = Gpu::new();
    for dtype in DTYPES {
        for (backend, head_dim) in
            [(Backend::Auto, 128), (Backend::Auto, 107), (Backend::Flash, 107), (Backend::Math, 96)]
        {
            let mut grouped = sdpa(head_dim, backend);
            grouped.shape.n_kv_heads = Some(2);
            gpu.check(dtype, Operation::Sdpa(grouped));
        }
        for physical in [107, 112, 128] {
            let padded = Sdpa { data_head_dim: 107, ..sdpa(physical, Backend::Auto) };
            gpu.check(dtype, Operation::Sdpa(padded));
            let (_, kernels) = gpu.check(dtype, Operation::SdpaOnTheFly(padded));
            assert!(kernels.len() >= 5, "three copies, attention, a copy: {kernels:?}");
        }
        // The kernel alone, over tensors that are kept as FLASH pads them.
        let alone = Operation::SdpaKernelOnly(sdpa(107, Backend::Auto));
        let (chosen, kernels) = gpu.check(dtype, alone);
        let chosen = chosen.unwrap();
        assert_eq!((chosen.route.backend, chosen.route.pad_to), (Backend::Flash, None));
        assert!(kernels.iter().all(|kernel| kernel.name.contains("flash")), "{kernels:?}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn one_query_on_a_cache_is_verified_and_proven() {
    let gpu = Gpu::new();
    let decode = |head_dim, n_kv_heads, backend| {
        let shape = sdpa(head_dim, backend).shape;
        let shape = SdpaShape { seq_len: 1, kv_len: Some(1500), n_kv_heads, ..shape };
        Sdpa::dense(shape, backend)
    };
    for dtype in DTYPES {
        for n_kv_heads in [None, Some(2)] {
            for (head_dim, padded_to) in [(107, Some(112)), (112, None), (128, None)] {
                for backend in [Backend::Flash, Backend::Math] {
                    let operation = Operation::Sdpa(decode(head_dim, n_kv_heads, backend));
                    let (chosen, kernels) = gpu.check(dtype, operation);
                    let route = chosen.unwrap().route;
                    let pads = padded_to.filter(|_| backend == Backend::Flash);
                    assert_eq!((route.backend, route.pad_to), (backend, pads), "{kernels:?}");
                }
                gpu.check(dtype, Operation::Sdpa(decode(head_dim, n_kv_heads, Backend::Auto)));
            }
            let kept = decode(107, n_kv_heads, Backend::Auto).padded_to(112);
            gpu.check(dtype, Operation::Sdpa(kept));
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_are_verified_whole_in_sequence_and_padded() {
    let gpu = Gpu::new();
    let provider = ProviderChoice::Pytorch;
    for data in [(1, 1, 1), (257, 107, 112), (1024, 4096, 107), (64, 96, 4096)] {
        let data = GemmShape { m: data.0, n: data.1, k: data.2 };
        let dense = Gemm { provider, ..Gemm::dense(data) };
        let padded = |shape| Gemm { shape, ..dense };
        let wider = padded(GemmShape { n: data.n + 5, ..data });
        let deeper = padded(GemmShape { k: data.k + 5, ..data });
        for dtype in DTYPES {
            for operation in [
                Operation::Gemm(dense),
                Operation::GemmSequence(vec![dense, wider]),
                Operation::GemmOnTheFly(wider),
                Operation::GemmOnTheFly(deeper),
            ] {
                gpu.check(dtype, operation);
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn fused_operators_and_gemms_are_verified_without_the_dispatcher() {
    let gpu = Gpu::without_dispatcher();
    let data = GemmShape { m: 257, n: 107, k: 107 };
    let dense = Gemm { provider: ProviderChoice::Pytorch, ..Gemm::dense(data) };
    let wider = Gemm { shape: GemmShape { n: 112, ..data }, ..dense };
    for dtype in DTYPES {
        for backend in [Backend::Flash, Backend::MemEfficient, Backend::Cudnn] {
            for head_dim in [64, 72, 128] {
                for causal in [false, true] {
                    let operation = Operation::Sdpa(Sdpa { causal, ..sdpa(head_dim, backend) });
                    let (chosen, _) = gpu.check(dtype, operation);
                    assert_eq!(chosen.unwrap().route.backend, backend);
                }
            }
            let padded = Sdpa { data_head_dim: 107, ..sdpa(112, backend) };
            gpu.check(dtype, Operation::Sdpa(padded));
            gpu.check(dtype, Operation::SdpaOnTheFly(padded));
        }
        for (backend, head_dim, what) in [
            (Backend::Auto, 64, "AUTO"),
            (Backend::Math, 64, "MATH"),
            (Backend::Flash, 107, "FLASH at head_dim 107"),
        ] {
            let error = gpu.plan(dtype, Operation::Sdpa(sdpa(head_dim, backend))).err().unwrap();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains(&format!("cannot be asked for {what} without Python")));
        }
        gpu.check(dtype, Operation::Gemm(dense));
        gpu.check(dtype, Operation::GemmOnTheFly(wider));
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_libraries_of_pytorch_serve_the_whole_process() {
    let _gpu = Gpu::new();
    let stack = libraries::stack().unwrap().describe();
    let names: Vec<&str> = stack.iter().map(|(name, _)| *name).collect();
    for name in ["cublas", "cublaslt", "cudnn", "nvrtc"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for library in ["libcublas.so", "libcublasLt.so", "libcudnn.so", "libnvrtc.so"] {
        let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let mut paths: Vec<&str> = paths.filter(|path| path.contains(library)).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), 1, "one {library} in a process: {paths:?}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_are_verified_in_every_layout_and_batch() {
    let gpu = Gpu::new();
    let provider = ProviderChoice::Pytorch;
    for (m, n, k) in [(1, 1, 1), (17, 65, 33), (257, 107, 112), (1024, 128, 107), (64, 96, 4096)] {
        for layout in GemmLayout::ALL {
            for batch in [1, 3] {
                let dense = Gemm::dense(GemmShape { m, n, k });
                let gemm = Gemm { layout, batch, provider, ..dense };
                for dtype in DTYPES {
                    let (_, kernels) = gpu.check(dtype, Operation::Gemm(gemm));
                    assert!(!kernels.is_empty(), "{gemm:?}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn low_rank_pairs_are_verified() {
    let gpu = Gpu::new();
    for pair in gpu::low_rank_pairs(ProviderChoice::Pytorch) {
        for dtype in DTYPES {
            gpu.check(dtype, Operation::LowRank(pair));
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_of_float32_are_verified_in_tf32_and_whole_by_turns() {
    let gpu = Gpu::new();
    let provider = ProviderChoice::Pytorch;
    for (m, n, k) in [(1, 1, 1), (257, 107, 107), (1024, 1024, 4096)] {
        for (layout, batch) in GemmLayout::ALL.into_iter().flat_map(|it| [(it, 1), (it, 3)]) {
            let dense = Gemm::dense(GemmShape { m, n, k });
            let gemm = Gemm { layout, batch, provider, ..dense };
            // Whole after tf32: what one call sets, the next one changes.
            for precision in [Precision::Fp32, Precision::Tf32, Precision::Fp32] {
                gpu.check(precision, Operation::Gemm(gemm));
            }
        }
        let data = GemmShape { m, n, k };
        let padded = Gemm { shape: GemmShape { k: k + 5, ..data }, ..Gemm::dense(data) };
        let padded = Gemm { provider, ..padded };
        gpu.check(Precision::Tf32, Operation::GemmOnTheFly(padded));
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn scaled_gemms_of_fp8_are_verified_and_padded() {
    let gpu = Gpu::new();
    if !precisions(&gpu.cuda).contains(&Precision::Fp8E4m3) {
        return;
    }
    let of = |layout, batch, [m, n, k]: [usize; 3]| Gemm {
        layout,
        batch,
        provider: ProviderChoice::Pytorch,
        ..Gemm::dense(GemmShape { m, n, k })
    };
    for shape in [[1, 16, 16], [33, 320, 112], [1024, 1024, 4096]] {
        let gemm = of(GemmLayout::Nt, 1, shape);
        let (_, kernels) = gpu.check(Precision::Fp8E4m3, Operation::Gemm(gemm));
        assert!(!kernels.is_empty());
    }
    for (gemm, why) in [
        (of(GemmLayout::Nt, 1, [64, 64, 104]), "K=104"),
        (of(GemmLayout::Nt, 1, [64, 100, 64]), "N=100"),
        (of(GemmLayout::Nn, 1, [64, 64, 64]), "layout nt, not nn"),
        (of(GemmLayout::Nt, 3, [64, 64, 64]), "no batch"),
    ] {
        let error = gpu.plan(Precision::Fp8E4m3, Operation::Gemm(gemm)).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
        assert!(error.message.contains(why), "{error}");
    }
    for [n, k] in [[64, 107], [107, 64], [107, 107], [320, 1]] {
        let dense = of(GemmLayout::Nt, 1, [65, n, k]);
        let [n, k] = [n, k].map(|size| size.next_multiple_of(16));
        let padded = Gemm { shape: GemmShape { m: 65, n, k }, ..dense };
        gpu.check(Precision::Fp8E4m3, Operation::GemmOnTheFly(padded));
    }
}
