//! Our fused kernels on a GPU, against attention in float64 on the host.
//!
//! `cargo test --test flash_attention -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use night_sweep::device::cuda::Tensor;
use night_sweep::device::{Cuda, Device};
use night_sweep::ops::plan::Plan;
use night_sweep::ops::sdpa::{self, Attend, Context, CudaSdpaOnTheFly, Made};
use night_sweep::workload::convert::{from_f32, to_f32};
use night_sweep::workload::operation::{Backend, Sdpa};
use night_sweep::workload::shape::{DType, SdpaShape};
use std::rc::Rc;

const SEED: u64 = 42;
const SEQ_LENS: [usize; 5] = [1, 63, 130, 1000, 2049];
const VARIANTS: [(DType, bool); 4] =
    [(DType::Fp16, false), (DType::Bf16, true), (DType::Fp16, true), (DType::Bf16, false)];

fn gpu() -> Rc<Cuda> {
    Rc::new(Cuda::open(0).unwrap())
}

/// The plan of the backend that `sdpa` names.
fn plan(cuda: &Rc<Cuda>, sdpa: Sdpa, dtype: DType) -> Box<dyn Attend<Tensor>> {
    let context = Context::new(Device::Cuda(cuda.clone()));
    let backend = sdpa::find(sdpa.backend, context.device()).unwrap();
    match backend.plan(&context, sdpa, dtype, SEED).unwrap() {
        Made::Cuda(plan) => plan,
        Made::Host(_) => panic!("{} is one of the host's", sdpa.backend.name()),
    }
}

/// Odd numbers of sequences and heads; three query heads share one KV head where `grouped`.
fn sdpa(backend: Backend, seq_len: usize, head_dim: usize, causal: bool, grouped: bool) -> Sdpa {
    let n_kv_heads = grouped.then_some(1);
    let shape = SdpaShape { batch: 3, seq_len, n_heads: 3, n_kv_heads, head_dim };
    Sdpa { causal, ..Sdpa::dense(shape, backend) }
}

/// Replaces the data by `scale` times what they are.
fn scale_data(cuda: &Cuda, plan: &mut dyn Attend<Tensor>, scale: [f32; 3]) {
    let problem = plan.problem_mut();
    let dtype = problem.dtype;
    let tensors = [&mut problem.q, &mut problem.k, &mut problem.v];
    for (tensor, scale) in tensors.into_iter().zip(scale) {
        let scaled: Vec<u16> = cuda
            .stream()
            .clone_dtoh(tensor)
            .unwrap()
            .into_iter()
            .map(|bits| from_f32(dtype, to_f32(dtype, bits) * scale))
            .collect();
        *tensor = cuda.stream().clone_htod(&scaled).unwrap();
    }
}

