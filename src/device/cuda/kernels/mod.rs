//! Our own kernels, loaded: one safe function for each, in a file for each file of kernels/.

mod fill;
mod math;
mod pad;
mod timing;
mod verify;

use super::compile::compile;
use crate::device::DeviceError;
use crate::workload::Element;
use cudarc::driver::{
    CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig,
    ValidAsZeroBits,
};
use cudarc::nvrtc::Ptx;
use std::sync::Arc;

/// Plain numbers, valid whatever their bits.
pub trait Bits: DeviceRepr + ValidAsZeroBits {}
impl Bits for u8 {}
impl Bits for u16 {}
impl Bits for u32 {}
impl Bits for f32 {}

/// A tensor of 16-bit numbers in device memory.
pub type Tensor = CudaSlice<u16>;

/// The functions of kernels/*.cu, on the device's stream.
pub struct Kernels {
    stream: Arc<CudaStream>,
    fill_normal: CudaFunction,
    verify_gemm: CudaFunction,
    verify_sdpa: CudaFunction,
    count_nonfinite: CudaFunction,
    widen: CudaFunction,
    narrow: CudaFunction,
    softmax_f32: CudaFunction,
    softmax_16bit: CudaFunction,
    resize: CudaFunction,
    resize_bytes: CudaFunction,
    spin: CudaFunction,
    hold: CudaFunction,
    stamp_cycles: CudaFunction,
    trap: CudaFunction,
    empty: CudaFunction,
    copy: CudaFunction,
}

const THREADS: u32 = 256;

impl Kernels {
    /// Compiles (or takes from the cache) and loads all of them.
    pub(super) fn load(
        stream: &Arc<CudaStream>,
        (major, minor): (i32, i32),
    ) -> Result<Self, DeviceError> {
        let arch = format!("sm_{major}{minor}");
        let failed = |what: String| {
            move |error| DeviceError::driver(format!("{what}: {}", DeviceError::from(error)))
        };
        let module = |file| {
            let cubin = Ptx::from_binary(compile(file, &[], &arch)?);
            stream.context().load_module(cubin).map_err(failed(format!("{file} does not load")))
        };
        let (fill, verify, math) = (module("fill.cu")?, module("verify.cu")?, module("math.cu")?);
        let (pad, timing) = (module("pad.cu")?, module("timing.cu")?);
        let function = |module: &Arc<CudaModule>, name| {
            module.load_function(name).map_err(failed(format!("kernel {name}")))
        };
        Ok(Kernels {
            stream: stream.clone(),
            fill_normal: function(&fill, "fill_normal")?,
            verify_gemm: function(&verify, "verify_gemm")?,
            verify_sdpa: function(&verify, "verify_sdpa")?,
            count_nonfinite: function(&verify, "count_nonfinite")?,
            widen: function(&math, "widen")?,
            narrow: function(&math, "narrow")?,
            softmax_f32: function(&math, "softmax_f32")?,
            softmax_16bit: function(&math, "softmax_16bit")?,
            resize: function(&pad, "resize")?,
            resize_bytes: function(&pad, "resize_bytes")?,
            spin: function(&timing, "spin")?,
            hold: function(&timing, "hold")?,
            stamp_cycles: function(&timing, "stamp_cycles")?,
            trap: function(&timing, "trap")?,
            empty: function(&timing, "empty")?,
            copy: function(&timing, "copy")?,
        })
    }
}

/// The device address of a buffer, for a library call. It stays valid while the buffer lives.
pub fn address<T>(buffer: &CudaSlice<T>) -> u64 {
    buffer.device_ptr(buffer.stream()).0
}

/// The `Type` of kernels/common.cuh.
pub(super) fn kind(element: impl Into<Element>) -> i32 {
    match element.into() {
        Element::Fp16 => 0,
        Element::Bf16 => 1,
        Element::Fp32 => 2,
        Element::E4m3 => 3,
    }
}

fn blocks_of(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

fn threads_for(elements: usize, elements_per_thread: usize) -> LaunchConfig {
    blocks_of(elements.div_ceil(THREADS as usize * elements_per_thread) as u32, THREADS)
}
