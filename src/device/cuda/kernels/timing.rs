//! kernels/timing.cu: what measuring needs on the GPU.

use super::{Kernels, Tensor, blocks_of, threads_for};
use crate::device::DeviceError;
use cudarc::driver::{CudaStream, PushKernelArg};

impl Kernels {
    /// Keeps the GPU busy for that long, and does nothing.
    pub fn spin(&self, stream: &CudaStream, nanoseconds: u64) -> Result<(), DeviceError> {
        let mut launch = stream.launch_builder(&self.spin);
        launch.arg(&nanoseconds);
        // SAFETY: the argument is that of the kernel, which touches no memory.
        unsafe { launch.launch(blocks_of(1, 1)) }.map(drop).map_err(DeviceError::from)
    }

    /// Waits on the GPU until `gate` holds `ticket`, or for `limit_ns`.
    pub(in crate::device::cuda) fn hold(
        &self,
        stream: &CudaStream,
        gate: u64,
        ticket: u32,
        limit_ns: u64,
    ) -> Result<(), DeviceError> {
        let mut launch = stream.launch_builder(&self.hold);
        launch.arg(&gate).arg(&ticket).arg(&limit_ns);
        // SAFETY: the arguments are those of the kernel; `gate` is a word of mapped memory that
        // lives as long as the device.
        unsafe { launch.launch(blocks_of(1, 1)) }.map(drop).map_err(DeviceError::from)
    }

    /// Writes the cycle counter of SM 0 and the time to the two words at `stamp`.
    pub(in crate::device::cuda) fn stamp_cycles(
        &self,
        stream: &CudaStream,
        stamp: u64,
        blocks: u32,
    ) -> Result<(), DeviceError> {
        let mut launch = stream.launch_builder(&self.stamp_cycles);
        launch.arg(&stamp);
        // SAFETY: the argument is that of the kernel; `stamp` is two words of mapped memory,
        // aligned to 16 bytes, that live as long as the device.
        unsafe { launch.launch(blocks_of(blocks, 32)) }.map(drop).map_err(DeviceError::from)
    }

    /// Takes the context with it: every call of the driver after it fails. For fault injection.
    pub fn trap(&self, stream: &CudaStream) -> Result<(), DeviceError> {
        let mut launch = stream.launch_builder(&self.trap);
        // SAFETY: the kernel has no arguments and touches no memory.
        unsafe { launch.launch(blocks_of(1, 1)) }.map(drop).map_err(DeviceError::from)
    }

    /// Does nothing.
    pub fn empty(&self, stream: &CudaStream) -> Result<(), DeviceError> {
        let mut launch = stream.launch_builder(&self.empty);
        // SAFETY: the kernel has no arguments and touches no memory.
        unsafe { launch.launch(blocks_of(1, 32)) }.map(drop).map_err(DeviceError::from)
    }

    /// Copies `from` to `to`, as far as 16 bytes go into their length.
    pub fn copy(
        &self,
        stream: &CudaStream,
        from: &Tensor,
        to: &mut Tensor,
    ) -> Result<(), DeviceError> {
        assert_eq!(from.len(), to.len());
        let len = from.len() as u64 / 8;
        let mut launch = stream.launch_builder(&self.copy);
        launch.arg(from).arg(to).arg(&len);
        // SAFETY: the arguments are those of the kernel; both hold `len` times 8 elements of 2
        // bytes.
        unsafe { launch.launch(threads_for(from.len(), 32)) }.map(drop).map_err(DeviceError::from)
    }
}
