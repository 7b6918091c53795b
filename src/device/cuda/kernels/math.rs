//! kernels/math.cu: what NS_MATH attention does beside its GEMMs.

use super::{Kernels, Tensor, blocks_of, kind, threads_for};
use crate::device::DeviceError;
use crate::workload::DType;
use cudarc::driver::{CudaSlice, LaunchConfig, PushKernelArg};

impl Kernels {
    /// `out = scale * values`, widened to float32.
    pub fn widen(
        &self,
        values: &Tensor,
        out: &mut CudaSlice<f32>,
        scale: f32,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        assert_eq!(values.len(), out.len());
        let (len, kind) = (values.len() as u64, kind(dtype));
        let mut launch = self.stream.launch_builder(&self.widen);
        launch.arg(values).arg(out).arg(&len).arg(&scale).arg(&kind);
        // SAFETY: the kernel's arguments; `len` is the length of both.
        Ok(unsafe { launch.launch(threads_for(values.len(), 4)) }.map(drop)?)
    }

    /// `out = values`, rounded to 16 bits.
    pub fn narrow(
        &self,
        values: &CudaSlice<f32>,
        out: &mut Tensor,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        assert_eq!(values.len(), out.len());
        let (len, kind) = (values.len() as u64, kind(dtype));
        let mut launch = self.stream.launch_builder(&self.narrow);
        launch.arg(values).arg(out).arg(&len).arg(&kind);
        // SAFETY: the kernel's arguments; `len` is the length of both.
        Ok(unsafe { launch.launch(threads_for(values.len(), 4)) }.map(drop)?)
    }

    /// Softmax of each row of `scores[heads * seq, seq]`, in place.
    pub fn softmax_f32(
        &self,
        scores: &mut CudaSlice<f32>,
        seq: usize,
        causal: bool,
    ) -> Result<(), DeviceError> {
        let config = softmax_config(scores.len(), seq);
        let (seq, causal) = (seq as u32, i32::from(causal));
        let mut launch = self.stream.launch_builder(&self.softmax_f32);
        launch.arg(scores).arg(&seq).arg(&causal);
        // SAFETY: the kernel's arguments; a block a row of `seq` elements covers `scores`.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }

    /// As [`Kernels::softmax_f32`] on 16-bit scores; the arithmetic is float32.
    pub fn softmax_16bit(
        &self,
        scores: &mut Tensor,
        seq: usize,
        causal: bool,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        let config = softmax_config(scores.len(), seq);
        let (seq, causal, kind) = (seq as u32, i32::from(causal), kind(dtype));
        let mut launch = self.stream.launch_builder(&self.softmax_16bit);
        launch.arg(scores).arg(&seq).arg(&causal).arg(&kind);
        // SAFETY: as in `softmax_f32`.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }
}

/// A block a row, of as many threads as keep the row in registers; the kernel has room for 8 scores
/// a thread.
fn softmax_config(scores: usize, seq: usize) -> LaunchConfig {
    let threads = (seq as u32).div_ceil(8).next_multiple_of(32).clamp(32, 1024);
    blocks_of((scores / seq) as u32, threads)
}
