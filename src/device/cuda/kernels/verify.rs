//! kernels/verify.cu: references in float32, and what results differ from them.

use super::{Kernels, THREADS, Tensor, blocks_of, kind};
use crate::device::DeviceError;
use crate::device::cuda::{DeviceArray, Elements};
use crate::workload::{DType, Element, Gemm, GemmShape, Sdpa};
use cudarc::driver::sys::CUfunction_attribute;
use cudarc::driver::{CudaSlice, LaunchConfig, PushKernelArg};

/// Dynamic shared memory of a block without asking for more.
const DEFAULT_SHARED_BYTES: u32 = 48 * 1024;

impl Kernels {
    /// Raises `errors[i]`, zero at first, to the largest error of an element in row `rows[i]` of
    /// `C = A B`: relative to the size of what was summed, or to `smallest` where that is less.
    /// Rows are counted over the whole batch of `gemm`.
    pub fn verify_gemm(
        &self,
        [a, b, c]: [&DeviceArray; 3],
        rows: &CudaSlice<u32>,
        errors: &mut CudaSlice<f32>,
        gemm: &Gemm,
        smallest: f32,
    ) -> Result<(), DeviceError> {
        let sizes = gemm.matrices().map(|matrix| matrix.size[0] * matrix.size[1]);
        assert_eq!([a, b, c].map(Elements::count), sizes);
        assert_eq!(a.element(), b.element(), "A and B are stored alike");
        assert!(errors.len() >= rows.len());
        let GemmShape { m, n, k } = gemm.shape;
        let config = LaunchConfig {
            grid_dim: (rows.len() as u32, (n as u32).div_ceil(THREADS), 1),
            ..blocks_of(1, THREADS)
        };
        let (m, n, k) = (m as u64, n as u32, k as u32);
        let (operand, result) = (kind(a.element()), kind(c.element()));
        let [a, b, c] = [a, b, c].map(Elements::address);
        let strides = gemm.strides().map(|strides| strides.map(|stride| stride as u64));
        let mut launch = self.stream.launch_builder(&self.verify_gemm);
        launch.arg(&a).arg(&b).arg(&c).arg(rows).arg(errors).arg(&m).arg(&n).arg(&k);
        for stride in strides.as_flattened() {
            launch.arg(stride);
        }
        launch.arg(&smallest).arg(&operand).arg(&result);
        // SAFETY: the kernel's arguments, the tensors as asserted above; the rows are below M times
        // the batch.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }

    /// As [`Kernels::verify_gemm`] for row `rows[i]` of an attention, counting the queries of all
    /// heads. `scores_rounded` says that the backend rounds its scores to 16 bits.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the kernel")]
    pub fn verify_sdpa(
        &self,
        [q, k, v, o]: [&Tensor; 4],
        rows: &CudaSlice<u32>,
        errors: &mut CudaSlice<f32>,
        sdpa: &Sdpa,
        scale: f32,
        smallest: f32,
        scores_rounded: bool,
        dtype: DType,
    ) -> Result<(), DeviceError> {
        let (seq, keys) = (sdpa.shape.seq_len, sdpa.shape.kv_len());
        let (dim, group) = (sdpa.shape.head_dim, sdpa.shape.heads_per_kv_head());
        assert_eq!([q.len(), o.len()], [sdpa.shape.elements(); 2]);
        assert_eq!([k.len(), v.len()], [sdpa.shape.kv_elements(); 2]);
        assert!(errors.len() >= rows.len());
        let shared_mem_bytes = 4 * (keys + dim) as u32;
        if shared_mem_bytes > DEFAULT_SHARED_BYTES {
            let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            self.verify_sdpa.set_attribute(attribute, shared_mem_bytes as i32).map_err(|_| {
                let message = format!("{keys} keys are too many for the reference");
                DeviceError::unsupported(message)
            })?;
        }
        let config = LaunchConfig { shared_mem_bytes, ..blocks_of(rows.len() as u32, THREADS) };
        let (seq, keys, dim, group) = (seq as u32, keys as u32, dim as u32, group as u32);
        let (causal, scores_rounded) = (i32::from(sdpa.causal), i32::from(scores_rounded));
        let kind = kind(dtype);
        let mut launch = self.stream.launch_builder(&self.verify_sdpa);
        launch.arg(q).arg(k).arg(v).arg(o).arg(rows).arg(errors);
        launch.arg(&seq).arg(&keys).arg(&dim).arg(&group).arg(&scale).arg(&causal);
        launch.arg(&scores_rounded).arg(&smallest).arg(&kind);
        // SAFETY: the kernel's arguments, the tensors as asserted above; the rows are below heads *
        // seq.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }

    /// Adds the number of NaN and infinite elements to `count[0]`.
    pub fn count_nonfinite(
        &self,
        values: &impl Elements,
        count: &mut CudaSlice<u32>,
        element: Element,
    ) -> Result<(), DeviceError> {
        assert_eq!(values.element_bytes(), element.bytes(), "the tensor has such elements");
        let (len, kind, values) = (values.count() as u64, kind(element), values.address());
        let mut launch = self.stream.launch_builder(&self.count_nonfinite);
        launch.arg(&values).arg(&len).arg(count).arg(&kind);
        // SAFETY: the kernel's arguments; `len` is the length of `values`.
        Ok(unsafe { launch.launch(blocks_of(1024, THREADS)) }.map(drop)?)
    }
}
