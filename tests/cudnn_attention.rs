//! The CUDNN backend on a GPU, against attention in float64 on the host.
//!
//! `cargo test --test cudnn_attention -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, CudaStream};
use half::{bf16, f16};
use night_sweep::device::DeviceErrorKind;
use night_sweep::device::cuda::Tensor;
use night_sweep::device::cudnn::{Bound, CudnnAttention};
use night_sweep::workload::operation::{Backend, Sdpa};
use night_sweep::workload::shape::{DType, SdpaShape};
use std::sync::Arc;

/// All ones: a NaN in either type. An element that is not written stays one.
const NAN: u16 = 0xFFFF;

struct Gpu {
    stream: Arc<CudaStream>,
    attention: CudnnAttention,
}

/// Inputs on the host, as the bits of `dtype`.
struct Inputs {
    sdpa: Sdpa,
    dtype: DType,
    q: Vec<u16>,
    k: Vec<u16>,
    v: Vec<u16>,
}

/// The same on the device, ready to launch.
struct OnDevice {
    bound: Bound,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    o: Tensor,
}

impl OnDevice {
    fn launch(&self) {
        self.bound.launch([&self.q, &self.k, &self.v, &self.o]).unwrap();
    }
}

impl Gpu {
    fn new() -> Self {
        let context = CudaContext::new(0).unwrap();
        // SAFETY: everything here runs on one stream.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().unwrap();
        let attention = CudnnAttention::new(&stream).unwrap();
        Gpu { stream, attention }
    }

    fn load(&self, inputs: &Inputs) -> OnDevice {
        let compiled = self.attention.plan(&inputs.sdpa, inputs.dtype).unwrap();
        let [q, k, v] =
            [&inputs.q, &inputs.k, &inputs.v].map(|bits| self.stream.clone_htod(bits).unwrap());
        let o = self.stream.clone_htod(&vec![NAN; inputs.q.len()]).unwrap();
        let workspace = self.stream.alloc_zeros::<u8>(compiled.workspace_bytes().max(1)).unwrap();
        let bound = compiled.bind([&q, &k, &v, &o], workspace).unwrap();
        OnDevice { bound, q, k, v, o }
    }

    fn run(&self, inputs: &Inputs) -> Vec<u16> {
        let device = self.load(inputs);
        device.launch();
        self.stream.clone_dtoh(&device.o).unwrap()
    }
}

impl Inputs {
    /// Seeded values between -1.7 and 1.7; zeros beyond `data_head_dim`.
    fn new(sdpa: Sdpa, dtype: DType) -> Self {
        let mut state = 12_345u64;
        let mut tensor = |elements: usize| -> Vec<u16> {
            (0..elements)
                .map(|index| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let unit = (state >> 40) as f32 / (1 << 24) as f32;
                    let padding = index % sdpa.shape.head_dim >= sdpa.data_head_dim;
                    encode(dtype, if padding { 0.0 } else { (unit - 0.5) * 3.4 })
                })
                .collect()
        };
        let (elements, kv_elements) = (sdpa.shape.elements(), sdpa.shape.kv_elements());
        let (q, k, v) = (tensor(elements), tensor(kv_elements), tensor(kv_elements));
        Inputs { sdpa, dtype, q, k, v }
    }

    /// Row `row` of head `head`, counted over all batches, of a tensor.
    fn row(&self, tensor: &[u16], head: usize, row: usize) -> Vec<f64> {
        let SdpaShape { seq_len, head_dim, .. } = self.sdpa.shape;
        let start = (head * seq_len + row) * head_dim;
        tensor[start..start + head_dim].iter().map(|&bits| decode(self.dtype, bits)).collect()
    }

    fn reference_row(&self, head: usize, row: usize) -> Vec<f64> {
        let keys = if self.sdpa.causal { row + 1 } else { self.sdpa.shape.seq_len };
        let q = self.row(&self.q, head, row);
        let scale = 1.0 / (self.sdpa.data_head_dim as f64).sqrt();
        let kv_head = head * self.sdpa.shape.kv_heads() / self.sdpa.shape.n_heads;
        let scores: Vec<f64> =
            (0..keys).map(|key| scale * dot(&q, &self.row(&self.k, kv_head, key))).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut out = vec![0.0; q.len()];
        for (key, weight) in weights.iter().enumerate() {
            for (out, v) in out.iter_mut().zip(self.row(&self.v, kv_head, key)) {
                *out += weight / sum * v;
            }
        }
        out
    }

    /// Panics if one of eight rows, first and last among them, differs from the reference; NaN
    /// differs.
    fn check(&self, result: &[u16]) {
        let shape = self.sdpa.shape;
        let tolerance = match self.dtype {
            DType::Fp16 => 2e-3,
            DType::Bf16 => 1.6e-2,
        };
        for sample in 0..8 {
            let head = sample * 5 % (shape.batch * shape.n_heads);
            let row = sample * (shape.seq_len - 1) / 7;
            let expected = self.reference_row(head, row);
            let difference: Vec<f64> = self
                .row(result, head, row)
                .iter()
                .zip(&expected)
                .map(|(found, expected)| found - expected)
                .collect();
            let error = norm(&difference) / norm(&expected);
            assert!(
                error < tolerance,
                "{:?} {}: head {head} row {row} is off by {error:.1e}",
                self.sdpa,
                self.dtype.name()
            );
        }
    }
}

