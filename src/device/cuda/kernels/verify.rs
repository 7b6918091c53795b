//! kernels/verify.cu: references in float32, and what results differ from them.

use super::{Kernels, THREADS, Tensor, blocks_of, kind};
use crate::device::DeviceError;
use crate::workload::{DType, Gemm, GemmShape};
use cudarc::driver::sys::CUfunction_attribute;
use cudarc::driver::{CudaSlice, LaunchConfig, PushKernelArg};

/// Dynamic shared memory of a block without asking for more.
const DEFAULT_SHARED_BYTES: u32 = 48 * 1024;

impl Kernels {
    /// Adds `‖C − reference‖²` and `‖reference‖²` of row `rows[i]` of `C = A B` to `errors[2 i]`
    /// and `errors[2 i + 1]`. Rows are counted over the whole batch of `gemm`.
    pub fn verify_gemm(
        &self,
        [a, b, c]: [&Tensor; 3],
        rows: &CudaSlice<u32>,
        errors: &mut CudaSlice<f32>,
        gemm: &Gemm,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        let sizes = gemm.matrices().map(|matrix| matrix.size[0] * matrix.size[1]);
        assert_eq!([a.len(), b.len(), c.len()], sizes);
        assert!(errors.len() >= 2 * rows.len());
        let GemmShape { m, n, k } = gemm.shape;
        let config = LaunchConfig {
            grid_dim: (rows.len() as u32, (n as u32).div_ceil(THREADS), 1),
            ..blocks_of(1, THREADS)
        };
        let (m, n, k, kind) = (m as u64, n as u32, k as u32, kind(dtype));
        let strides = gemm.strides().map(|strides| strides.map(|stride| stride as u64));
        let mut launch = self.stream.launch_builder(&self.verify_gemm);
        launch.arg(a).arg(b).arg(c).arg(rows).arg(errors).arg(&m).arg(&n).arg(&k);
        for stride in strides.as_flattened() {
            launch.arg(stride);
        }
        launch.arg(&kind);
        // SAFETY: the kernel's arguments, the tensors as asserted above; the rows are below M times
        // the batch.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }

    /// As [`Kernels::verify_gemm`] for row `rows[i]` of attention over `[heads * seq, dim]`
    /// tensors, of which K and V have one head for each `group` of the others.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the kernel")]
    pub fn verify_sdpa(
        &self,
        [q, k, v, o]: [&Tensor; 4],
        rows: &CudaSlice<u32>,
        errors: &mut CudaSlice<f32>,
        (seq, dim, group): (usize, usize, usize),
        scale: f32,
        causal: bool,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        assert_eq!([q.len(), k.len(), v.len()], [o.len(), o.len() / group, o.len() / group]);
        assert!(o.len().is_multiple_of(group * seq * dim) && errors.len() >= 2 * rows.len());
        let shared_mem_bytes = 4 * (seq + dim) as u32;
        if shared_mem_bytes > DEFAULT_SHARED_BYTES {
            let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            self.verify_sdpa.set_attribute(attribute, shared_mem_bytes as i32).map_err(|_| {
                let message = format!("sequences of {seq} tokens are too long for the reference");
                DeviceError::unsupported(message)
            })?;
        }
        let config = LaunchConfig { shared_mem_bytes, ..blocks_of(rows.len() as u32, THREADS) };
        let (seq, dim, group) = (seq as u32, dim as u32, group as u32);
        let (causal, kind) = (i32::from(causal), kind(dtype));
        let mut launch = self.stream.launch_builder(&self.verify_sdpa);
        launch.arg(q).arg(k).arg(v).arg(o).arg(rows).arg(errors);
        launch.arg(&seq).arg(&dim).arg(&group).arg(&scale).arg(&causal).arg(&kind);
        // SAFETY: the kernel's arguments, the tensors as asserted above; the rows are below heads *
        // seq.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }

    /// Adds the number of NaN and infinite elements to `count[0]`.
    pub fn count_nonfinite(
        &self,
        values: &Tensor,
        count: &mut CudaSlice<u32>,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        let (len, kind) = (values.len() as u64, kind(dtype));
        let mut launch = self.stream.launch_builder(&self.count_nonfinite);
        launch.arg(values).arg(&len).arg(count).arg(&kind);
        // SAFETY: the kernel's arguments; `len` is the length of `values`.
        Ok(unsafe { launch.launch(blocks_of(1024, THREADS)) }.map(drop)?)
    }
}
