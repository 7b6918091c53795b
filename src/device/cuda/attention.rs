//! The fused attention kernels: which variant serves a shape, compiled when a plan asks for it.

use super::compile::{Define, compile};
use super::kernels::{Tensor, kind};
use super::{Cuda, error};
use crate::plan::CaseError;
use crate::shape::DType;
use cudarc::driver::sys::{CUdevice_attribute, CUfunction_attribute};
use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// Shared memory that the driver takes for each block.
const RESERVED_BYTES: usize = 1024;

/// A kernel of kernels/flash.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashVariant {
    /// From 1 to 256.
    pub head_dim: usize,
    /// Whether it is the kernel that reads rows of any alignment; else `head_dim` is a multiple of 8.
    pub unpadded: bool,
    /// Element type of all tensors.
    pub dtype: DType,
    /// Mask out keys after the query.
    pub causal: bool,
    /// How it is cut.
    pub tiling: FlashTiling,
}

/// How attention is cut into blocks, warps and steps: macros of kernels/flash.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashTiling {
    /// Queries of a block.
    pub queries: usize,
    /// Keys of a step.
    pub keys: usize,
    /// Warps of a block.
    pub warps: usize,
    /// Blocks that share a multiprocessor.
    pub blocks: usize,
    /// Steps of 16 columns of Q that stay in registers.
    pub query_registers: usize,
}

impl FlashTiling {
    /// The tiling for a head_dim, a multiple of 8, on a GPU with so much shared memory per multiprocessor: the first of those found
    /// fastest on an H200 that fits as often as it should, or else the first that fits at all.
    pub fn choose(head_dim: usize, shared_bytes_per_sm: usize) -> Option<Self> {
        let steps = head_dim / 16;
        let [keys, query_registers] = match head_dim {
            ..=40 => [32, 0],
            41..=56 => [32, 3],
            57..=80 => [64, 4],
            81..=88 => [64, 2],
            89..=96 => [64, 1],
            97..=120 => [32, 4],
            121..=128 => [32, 3],
            129..=136 => [32, 2],
            137..=144 => [32, 1],
            145..=152 => [32, 0],
            153..=168 => [32, 1],
            169..=184 => [32, 0],
            185..=248 => [64, 12],
            _ => [32, 16],
        };
        // Above that a warp has registers for 16 rows of the result, and not for 32.
        let [warps, blocks] = if head_dim <= 184 { [4, 2] } else { [8, 1] };
        let first = FlashTiling { queries: 128, keys, warps, blocks, query_registers };
        let fewer_keys =
            FlashTiling { keys: 32, query_registers: query_registers.min(steps), ..first };
        let query_registers = steps.min(14);
        let fewer_queries =
            FlashTiling { queries: 64, keys: 32, warps: 4, blocks: 2, query_registers };
        let tilings = [first, fewer_keys, fewer_queries];
        let fits = |tiling: &FlashTiling, blocks: usize| {
            blocks * (tiling.shared_bytes(head_dim) + RESERVED_BYTES) <= shared_bytes_per_sm
        };
        let as_often = tilings.iter().find(|tiling| fits(tiling, tiling.blocks));
        as_often.or_else(|| tilings.iter().find(|tiling| fits(tiling, 1))).copied()
    }

    /// Q, and two steps of K and V.
    fn shared_bytes(&self, head_dim: usize) -> usize {
        DType::SIZE_BYTES * head_dim * (self.queries + 4 * self.keys)
    }
}

impl FlashVariant {
    /// The name of the kernel.
    pub fn name(&self) -> String {
        let FlashVariant { head_dim, dtype, tiling, .. } = self;
        let (queries, keys, dtype) = (tiling.queries, tiling.keys, dtype.name());
        let kernel = if self.unpadded { "flash_unpadded" } else { "flash_forward" };
        let mask = if self.causal { "_causal" } else { "" };
        format!("{kernel}_{dtype}_d{head_dim}_{queries}x{keys}{mask}")
    }

