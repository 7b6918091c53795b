//! kernels/fill.cu: the data of the operands.

use super::{Kernels, Tensor, address, kind, threads_for};
use crate::device::DeviceError;
use crate::device::cuda::{DeviceArray, Elements};
use crate::workload::Element;
use cudarc::driver::PushKernelArg;
use cudarc::driver::sys::cuMemsetD16Async;

impl Kernels {
    /// Fills a `rows x columns` tensor with the normal numbers of [`crate::workload::philox`] in
    /// its first `data_rows x data_columns`, and zeros around them.
    pub fn fill_normal(
        &self,
        out: &mut impl Elements,
        element: impl Into<Element>,
        (seed, tensor): (u64, u32),
        [rows, columns]: [usize; 2],
        [data_rows, data_columns]: [usize; 2],
    ) -> Result<(), DeviceError> {
        let element = element.into();
        assert_eq!(out.count(), rows * columns, "the tensor has the size of its matrix");
        assert_eq!(out.element_bytes(), element.bytes(), "the tensor has such elements");
        let sizes = [rows, columns, data_rows, data_columns].map(|size| size as u64);
        let (config, kind) = (threads_for(out.count(), 1), kind(element));
        let out = out.address();
        let mut launch = self.stream.launch_builder(&self.fill_normal);
        launch.arg(&out).arg(&seed).arg(&tensor);
        for size in &sizes {
            launch.arg(size);
        }
        launch.arg(&kind);
        // SAFETY: the kernel's arguments; it writes rows * columns elements, the length of `out`.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }

    /// Writes the same 16 bits to every element.
    pub fn fill_bits(&self, out: &mut Tensor, bits: u16) -> Result<(), DeviceError> {
        // SAFETY: the address and the length are those of one allocation on this stream's device.
        unsafe { cuMemsetD16Async(address(out), bits, out.len(), self.stream.cu_stream()) }
            .result()
            .map_err(DeviceError::from)
    }

    /// The same to all memory of an array, as often as 16 bits go into it.
    pub fn fill_array(&self, out: &mut DeviceArray, bits: u16) -> Result<(), DeviceError> {
        let (at, bytes, stream) = (out.address(), out.bytes().len(), self.stream.cu_stream());
        // SAFETY: the address and the length, a multiple of 16 bytes, are those of one allocation
        // on this stream's device.
        unsafe { cuMemsetD16Async(at, bits, bytes / 2, stream) }.result().map_err(DeviceError::from)
    }
}
