//! kernels/timing.cu: what measuring needs on the GPU.

use super::{Kernels, Tensor, blocks_of, threads_for};
use crate::device::DeviceError;
use cudarc::driver::PushKernelArg;

impl Kernels {
    /// Keeps the GPU busy for that long, and does nothing.
    pub fn spin(&self, nanoseconds: u64) -> Result<(), DeviceError> {
        let mut launch = self.stream.launch_builder(&self.spin);
        launch.arg(&nanoseconds);
        // SAFETY: the kernel's argument; it touches no memory.
        Ok(unsafe { launch.launch(blocks_of(1, 1)) }.map(drop)?)
    }

    /// Waits on the GPU until `gate` holds `ticket`, or for `limit_ns`.
    pub(crate) fn hold(&self, gate: u64, ticket: u32, limit_ns: u64) -> Result<(), DeviceError> {
        let mut launch = self.stream.launch_builder(&self.hold);
        launch.arg(&gate).arg(&ticket).arg(&limit_ns);
        // SAFETY: the kernel's arguments; `gate` is a mapped word that lives as long as the device.
        Ok(unsafe { launch.launch(blocks_of(1, 1)) }.map(drop)?)
    }

    /// Writes the cycle counter of SM 0 and the time to the two words at `stamp`.
    pub(crate) fn stamp_cycles(&self, stamp: u64, blocks: u32) -> Result<(), DeviceError> {
        let mut launch = self.stream.launch_builder(&self.stamp_cycles);
        launch.arg(&stamp);
        // SAFETY: the kernel's argument: two mapped words, aligned to 16 bytes, that live as long
        // as the device.
        Ok(unsafe { launch.launch(blocks_of(blocks, 32)) }.map(drop)?)
    }

    /// Takes the context with it: every call of the driver after it fails. For fault injection.
    pub fn trap(&self) -> Result<(), DeviceError> {
        let mut launch = self.stream.launch_builder(&self.trap);
        // SAFETY: the kernel has no arguments and touches no memory.
        Ok(unsafe { launch.launch(blocks_of(1, 1)) }.map(drop)?)
    }

    /// Does nothing.
    pub fn empty(&self) -> Result<(), DeviceError> {
        let mut launch = self.stream.launch_builder(&self.empty);
        // SAFETY: the kernel has no arguments and touches no memory.
        Ok(unsafe { launch.launch(blocks_of(1, 32)) }.map(drop)?)
    }

    /// Copies `from` to `to`, as far as 16 bytes go into their length.
    pub fn copy(&self, from: &Tensor, to: &mut Tensor) -> Result<(), DeviceError> {
        assert_eq!(from.len(), to.len());
        let len = from.len() as u64 / 8;
        let mut launch = self.stream.launch_builder(&self.copy);
        launch.arg(from).arg(to).arg(&len);
        // SAFETY: the kernel's arguments; both hold `len` times 8 elements of 2 bytes.
        Ok(unsafe { launch.launch(threads_for(from.len(), 32)) }.map(drop)?)
    }
}
