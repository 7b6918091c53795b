//! kernels/fill.cu: the data of the operands.

use super::{Kernels, Tensor, address, kind, threads_for};
use crate::device::DeviceError;
use crate::workload::DType;
use cudarc::driver::PushKernelArg;
use cudarc::driver::sys::cuMemsetD16Async;

impl Kernels {
    /// Fills a `rows x columns` tensor with the normal numbers of [`crate::workload::philox`] in
    /// its first `data_rows x data_columns`, and zeros around them.
    pub fn fill_normal(
        &self,
        out: &mut Tensor,
        dtype: DType,
        (seed, tensor): (u64, u32),
        [rows, columns]: [usize; 2],
        [data_rows, data_columns]: [usize; 2],
    ) -> Result<(), DeviceError> {
        assert_eq!(out.len(), rows * columns, "the tensor has the size of its matrix");
        let sizes = [rows, columns, data_rows, data_columns].map(|size| size as u64);
        let (config, kind) = (threads_for(out.len(), 1), kind(dtype));
        let mut launch = self.stream.launch_builder(&self.fill_normal);
        launch.arg(out).arg(&seed).arg(&tensor);
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
}
