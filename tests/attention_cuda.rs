//! Fused attention on a GPU, ours and cuDNN's, against attention in float64 on the host.
//!
//! `cargo test --test attention_cuda -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{SEED, attention_row, download, upload, values};
use night_sweep::device::Cuda;
use night_sweep::device::cuda::{Graph, Tensor};
use night_sweep::ops::plan::Plan;
use night_sweep::ops::sdpa::{Attend, Context, CudaSdpaOnTheFly, Made, find};
use night_sweep::ops::verify::POISON;
use night_sweep::workload::convert::{from_f32, to_f32};
use night_sweep::workload::error::{CaseError, ErrorKind};
use night_sweep::workload::operation::{Backend, Sdpa};
use night_sweep::workload::shape::{DType, SdpaShape};
use std::rc::Rc;

const SEQ_LENS: [usize; 5] = [1, 63, 130, 1000, 2049];
const VARIANTS: [(DType, bool); 4] =
    [(DType::Fp16, false), (DType::Bf16, true), (DType::Fp16, true), (DType::Bf16, false)];

struct Gpu {
    cuda: Rc<Cuda>,
    context: Context,
}

impl Gpu {
    fn new() -> Gpu {
        let (cuda, device) = gpu::gpu();
        Gpu { cuda, context: Context::new(device, None) }
    }

    fn try_plan(&self, sdpa: Sdpa, dtype: DType) -> Result<Made, CaseError> {
        let backend = find(sdpa.backend, self.context.device()).unwrap();
        backend.plan(&self.context, sdpa, dtype, SEED)
    }

    fn plan(&self, sdpa: Sdpa, dtype: DType) -> Box<dyn Attend<Tensor>> {
        match self.try_plan(sdpa, dtype).unwrap() {
            Made::Cuda(plan) => plan,
            Made::Host(_) => panic!("{} is one of the host's", sdpa.backend.name()),
        }
    }

    fn check(&self, plan: &mut dyn Attend<Tensor>) {
        self.poison(plan);
        plan.launch().unwrap();
        self.compare(plan);
    }

    fn check_one(&self, sdpa: Sdpa, dtype: DType) {
        self.check(self.plan(sdpa, dtype).as_mut());
    }

    /// What is not written stays a NaN.
    fn poison(&self, plan: &mut dyn Attend<Tensor>) {
        let o = &mut plan.problem_mut().o;
        self.cuda.stream().memcpy_htod(&vec![POISON; o.len()], o).unwrap();
    }

    /// Panics if one of some rows, first and last among them, differs from float64.
    fn compare(&self, plan: &mut dyn Attend<Tensor>) {
        let problem = plan.problem_mut();
        let (sdpa, dtype) = (problem.sdpa, problem.dtype);
        let [q, k, v, o] = [&problem.q, &problem.k, &problem.v, &problem.o]
            .map(|tensor| values(dtype, &download(&self.cuda, tensor)));
        assert!(o.iter().all(|value| value.is_finite()), "{sdpa:?} {dtype:?}");
        let SdpaShape { batch, n_heads, seq_len, head_dim, .. } = sdpa.shape;
        let rows = batch * n_heads * seq_len;
        let tolerance = if dtype == DType::Fp16 { 2e-3 } else { 1.6e-2 };
        for sample in 0..7 {
            let row = sample * (rows - 1) / 6;
            let expected = attention_row(&sdpa, [&q, &k, &v], row);
            let found = &o[row * head_dim..][..head_dim];
            let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
            let difference = norm(&mut found.iter().zip(&expected).map(|(o, e)| o - e));
            // A sum of terms that cancel has their rounding errors all the same: about the values'
            // square over the number of keys, as each weighs about as much.
            let values = norm(&mut v.iter().copied()) / v.len() as f64;
            let terms = head_dim as f64 * values / sdpa.shape.kv_len() as f64;
            let error = (difference / (norm(&mut expected.iter().copied()) + terms)).sqrt();
            assert!(error < tolerance, "{sdpa:?} {dtype:?}: row {row} is off by {error:.1e}");
        }
    }

