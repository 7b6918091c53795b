//! The GPU, and attention in float64 to compare it with.

use night_sweep::device::cuda::Tensor;
use night_sweep::device::{Cuda, Device};
use night_sweep::workload::convert::to_f32;
use night_sweep::workload::operation::{Gemm, ProviderChoice, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use night_sweep::workload::{GemmLayout, Precision};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub const DTYPES: [DType; 2] = [DType::Fp16, DType::Bf16];
pub const SEED: u64 = 42;

thread_local! {
    /// Held by the test of this thread until it ends.
    static TURN: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// The GPU, for one test at a time.
pub fn gpu() -> (Rc<Cuda>, Device) {
    wait();
    let cuda = Rc::new(Cuda::open(0).unwrap());
    (cuda.clone(), Device::Cuda(cuda))
}

/// Those that this card has: tensor cores take fp8 from compute capability 8.9.
pub fn precisions(cuda: &Cuda) -> Vec<Precision> {
    let has_fp8 = cuda.properties().compute_capability >= (8, 9);
    let is_there = |precision: &Precision| has_fp8 || *precision != Precision::Fp8E4m3;
    Precision::ALL.into_iter().filter(is_there).collect()
}

/// One that fills the GPU's memory, or times it, disturbs the others.
pub fn wait() {
    static GPU: Mutex<()> = Mutex::new(());
    let wait = || GPU.lock().unwrap_or_else(PoisonError::into_inner);
    TURN.with_borrow_mut(|turn| _ = turn.get_or_insert_with(wait));
}

pub fn download(cuda: &Cuda, tensor: &Tensor) -> Vec<u16> {
    cuda.stream().clone_dtoh(tensor).unwrap()
}

pub fn upload(cuda: &Cuda, bits: &[u16]) -> Tensor {
    cuda.stream().clone_htod(bits).unwrap()
}

pub fn values(dtype: DType, bits: &[u16]) -> Vec<f64> {
    bits.iter().map(|&bits| f64::from(to_f32(dtype, bits))).collect()
}

/// A row of the result, `row` counted over all batches and heads.
pub fn attention_row(sdpa: &Sdpa, [q, k, v]: [&[f64]; 3], row: usize) -> Vec<f64> {
    let SdpaShape { seq_len, head_dim, n_heads, .. } = sdpa.shape;
    let kv_len = sdpa.shape.kv_len();
    let keys = if sdpa.causal { row % seq_len + 1 } else { kv_len };
    let head = row / seq_len * sdpa.shape.kv_heads() / n_heads * kv_len * head_dim;
    let (k, v) = (&k[head..][..keys * head_dim], &v[head..][..keys * head_dim]);
    let scale = 1.0 / (sdpa.data_head_dim as f64).sqrt();
    let q = &q[row * head_dim..][..head_dim];
    let dot = |k: &[f64]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() * scale;
    let scores: Vec<f64> = k.chunks(head_dim).map(dot).collect();
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    let column = |d: usize| weights.iter().zip(v.chunks(head_dim)).map(move |(w, v)| w * v[d]);
    (0..head_dim).map(|d| column(d).sum::<f64>() / total).collect()
}

/// Low-rank pairs of several sizes, each as it is and with its rank kept padded to 8.
pub fn low_rank_pairs(provider: ProviderChoice) -> Vec<[Gemm; 2]> {
    let layout = GemmLayout::Nt;
    let linear = |m, n, k| Gemm { layout, provider, ..Gemm::dense(GemmShape { m, n, k }) };
    let sizes = [(1, 4096, 107), (16, 512, 1), (257, 1000, 505), (1024, 4096, 1007)];
    let pairs = sizes.into_iter().flat_map(|(m, width, rank)| {
        let (first, second) = (linear(m, rank, width), linear(m, width, rank));
        let padded = rank.next_multiple_of(8);
        let wider = Gemm { shape: GemmShape { n: padded, ..first.shape }, ..first };
        let deeper = Gemm { shape: GemmShape { k: padded, ..second.shape }, ..second };
        [[first, second], [wider, deeper]]
    });
    pairs.collect()
}
