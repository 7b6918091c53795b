//! kernels/fill.cu: the data of the operands.

use super::{Kernels, Tensor, address, kind, threads_for};
use crate::device::DeviceError;
use crate::workload::shape::DType;
use cudarc::driver::sys::cuMemsetD16Async;
use cudarc::driver::{CudaStream, PushKernelArg};

impl Kernels {
    /// Fills a `rows x columns` tensor with the normal numbers of [`crate::workload::philox`] in
    /// its first `data_rows x data_columns`, and zeros around them.
    pub fn fill_normal(
        &self,
        stream: &CudaStream,
        out: &mut Tensor,
        dtype: DType,
        (seed, tensor): (u64, u32),
        (rows, columns): (usize, usize),
        (data_rows, data_columns): (usize, usize),
    ) -> Result<(), DeviceError> {
        assert_eq!(out.len(), rows * columns, "the tensor has the size of its matrix");
        let sizes = [rows, columns, data_rows, data_columns].map(|size| size as u64);
        let (config, kind) = (threads_for(out.len(), 1), kind(dtype));
        let mut launch = stream.launch_builder(&self.fill_normal);
        launch.arg(out).arg(&seed).arg(&tensor);
        sizes.iter().for_each(|size| {
            launch.arg(size);
        });
        launch.arg(&kind);
        // SAFETY: the arguments are those of the kernel; it writes rows * columns elements, the
        // length of `out`.
        unsafe { launch.launch(config) }.map(drop).map_err(DeviceError::from)
    }

    /// Writes the same 16 bits to every element.
    pub fn fill_bits(
        &self,
        stream: &CudaStream,
        out: &mut Tensor,
        bits: u16,
    ) -> Result<(), DeviceError> {
        // SAFETY: the address and the length are those of one allocation on this stream's device.
        unsafe { cuMemsetD16Async(address(out, stream), bits, out.len(), stream.cu_stream()) }
            .result()
            .map_err(DeviceError::from)
    }
}