    fn scale_data(&self, plan: &mut dyn Attend<Tensor>, scale: [f32; 3]) {
        let problem = plan.problem_mut();
        let dtype = problem.dtype;
        let tensors = [&mut problem.q, &mut problem.k, &mut problem.v];
        for (tensor, scale) in tensors.into_iter().zip(scale) {
            let scaled = |bits: u16| from_f32(dtype, to_f32(dtype, bits) * scale);
            let bits: Vec<u16> = download(&self.cuda, tensor).into_iter().map(scaled).collect();
            *tensor = upload(&self.cuda, &bits);
        }
    }
}

/// Odd numbers of sequences and heads; three query heads share one KV head where `grouped`.
fn sdpa(backend: Backend, seq_len: usize, head_dim: usize, causal: bool, grouped: bool) -> Sdpa {
    let n_kv_heads = grouped.then_some(1);
    let shape = SdpaShape { batch: 3, seq_len, kv_len: None, n_heads: 3, n_kv_heads, head_dim };
    Sdpa { causal, ..Sdpa::dense(shape, backend) }
}

/// One query on a KV cache, of two sequences.
fn decode(backend: Backend, context: usize, heads: [usize; 2], head_dim: usize) -> Sdpa {
    let [n_heads, n_kv_heads] = heads;
    let n_kv_heads = (n_kv_heads != n_heads).then_some(n_kv_heads);
    let kv_len = (context != 1).then_some(context);
    let shape = SdpaShape { batch: 2, seq_len: 1, kv_len, n_heads, n_kv_heads, head_dim };
    Sdpa::dense(shape, backend)
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn one_query_is_right_at_every_alignment_context_and_grouping() {
    let gpu = Gpu::new();
    // Query heads and KV heads; more than eight that share one take several passes.
    let heads = [[3, 3], [4, 2], [8, 1], [20, 2]];
    for head_dim in [1, 2, 3, 7, 8, 64, 100, 106, 107, 112, 120, 127, 128, 129, 200, 255, 256] {
        for (i, context) in [1, 17, 63, 64, 1000, 1024, 5001].into_iter().enumerate() {
            let dtype = VARIANTS[(head_dim + i) % 4].0;
            let sdpa = decode(Backend::NsFlashDecode, context, heads[(head_dim + i) % 4], head_dim);
            let mut plan = gpu.plan(sdpa, dtype);
            plan.verify().unwrap();
            // Whatever the launch before left behind.
            gpu.check(plan.as_mut());
        }
    }
}

/// Of so many tiles that some blocks have one more than others.
#[test]
#[ignore = "needs a CUDA GPU"]
fn long_runs_that_are_not_even_are_right() {
    let gpu = Gpu::new();
    for head_dim in [64, 80, 107] {
        let sdpa = decode(Backend::NsFlashDecode, 20_001, [32, 32], head_dim);
        gpu.plan(sdpa, DType::Fp16).verify().unwrap();
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn others_take_one_query_or_say_why_not() {
    let gpu = Gpu::new();
    for head_dim in [64, 107, 128] {
        for heads in [[4, 4], [4, 2]] {
            for backend in [Backend::NsMath, Backend::NsMathFp16] {
                gpu.plan(decode(backend, 1000, heads, head_dim), DType::Bf16).verify().unwrap();
            }
            let cudnn = decode(Backend::NsCudnn, 1000, heads, head_dim);
            match gpu.try_plan(cudnn, DType::Fp16) {
                Ok(_) => gpu.check_one(cudnn, DType::Fp16),
                Err(refused) => assert_eq!(refused.kind, ErrorKind::Unsupported, "{refused}"),
            }
            for backend in [Backend::NsFlash, Backend::NsFlashUnpadded, Backend::NsMemEfficient] {
                let aligned = head_dim.next_multiple_of(8);
                let refused = gpu.try_plan(decode(backend, 1000, heads, aligned), DType::Fp16);
                let refused = refused.err().unwrap();
                assert_eq!(refused.kind, ErrorKind::Unsupported);
                assert!(refused.message.contains("NS_FLASH_DECODE"), "{refused}");
            }
        }
    }
}

/// Small enough for compute-sanitizer: heads that blocks share, and tiles that are not full.
#[test]
#[ignore = "needs a CUDA GPU"]
fn short_caches_of_every_alignment_are_right() {
    let gpu = Gpu::new();
    for (i, head_dim) in [1, 9, 64, 100, 106, 107, 112, 128, 250, 256].into_iter().enumerate() {
        let (heads, context) = ([[2, 2], [4, 1], [18, 2]][i % 3], [131, 200, 77][i / 3 % 3]);
        gpu.check_one(decode(Backend::NsFlashDecode, context, heads, head_dim), VARIANTS[i % 4].0);
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_padded_cache_gives_what_the_cache_gives() {
    let gpu = Gpu::new();
    let dense = decode(Backend::NsFlashDecode, 1500, [8, 2], 107);
    let padded = dense.padded_to(112);
    gpu.check_one(padded, DType::Fp16);
    let [dense, padded] = [dense, padded].map(|sdpa| {
        let mut plan = gpu.plan(sdpa, DType::Fp16);
        plan.launch().unwrap();
        values(DType::Fp16, &download(&gpu.cuda, &plan.problem_mut().o))
    });
    for (dense, padded) in dense.chunks(107).zip(padded.chunks(112)) {
        let difference = dense.iter().zip(padded).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        assert!(difference < 1e-3, "{difference:e}");
        assert!(padded[107..].iter().all(|&x| x == 0.0));
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_aligned_head_dim_is_right() {
    let gpu = Gpu::new();
    for backend in [Backend::NsFlash, Backend::NsMemEfficient] {
        for (i, head_dim) in (8..=256).step_by(8).enumerate() {
            let (dtype, causal) = VARIANTS[i / 5 % 4];
            let sdpa = sdpa(backend, SEQ_LENS[i % 5], head_dim, causal, i % 3 == 0);
            let mut plan = gpu.plan(sdpa, dtype);
            plan.verify().unwrap();
            gpu.check(plan.as_mut());
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_sequence_length_mask_and_type_is_right() {
    let gpu = Gpu::new();
    for (backend, head_dims) in [
        (Backend::NsFlash, [64, 120, 136, 256]),
        (Backend::NsFlashUnpadded, [61, 107, 132, 250]),
        (Backend::NsMemEfficient, [40, 64, 104, 200]),
    ] {
        for head_dim in head_dims {
            for (dtype, causal) in VARIANTS {
                for seq_len in SEQ_LENS {
                    let sdpa = sdpa(backend, seq_len, head_dim, causal, seq_len % 2 == 0);
                    gpu.check_one(sdpa, dtype);
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn misaligned_head_dims_are_right_without_padding() {
    let gpu = Gpu::new();
    // Every remainder, each with many tilings; all head_dims would spend minutes in the compiler.
    let misaligned = (9..256usize).step_by(11).filter(|head_dim| !head_dim.is_multiple_of(8));
    for (i, head_dim) in misaligned.enumerate() {
        let (dtype, causal) = VARIANTS[i % 4];
        let sdpa = sdpa(Backend::NsFlashUnpadded, SEQ_LENS[i % 5], head_dim, causal, i % 2 == 0);
        gpu.check_one(sdpa, dtype);
    }
}

/// Each tiling on a sequence that ends within a tile: small enough for compute-sanitizer, which
/// makes launches hundreds of times slower.
#[test]
#[ignore = "needs a CUDA GPU"]
fn short_sequences_of_every_tiling_are_right() {
    let gpu = Gpu::new();
    let variants = (8..=256).step_by(8).map(|head_dim| (Backend::NsFlash, head_dim));
    let variants =
        variants.chain([40, 64, 104, 128, 200, 256].map(|d| (Backend::NsMemEfficient, d)));
    let variants =
        variants.chain([9, 61, 76, 94, 107, 129, 132, 250].map(|d| (Backend::NsFlashUnpadded, d)));
    for (i, (backend, head_dim)) in variants.enumerate() {
        let (dtype, causal) = VARIANTS[i % 4];
        let shape = SdpaShape { batch: 1, ..sdpa(backend, 131, head_dim, causal, false).shape };
        let sdpa = Sdpa { causal, ..Sdpa::dense(shape, backend) };
        gpu.check_one(sdpa, dtype);
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn large_and_tiny_numbers_are_right() {
    let gpu = Gpu::new();
    for scale in [[1e-3, 1e-3, 1e-3], [30.0, 30.0, 1.0], [1000.0, 1000.0, 1000.0]] {
        for (head_dim, dtype) in [(107, DType::Fp16), (128, DType::Bf16)] {
            let mut plan = gpu.plan(decode(Backend::NsFlashDecode, 900, [8, 2], head_dim), dtype);
            gpu.scale_data(plan.as_mut(), scale);
            gpu.check(plan.as_mut());
        }
    }
    for (backend, head_dim) in
        [(Backend::NsFlash, 128), (Backend::NsFlashUnpadded, 107), (Backend::NsMemEfficient, 136)]
    {
        for (dtype, causal) in VARIANTS {
            for scale in [[1e-3, 1e-3, 1e-3], [30.0, 30.0, 1.0], [1000.0, 1000.0, 1000.0]] {
                let sdpa = sdpa(backend, 300, head_dim, causal, false);
                let mut plan = gpu.plan(sdpa, dtype);
                gpu.scale_data(plan.as_mut(), scale);
                gpu.check(plan.as_mut());
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn padding_within_the_launch_gives_the_same() {
    let gpu = Gpu::new();
    for head_dim in [107, 129] {
        let dense = sdpa(Backend::NsFlash, 333, head_dim, true, true);
        let padded = dense.padded_to(head_dim.next_multiple_of(8));
        for cuts in [false, true] {
            let kernel = gpu.plan(padded, DType::Fp16);
            CudaSdpaOnTheFly::new(&gpu.cuda, dense, kernel, SEED, cuts).unwrap().verify().unwrap();
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn cudnn_is_right_at_every_mask_type_and_grouping() {
    let gpu = Gpu::new();
    for head_dim in [64, 72, 104, 128, 136, 256] {
        for (dtype, causal) in VARIANTS {
            for (seq_len, grouped) in [(130, false), (1000, false), (1000, true)] {
                let sdpa = sdpa(Backend::NsCudnn, seq_len, head_dim, causal, grouped);
                gpu.context.cudnn().unwrap().supports(&sdpa, dtype).unwrap();
                gpu.check_one(sdpa, dtype);
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_padded_head_of_cudnn_keeps_the_scale_of_its_data() {
    let gpu = Gpu::new();
    // The dense plan first: the padded one takes its kernel from the cache, but not its scale.
    for data_head_dim in [112, 107] {
        let dense = sdpa(Backend::NsCudnn, 1000, 112, false, false);
        gpu.check_one(Sdpa { data_head_dim, ..dense }, DType::Fp16);
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn cudnn_refuses_an_odd_head_dim_with_a_reason() {
    let gpu = Gpu::new();
    for head_dim in [65, 107] {
        for causal in [false, true] {
            let sdpa = sdpa(Backend::NsCudnn, 1000, head_dim, causal, false);
            let refused = gpu.try_plan(sdpa, DType::Fp16).err().unwrap();
            assert_eq!(refused.kind, ErrorKind::Unsupported);
            assert!(refused.message.contains(&head_dim.to_string()), "{refused}");
            let unsupported = gpu.context.cudnn().unwrap().supports(&sdpa, DType::Fp16);
            assert_eq!(unsupported.unwrap_err().message, refused.message);
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_captured_launch_of_cudnn_replays_to_the_same_result() {
    let gpu = Gpu::new();
    for causal in [false, true] {
        let mut plan = gpu.plan(sdpa(Backend::NsCudnn, 1000, 128, causal, false), DType::Fp16);
        gpu.check(plan.as_mut());
        let launched = download(&gpu.cuda, &plan.problem_mut().o);
        let graph = Graph::capture(&gpu.cuda, 1, || plan.launch()).unwrap();
        gpu.poison(plan.as_mut());
        graph.launch().unwrap();
        let replayed = download(&gpu.cuda, &plan.problem_mut().o);
        assert!(replayed == launched, "the replay differs from the launch");
    }
}