    /// The macros that make it.
    pub fn defines(&self) -> Vec<Define> {
        let FlashVariant { head_dim, dtype, causal, tiling, .. } = *self;
        let mut defines = common(self.name(), dtype, causal);
        defines.extend([
            ("HEAD_DIM", head_dim.next_multiple_of(8).to_string()),
            ("DATA_DIM", head_dim.to_string()),
            ("QUERIES", tiling.queries.to_string()),
            ("KEYS", tiling.keys.to_string()),
            ("WARPS", tiling.warps.to_string()),
            ("BLOCKS", tiling.blocks.to_string()),
            ("QUERY_REGISTERS", tiling.query_registers.to_string()),
        ]);
        defines
    }
}

/// A kernel of kernels/mem_efficient.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemEfficientVariant {
    /// How it is cut.
    pub tile: MemEfficientTile,
    /// Element type of all tensors.
    pub dtype: DType,
    /// Mask out keys after the query.
    pub causal: bool,
}

/// CUTLASS's three tiles of queries and keys, and where the result is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemEfficientTile {
    /// 64 x 64, in registers: head_dim up to 64.
    Rf64x64,
    /// 64 x 128, in registers: head_dim up to 128.
    Rf64x128,
    /// 32 x 128, partly in global memory: any head_dim.
    Gmem32x128,
}

impl MemEfficientTile {
    /// All of them.
    pub const ALL: [MemEfficientTile; 3] =
        [MemEfficientTile::Rf64x64, MemEfficientTile::Rf64x128, MemEfficientTile::Gmem32x128];

    /// The first that takes the head_dim.
    pub fn choose(head_dim: usize) -> Self {
        match head_dim {
            ..=64 => MemEfficientTile::Rf64x64,
            65..=128 => MemEfficientTile::Rf64x128,
            _ => MemEfficientTile::Gmem32x128,
        }
    }

    /// Queries and keys.
    fn size(self) -> [usize; 2] {
        match self {
            MemEfficientTile::Rf64x64 => [64, 64],
            MemEfficientTile::Rf64x128 => [64, 128],
            MemEfficientTile::Gmem32x128 => [32, 128],
        }
    }

    /// Blocks that share a multiprocessor, and slices of K and V in shared memory.
    fn blocks_and_stages(self) -> [usize; 2] {
        match self {
            MemEfficientTile::Rf64x64 => [4, 4],
            MemEfficientTile::Rf64x128 => [2, 4],
            MemEfficientTile::Gmem32x128 => [3, 2],
        }
    }

    /// Weights, slices, and Q.
    fn shared_bytes(self, head_dim: usize) -> usize {
        const SLICE: usize = 64;
        let ([queries, keys], [_, stages]) = (self.size(), self.blocks_and_stages());
        let q_columns = head_dim.next_multiple_of(SLICE);
        DType::SIZE_BYTES * (queries * keys + stages * keys * SLICE + queries * q_columns)
    }
}

impl MemEfficientVariant {
    /// The name of the kernel.
    pub fn name(&self) -> String {
        let ([queries, keys], dtype) = (self.tile.size(), self.dtype.name());
        let kept = if self.tile == MemEfficientTile::Gmem32x128 { "gmem" } else { "rf" };
        let mask = if self.causal { "_causal" } else { "" };
        format!("mem_efficient_{dtype}_{queries}x{keys}_{kept}{mask}")
    }

    /// The macros that make it.
    pub fn defines(&self) -> Vec<Define> {
        let ([queries, keys], [blocks, stages]) = (self.tile.size(), self.tile.blocks_and_stages());
        let global = u8::from(self.tile == MemEfficientTile::Gmem32x128);
        let mut defines = common(self.name(), self.dtype, self.causal);
        defines.extend([
            ("QUERIES", queries.to_string()),
            ("KEYS", keys.to_string()),
            ("BLOCKS", blocks.to_string()),
            ("STAGES", stages.to_string()),
            ("GLOBAL", global.to_string()),
        ]);
        defines
    }
}

fn common(name: String, dtype: DType, causal: bool) -> Vec<Define> {
    vec![
        ("NAME", name),
        ("TYPE", kind(dtype).to_string()),
        ("CAUSAL", u8::from(causal).to_string()),
    ]
}