fn encode(dtype: DType, value: f32) -> u16 {
    match dtype {
        DType::Fp16 => f16::from_f32(value).to_bits(),
        DType::Bf16 => bf16::from_f32(value).to_bits(),
    }
}

fn decode(dtype: DType, bits: u16) -> f64 {
    match dtype {
        DType::Fp16 => f16::from_bits(bits).to_f64(),
        DType::Bf16 => bf16::from_bits(bits).to_f64(),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn sdpa(seq_len: usize, head_dim: usize, causal: bool) -> Sdpa {
    let shape = SdpaShape { batch: 2, n_heads: 4, n_kv_heads: None, seq_len, head_dim };
    Sdpa { causal, ..Sdpa::dense(shape, Backend::Cudnn) }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn rows_agree_with_float64() {
    let gpu = Gpu::new();
    for head_dim in [64, 72, 104, 128, 136, 256] {
        for dtype in [DType::Fp16, DType::Bf16] {
            for causal in [false, true] {
                for seq_len in [130, 1000] {
                    let inputs = Inputs::new(sdpa(seq_len, head_dim, causal), dtype);
                    gpu.attention.supports(&inputs.sdpa, dtype).unwrap();
                    inputs.check(&gpu.run(&inputs));
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn query_heads_share_kv_heads() {
    let gpu = Gpu::new();
    for (n_kv_heads, head_dim, causal) in [(1, 64, false), (2, 128, true), (2, 136, false)] {
        for dtype in [DType::Fp16, DType::Bf16] {
            let multi_head = sdpa(1000, head_dim, causal);
            let shape = SdpaShape { n_kv_heads: Some(n_kv_heads), ..multi_head.shape };
            let inputs = Inputs::new(Sdpa { shape, ..multi_head }, dtype);
            inputs.check(&gpu.run(&inputs));
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_padded_head_keeps_the_scale_of_its_data() {
    let gpu = Gpu::new();
    // The dense plan first: the padded one takes its kernel from the cache, but not its scale.
    for data_head_dim in [112, 107] {
        let inputs = Inputs::new(Sdpa { data_head_dim, ..sdpa(1000, 112, false) }, DType::Fp16);
        inputs.check(&gpu.run(&inputs));
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn an_odd_head_dim_is_unsupported_with_a_reason() {
    let gpu = Gpu::new();
    for head_dim in [65, 107] {
        for causal in [false, true] {
            let sdpa = sdpa(1000, head_dim, causal);
            let refused = gpu.attention.supports(&sdpa, DType::Fp16).unwrap_err();
            assert_eq!(refused.kind, DeviceErrorKind::Unsupported);
            assert!(refused.message.contains(&head_dim.to_string()), "{refused}");
            assert_eq!(gpu.attention.plan(&sdpa, DType::Fp16).err(), Some(refused));
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_captured_launch_replays_to_the_same_result() {
    let gpu = Gpu::new();
    for causal in [false, true] {
        let inputs = Inputs::new(sdpa(1000, 128, causal), DType::Fp16);
        let mut device = gpu.load(&inputs);
        device.launch();
        let launched = gpu.stream.clone_dtoh(&device.o).unwrap();

        gpu.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
        device.launch();
        let graph = gpu
            .stream
            .end_capture(CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH)
            .unwrap()
            .unwrap();
        gpu.stream.memcpy_htod(&vec![NAN; inputs.q.len()], &mut device.o).unwrap();
        graph.launch().unwrap();
        let replayed = gpu.stream.clone_dtoh(&device.o).unwrap();

        assert!(replayed == launched, "the replay differs from the launch");
        inputs.check(&replayed);
    }
}
