//! kernels/pad.cu: padding, and taking it off again.

use super::{Kernels, blocks_of};
use crate::device::DeviceError;
use crate::device::cuda::Elements;
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
/// What a block writes, in bytes: `CHUNKS * CHUNK_BYTES * THREADS`.
const RESIZED_PER_BLOCK: usize = 2 * 16 * RESIZE_THREADS as usize;

impl Kernels {
    /// Copies each matrix into one of another size, in one launch: what `to` has beyond `from`
    /// becomes zero, what it lacks is left out. All matrices of a side have the same size.
    pub fn resize<E: Elements, const N: usize>(
        &self,
        from: [&E; N],
        to: [&mut E; N],
        [from_rows, from_columns]: [usize; 2],
        [to_rows, to_columns]: [usize; 2],
    ) -> Result<(), DeviceError> {
        const { assert!(N >= 1 && N <= 3, "the kernel takes up to three matrices") };
        let len = to_rows * to_columns;
        if len == 0 {
            return Ok(());
        }
        let element_bytes = from[0].element_bytes();
        let [from_bytes, to_bytes] = [from_columns, to_columns].map(|n| n * element_bytes);
        // Units of 16 bits wherever rows have a whole number of them.
        let (kernel, unit_bytes) = match (from_bytes | to_bytes) & 1 {
            0 => (&self.resize, 2),
            _ => (&self.resize_bytes, 1),
        };
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
            from_columns: count(from_bytes / unit_bytes)?,
            to_rows: count(to_rows)?,
            to_columns: count(to_bytes / unit_bytes)?,
        };
        let mut matrices = ResizedMatrices { from: [0; 3], to: [0; 3] };
        for (i, (from, to)) in from.into_iter().zip(to).enumerate() {
            let lengths = (from.count(), to.count());
            assert_eq!(
                lengths,
                (from_rows * from_columns, len),
                "tensors have their matrix's size"
            );
            assert_eq!([from, &*to].map(Elements::element_bytes), [element_bytes; 2]);
            (matrices.from[i], matrices.to[i]) = (from.address(), to.address());
        }
        let config = LaunchConfig {
            grid_dim: ((len * element_bytes).div_ceil(RESIZED_PER_BLOCK) as u32, N as u32, 1),
            ..blocks_of(1, RESIZE_THREADS)
        };
        let mut launch = self.stream.launch_builder(kernel);
        launch.arg(&matrices).arg(&sizes);
        // SAFETY: the kernel's arguments; the tensors have these sizes, as asserted above.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }
}