/// Launches, and compares some rows, first and last among them, with float64.
fn check(cuda: &Cuda, plan: &mut dyn Attend<Tensor>) {
    let poison = vec![night_sweep::ops::verify::POISON; plan.problem_mut().q.len()];
    plan.problem_mut().o = cuda.stream().clone_htod(&poison).unwrap();
    plan.launch().unwrap();
    let scale = f64::from(plan.problem_mut().scale());
    let problem = plan.problem_mut();
    let (sdpa, dtype) = (problem.sdpa, problem.dtype);
    let SdpaShape { seq_len, head_dim, .. } = sdpa.shape;
    let [q, k, v, o] = [&problem.q, &problem.k, &problem.v, &problem.o].map(|tensor| {
        let bits = cuda.stream().clone_dtoh(tensor).unwrap();
        bits.into_iter().map(|bits| f64::from(to_f32(dtype, bits))).collect::<Vec<_>>()
    });
    assert!(o.iter().all(|value| value.is_finite()), "{sdpa:?} {dtype:?}");
    let rows = sdpa.shape.batch * sdpa.shape.n_heads * seq_len;
    let tolerance = if dtype == DType::Fp16 { 2e-3 } else { 1.6e-2 };
    for sample in 0..7 {
        let row = sample * (rows - 1) / 6;
        let keys = if sdpa.causal { row % seq_len + 1 } else { seq_len };
        let head = row / seq_len / sdpa.shape.heads_per_kv_head() * seq_len * head_dim;
        let q = &q[row * head_dim..][..head_dim];
        let dot = |k: &[f64]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() * scale;
        let scores: Vec<f64> = k[head..][..keys * head_dim].chunks(head_dim).map(dot).collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        let (mut difference, mut norm) = (0.0, 0.0);
        for d in 0..head_dim {
            let values = v[head + d..].iter().step_by(head_dim);
            let sum: f64 = weights.iter().zip(values).map(|(weight, value)| weight * value).sum();
            difference += (o[row * head_dim + d] - sum / total).powi(2);
            norm += (sum / total).powi(2);
        }
        let error = (difference / norm).sqrt();
        assert!(error < tolerance, "{sdpa:?} {dtype:?}: row {row} is off by {error:.1e}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_aligned_head_dim_is_right() {
    let cuda = gpu();
    for backend in [Backend::Flash, Backend::MemEfficient] {
        for (i, head_dim) in (8..=256).step_by(8).enumerate() {
            let (dtype, causal) = VARIANTS[i / 5 % 4];
            let sdpa = sdpa(backend, SEQ_LENS[i % 5], head_dim, causal, i % 3 == 0);
            let mut plan = plan(&cuda, sdpa, dtype);
            plan.verify().unwrap();
            check(&cuda, plan.as_mut());
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_sequence_length_mask_and_type_is_right() {
    let cuda = gpu();
    for (backend, head_dims) in [
        (Backend::Flash, [64, 120, 136, 256]),
        (Backend::FlashUnpadded, [61, 107, 132, 250]),
        (Backend::MemEfficient, [40, 64, 104, 200]),
    ] {
        for head_dim in head_dims {
            for (dtype, causal) in VARIANTS {
                for seq_len in SEQ_LENS {
                    let sdpa = sdpa(backend, seq_len, head_dim, causal, seq_len % 2 == 0);
                    let mut plan = plan(&cuda, sdpa, dtype);
                    check(&cuda, plan.as_mut());
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn misaligned_head_dims_are_right_without_padding() {
    let cuda = gpu();
    // Every remainder, each with many tilings; all head_dims would spend minutes in the compiler.
    let misaligned = (9..256usize).step_by(11).filter(|head_dim| !head_dim.is_multiple_of(8));
    for (i, head_dim) in misaligned.enumerate() {
        let (dtype, causal) = VARIANTS[i % 4];
        let sdpa = sdpa(Backend::FlashUnpadded, SEQ_LENS[i % 5], head_dim, causal, i % 2 == 0);
        let mut plan = plan(&cuda, sdpa, dtype);
        check(&cuda, plan.as_mut());
    }
}

/// Each tiling on a sequence that ends within a tile: small enough for compute-sanitizer, which
/// makes launches hundreds of times slower.
#[test]
#[ignore = "needs a CUDA GPU"]
fn short_sequences_of_every_tiling_are_right() {
    let cuda = gpu();
    let variants = (8..=256).step_by(8).map(|head_dim| (Backend::Flash, head_dim));
    let variants = variants.chain([40, 64, 104, 128, 200, 256].map(|d| (Backend::MemEfficient, d)));
    let variants =
        variants.chain([9, 61, 76, 94, 107, 129, 132, 250].map(|d| (Backend::FlashUnpadded, d)));
    for (i, (backend, head_dim)) in variants.enumerate() {
        let (dtype, causal) = VARIANTS[i % 4];
        let shape = SdpaShape { batch: 1, ..sdpa(backend, 131, head_dim, causal, false).shape };
        let sdpa = Sdpa { causal, ..Sdpa::dense(shape, backend) };
        let mut plan = plan(&cuda, sdpa, dtype);
        check(&cuda, plan.as_mut());
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn large_and_tiny_numbers_are_right() {
    let cuda = gpu();
    for (backend, head_dim) in
        [(Backend::Flash, 128), (Backend::FlashUnpadded, 107), (Backend::MemEfficient, 136)]
    {
        for (dtype, causal) in VARIANTS {
            for scale in [[1e-3, 1e-3, 1e-3], [30.0, 30.0, 1.0], [1000.0, 1000.0, 1000.0]] {
                let sdpa = sdpa(backend, 300, head_dim, causal, false);
                let mut plan = plan(&cuda, sdpa, dtype);
                scale_data(&cuda, plan.as_mut(), scale);
                check(&cuda, plan.as_mut());
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn padding_within_the_launch_gives_the_same() {
    let cuda = gpu();
    for head_dim in [107, 129] {
        let dense = sdpa(Backend::Flash, 333, head_dim, true, true);
        let padded = dense.padded_to(head_dim.next_multiple_of(8));
        for cuts in [false, true] {
            let kernel = plan(&cuda, padded, DType::Fp16);
            CudaSdpaOnTheFly::new(&cuda, dense, kernel, SEED, cuts).unwrap().verify().unwrap();
        }
    }
}