/// Sizes of an attention but for the head_dim.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSize {
    /// Sequences.
    pub batch: usize,
    /// Heads of the queries.
    pub n_heads: usize,
    /// Heads of the keys and values: a divisor of `n_heads`.
    pub kv_heads: usize,
    /// Tokens of a sequence.
    pub seq_len: usize,
}

/// A fused attention kernel, loaded.
pub struct AttentionKernel {
    function: CudaFunction,
    head_dim: usize,
    queries: usize,
    threads: usize,
    shared_bytes: usize,
    /// Columns of the result that the kernel keeps in global memory; none for those without such a parameter.
    kept_columns: Option<usize>,
}

impl AttentionKernel {
    /// FlashAttention-2 for one head_dim from 1 to 256: a multiple of 8, or any if `unpadded`.
    ///
    /// # Errors
    /// Unsupported if no tiling fits this GPU; what the compiler or the driver reports.
    pub fn flash(
        cuda: &Cuda,
        unpadded: bool,
        head_dim: usize,
        dtype: DType,
        causal: bool,
    ) -> Result<Self, CaseError> {
        assert!((1..=256).contains(&head_dim) && (unpadded || head_dim.is_multiple_of(8)));
        let attribute =
            CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR;
        let shared_bytes_per_sm = cuda.context.attribute(attribute).map_err(error)? as usize;
        let columns = head_dim.next_multiple_of(8);
        let tiling = FlashTiling::choose(columns, shared_bytes_per_sm).ok_or_else(|| {
            CaseError::unsupported(format!(
                "FLASH at head_dim {head_dim} needs more shared memory than this GPU has"
            ))
        })?;
        let variant = FlashVariant { head_dim, unpadded, dtype, causal, tiling };
        let (name, shared_bytes) = (variant.name(), tiling.shared_bytes(columns));
        Ok(AttentionKernel {
            function: cuda.variant("flash.cu", &variant.defines(), &name, shared_bytes)?,
            head_dim,
            queries: tiling.queries,
            threads: 32 * tiling.warps,
            shared_bytes,
            kept_columns: None,
        })
    }

    /// CUTLASS-style memory-efficient attention for a multiple of 8.
    ///
    /// # Errors
    /// What the compiler or the driver reports; a head_dim whose queries do not fit in shared memory is among it.
    pub fn mem_efficient(
        cuda: &Cuda,
        head_dim: usize,
        dtype: DType,
        causal: bool,
    ) -> Result<Self, CaseError> {
        assert!(head_dim.is_multiple_of(8) && head_dim > 0);
        let tile = MemEfficientTile::choose(head_dim);
        let variant = MemEfficientVariant { tile, dtype, causal };
        let ([queries, keys], shared_bytes) = (tile.size(), tile.shared_bytes(head_dim));
        let (file, name) = ("mem_efficient.cu", variant.name());
        Ok(AttentionKernel {
            function: cuda.variant(file, &variant.defines(), &name, shared_bytes)?,
            head_dim,
            queries,
            threads: queries * keys / 32,
            shared_bytes,
            kept_columns: Some(match tile {
                MemEfficientTile::Gmem32x128 => head_dim - keys,
                MemEfficientTile::Rf64x64 | MemEfficientTile::Rf64x128 => 0,
            }),
        })
    }

    /// Elements of the float32 buffer that a launch needs; at least one, so that it can be allocated.
    pub fn kept_elements(&self, size: AttentionSize) -> usize {
        (size.rows() * self.kept_columns.unwrap_or(0)).max(1)
    }

