//! The fused attention kernels, compiled when a plan asks for them.

mod decode;
mod variant;

pub use decode::{DecodeKernel, DecodeVariant};
pub use variant::{FlashTiling, FlashVariant, MemEfficientTile, MemEfficientVariant};

use super::Cuda;
use super::compile::{Define, compile, compile_ahead};
use super::kernels::Tensor;
use crate::device::DeviceError;
use crate::workload::{DType, SdpaShape};
use cudarc::driver::sys::{CUdevice_attribute, CUfunction_attribute};
use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// A fused attention kernel, loaded.
pub struct AttentionKernel {
    function: CudaFunction,
    head_dim: usize,
    queries: usize,
    threads: usize,
    shared_bytes: usize,
    /// Columns of the result kept in global memory; none for kernels without such a parameter.
    kept_columns: Option<usize>,
}

impl AttentionKernel {
    /// FlashAttention-2 for one head_dim from 1 to 256: a multiple of 8, or any if `unpadded`.
    /// Unsupported if no tiling fits this GPU.
    pub fn flash(
        cuda: &Cuda,
        unpadded: bool,
        head_dim: usize,
        dtype: DType,
        causal: bool,
    ) -> Result<Self, DeviceError> {
        let variant = Self::flash_variant(cuda, unpadded, head_dim, dtype, causal)?;
        let tiling = variant.tiling;
        let (name, shared_bytes) =
            (variant.name(), tiling.shared_bytes(head_dim.next_multiple_of(8)));
        Ok(AttentionKernel {
            function: cuda.variant("flash.cu", &variant.defines(), &name, shared_bytes)?,
            head_dim,
            queries: tiling.queries,
            threads: 32 * tiling.warps,
            shared_bytes,
            kept_columns: None,
        })
    }

    fn flash_variant(
        cuda: &Cuda,
        unpadded: bool,
        head_dim: usize,
        dtype: DType,
        causal: bool,
    ) -> Result<FlashVariant, DeviceError> {
        assert!((1..=256).contains(&head_dim) && (unpadded || head_dim.is_multiple_of(8)));
        let most = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR;
        let shared_bytes_per_sm = cuda.context.attribute(most)? as usize;
        let columns = head_dim.next_multiple_of(8);
        let tiling = FlashTiling::choose(columns, shared_bytes_per_sm).ok_or_else(|| {
            DeviceError::unsupported(format!(
                "NS_FLASH at head_dim {head_dim} needs more shared memory than this GPU has"
            ))
        })?;
        Ok(FlashVariant { head_dim, unpadded, dtype, causal, tiling })
    }

    /// Compiles the kernels of [`AttentionKernel::flash`] into the cache: by default S1 needs 80 of
    /// them, a second each.
    pub fn compile_flash(cuda: &Cuda, wanted: &[(bool, usize, DType, bool)]) {
        let variant = |&(unpadded, head_dim, dtype, causal): &(bool, usize, DType, bool)| {
            Self::flash_variant(cuda, unpadded, head_dim, dtype, causal).ok()
        };
        let variants = wanted.iter().filter_map(variant).map(|variant| variant.defines());
        let variants: Vec<_> = variants.collect();
        compile_ahead("flash.cu", &variants, cuda.properties.compute_capability);
    }

    /// CUTLASS-style memory-efficient attention for a multiple of 8. The driver refuses a head_dim
    /// whose queries do not fit in shared memory.
    pub fn mem_efficient(
        cuda: &Cuda,
        head_dim: usize,
        dtype: DType,
        causal: bool,
    ) -> Result<Self, DeviceError> {
        assert!(head_dim.is_multiple_of(8) && head_dim > 0);
        let tile = MemEfficientTile::choose(head_dim);
        let variant = MemEfficientVariant { tile, dtype, causal };
        let MemEfficientTile { queries, keys, global, .. } = tile;
        let (name, shared_bytes) = (variant.name(), tile.shared_bytes(head_dim));
        Ok(AttentionKernel {
            function: cuda.variant("mem_efficient.cu", &variant.defines(), &name, shared_bytes)?,
            head_dim,
            queries,
            threads: queries * keys / 32,
            shared_bytes,
            kept_columns: Some(if global { head_dim - keys } else { 0 }),
        })
    }

    /// Elements of the float32 buffer that a launch needs; at least one, to be allocated.
    pub fn kept_elements(&self, shape: &SdpaShape) -> usize {
        (shape.elements() / self.head_dim * self.kept_columns.unwrap_or(0)).max(1)
    }

    /// Enqueues `O = softmax(scale Q Kᵀ) V`.
    pub fn launch(
        &self,
        stream: &CudaStream,
        [q, k, v]: [&Tensor; 3],
        o: &mut Tensor,
        kept: &mut CudaSlice<f32>,
        shape: &SdpaShape,
        scale: f32,
    ) -> Result<(), DeviceError> {
        let SdpaShape { batch, n_heads, seq_len, head_dim, .. } = *shape;
        assert!(n_heads.is_multiple_of(shape.kv_heads()), "query heads share a KV head evenly");
        assert_eq!(shape.kv_len(), seq_len, "there is a key for each query");
        assert_eq!(head_dim, self.head_dim);
        assert_eq!([q.len(), o.len()], [shape.elements(); 2]);
        assert_eq!([k.len(), v.len()], [shape.kv_elements(); 2]);
        assert!(kept.len() >= self.kept_elements(shape));
        // A tile counts the bytes of a head in 32 bits.
        let head_bytes = seq_len.saturating_mul(head_dim * DType::SIZE_BYTES);
        if n_heads > 65_535 || batch > 65_535 || head_bytes > i32::MAX as usize {
            return Err(DeviceError::unsupported(format!(
                "{batch} x {n_heads} heads of {seq_len} tokens are too many for one launch"
            )));
        }
        let config = LaunchConfig {
            grid_dim: (seq_len.div_ceil(self.queries) as u32, n_heads as u32, batch as u32),
            block_dim: (self.threads as u32, 1, 1),
            shared_mem_bytes: self.shared_bytes as u32,
        };
        let (seq, dim) = (seq_len as i32, head_dim as i32);
        let (group, scale) = (shape.heads_per_kv_head() as i32, scale * std::f32::consts::LOG2_E);
        let mut launch = stream.launch_builder(&self.function);
        launch.arg(q).arg(k).arg(v).arg(o);
        if self.kept_columns.is_some() {
            launch.arg(kept).arg(&seq).arg(&dim);
        } else {
            launch.arg(&seq);
        }
        launch.arg(&group).arg(&scale);
        // SAFETY: the kernel's arguments; the tensors have these sizes, as asserted above.
        Ok(unsafe { launch.launch(config) }.map(drop)?)
    }
}

impl Cuda {
    /// Compiles a kernel and lets it have that much shared memory.
    fn variant(
        &self,
        file: &str,
        defines: &[Define],
        name: &str,
        shared_bytes: usize,
    ) -> Result<CudaFunction, DeviceError> {
        let (major, minor) = self.properties.compute_capability;
        let cubin = compile(file, defines, &format!("sm_{major}{minor}"))?;
        let module = self.context.load_module(Ptx::from_binary(cubin))?;
        let function = module.load_function(name)?;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(attribute, shared_bytes as i32)?;
        Ok(function)
    }
}
