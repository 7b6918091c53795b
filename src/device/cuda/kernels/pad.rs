//! kernels/pad.cu: padding, and taking it off again.

use super::{Kernels, Tensor, address, blocks_of};
use crate::device::DeviceError;
use cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg};

/// The `Matrices` of kernels/pad.cu.
#[repr(C)]
struct ResizedMatrices {
    from: [u64; 3],
    to: [u64; 3],
}
// SAFETY: the kernel's struct is six addresses as well.
unsafe impl DeviceRepr for ResizedMatrices {}

/// The `Sizes` of kernels/pad.cu.
#[repr(C)]
struct ResizedSizes {
    from_rows: u32,
    from_columns: u32,
    to_rows: u32,
    to_columns: u32,
}
// SAFETY: the kernel's struct is the same four numbers.
unsafe impl DeviceRepr for ResizedSizes {}

/// The `THREADS` of kernels/pad.cu.
const RESIZE_THREADS: u32 = 128;
/// What a block writes: `CHUNKS * CHUNK * THREADS` numbers.
const RESIZED_PER_BLOCK: usize = 2 * 8 * RESIZE_THREADS as usize;

impl Kernels {
    /// Copies each matrix into one of another size, in one launch: what `to` has beyond `from`
    /// becomes zero, what it lacks is left out. All matrices of a side have the same size.
    pub fn resize<const N: usize>(
        &self,
        from: [&Tensor; N],
        to: [&mut Tensor; N],
        [from_rows, from_columns]: [usize; 2],
        [to_rows, to_columns]: [usize; 2],
    ) -> Result<(), DeviceError> {
        const { assert!(N >= 1 && N <= 3, "the kernel takes up to three matrices") };
        let len = to_rows * to_columns;
        if len == 0 {
            return Ok(());
        }
        // The kernel adds the length of a block to a column in 32 bits.
        let count = |size: usize| {
            i32::try_from(size).map(|size| size as u32).map_err(|_| {
                DeviceError::unsupported(format!(
                    "matrices of {size} rows or columns are not padded"
                ))
            })
        };
        let sizes = ResizedSizes {
            from_rows: count(from_rows)?,
            from_columns: count(from_columns)?,
            to_rows: count(to_rows)?,
            to_columns: count(to_columns)?,
        };
        let mut matrices = ResizedMatrices { from: [0; 3], to: [0; 3] };
        for (i, (from, to)) in from.into_iter().zip(to).enumerate() {
            let lengths = (from.len(), to.len());
            assert_eq!(
                lengths,
                (from_rows * from_columns, len),
                "tensors have their matrix's size"
            );
            (matrices.from[i], matrices.to[i]) = (address(from), address(to));
        }
        let config = LaunchConfig {
            grid_dim: (len.div_ceil(RESIZED_PER_BLOCK) as u32, N as u32, 1),
            ..blocks_of(1, RESIZE_THREADS)
        };
        let mut launch = self.stream.launch_builder(&self.resize);
        launch.arg(&matrices).arg(&sizes);
        // SAFETY: the kernel's arguments; the tensors have these sizes, as asserted above.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }
}