    /// Enqueues `O = softmax(scale Q Kᵀ) V`.
    ///
    /// # Errors
    /// Unsupported for more heads or tokens than a launch can have; what the driver reports.
    pub fn launch(
        &self,
        stream: &CudaStream,
        [q, k, v]: [&Tensor; 3],
        o: &mut Tensor,
        kept: &mut CudaSlice<f32>,
        size: AttentionSize,
        scale: f32,
    ) -> Result<(), CaseError> {
        let AttentionSize { batch, n_heads, kv_heads, seq_len } = size;
        let kv_elements = batch * kv_heads * seq_len * self.head_dim;
        assert!(n_heads.is_multiple_of(kv_heads), "query heads share a head of keys evenly");
        assert_eq!([q.len(), o.len()], [size.rows() * self.head_dim; 2]);
        assert_eq!([k.len(), v.len()], [kv_elements; 2]);
        assert!(kept.len() >= self.kept_elements(size));
        // A tile counts the bytes of a head in 32 bits.
        let head_bytes = seq_len.saturating_mul(self.head_dim * DType::SIZE_BYTES);
        if n_heads > 65_535 || batch > 65_535 || head_bytes > i32::MAX as usize {
            return Err(CaseError::unsupported(format!(
                "{batch} x {n_heads} heads of {seq_len} tokens are too many for one launch"
            )));
        }
        let config = LaunchConfig {
            grid_dim: (seq_len.div_ceil(self.queries) as u32, n_heads as u32, batch as u32),
            block_dim: (self.threads as u32, 1, 1),
            shared_mem_bytes: self.shared_bytes as u32,
        };
        let (seq, dim) = (seq_len as i32, self.head_dim as i32);
        let (group, scale) = ((n_heads / kv_heads) as i32, scale * std::f32::consts::LOG2_E);
        let mut launch = stream.launch_builder(&self.function);
        launch.arg(q).arg(k).arg(v).arg(o);
        if self.kept_columns.is_some() {
            launch.arg(kept).arg(&seq).arg(&dim);
        } else {
            launch.arg(&seq);
        }
        launch.arg(&group).arg(&scale);
        // SAFETY: the arguments are those of the kernel; the sizes are those of the tensors, as asserted above.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }
}

impl AttentionSize {
    fn rows(&self) -> usize {
        self.batch * self.n_heads * self.seq_len
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
    ) -> Result<CudaFunction, CaseError> {
        let (major, minor) = self.properties.compute_capability;
        let cubin =
            compile(file, defines, &format!("sm_{major}{minor}")).map_err(CaseError::cuda)?;
        let module = self.context.load_module(Ptx::from_binary(cubin)).map_err(error)?;
        let function = module.load_function(name).map_err(error)?;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(attribute, shared_bytes as i32).map_err(error)?;
        Ok(function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A100, its smaller sisters and Ada, Hopper.
    const SHARED_BYTES_PER_SM: [usize; 3] = [164 << 10, 100 << 10, 228 << 10];

    #[test]
    fn every_head_dim_has_a_tiling_that_fits() {
        for shared_bytes_per_sm in SHARED_BYTES_PER_SM {
            for head_dim in (8..=256).step_by(8) {
                let tiling = FlashTiling::choose(head_dim, shared_bytes_per_sm).unwrap();
                let needed = tiling.shared_bytes(head_dim) + RESERVED_BYTES;
                assert!(needed <= shared_bytes_per_sm, "{head_dim}: {tiling:?}");
                assert!(16 * tiling.query_registers <= head_dim, "{head_dim}: {tiling:?}");
                assert_eq!(tiling.queries % (16 * tiling.warps), 0);
                let tile = MemEfficientTile::choose(head_dim);
                assert!(tile.shared_bytes(head_dim) + RESERVED_BYTES <= shared_bytes_per_sm);
            }
        }
        assert_eq!(FlashTiling::choose(256, 16 << 10), None);
    }

    #[test]
    fn kernels_are_named_by_what_they_compute() {
        let tiling = FlashTiling::choose(112, 228 << 10).unwrap();
        let flash = FlashVariant {
            head_dim: 112,
            unpadded: false,
            dtype: DType::Fp16,
            causal: false,
            tiling,
        };
        assert_eq!(flash.name(), "flash_forward_fp16_d112_128x32");
        let flash = FlashVariant { head_dim: 107, unpadded: true, ..flash };
        assert_eq!(flash.name(), "flash_unpadded_fp16_d107_128x32");
        let tile = MemEfficientTile::choose(136);
        let variant = MemEfficientVariant { tile, dtype: DType::Bf16, causal: true };
        assert_eq!(variant.name(), "mem_efficient_bf16_32x128_gmem_causal");
    }
}
