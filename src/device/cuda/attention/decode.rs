//! NS_FLASH_DECODE: kernels/flash_decode.cu.

use super::variant::{RESERVED_BYTES, common};
use crate::device::DeviceError;
use crate::device::cuda::compile::{Define, compile_ahead};
use crate::device::cuda::{Cuda, Tensor};
use crate::workload::{DType, SdpaShape};
use cudarc::driver::sys::CUdevice_attribute;
use cudarc::driver::{CudaFunction, CudaSlice, LaunchConfig, PushKernelArg};

/// Threads of a block.
const THREADS: usize = 128;
const WARPS: usize = THREADS / 32;
/// Keys of a tile.
const KEYS: usize = 64;
/// Query heads that one reading of a KV head serves.
const QUERIES: usize = 8;
/// Blocks that may share a multiprocessor, the most first: while one waits for its copies, another
/// computes.
const BLOCKS: [usize; 3] = [4, 2, 1];
/// Tiles of K and V in a ring at least and at most.
const UNITS: std::ops::RangeInclusive<usize> = 2..=8;
/// What a multiprocessor has to have under way so that memory is never idle. What is far more only
/// queues: every answer takes longer, and some multiprocessors get less than others.
const UNDER_WAY_BYTES: usize = 32 << 10;
/// Tiles of a run that is long.
const LONG_RUN: usize = 32;
const STATIC_BYTES: usize = 512;

/// A kernel of kernels/flash_decode.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeVariant {
    /// From 1 to 256.
    pub head_dim: usize,
    /// Element type of all tensors.
    pub dtype: DType,
    /// Tiles of K and V in the ring of a block.
    pub units: usize,
    /// Blocks that share a multiprocessor.
    pub blocks: usize,
}

impl DecodeVariant {
    /// The variant for a head_dim and so many query heads to a KV head, on a GPU with so much
    /// shared memory per multiprocessor: as many blocks as have room for two tiles, or for three
    /// where they are fewer than four.
    pub fn choose(head_dim: usize, group: usize, dtype: DType, shared_bytes_per_sm: usize) -> Self {
        let fits = |variant: &Self| {
            let bytes = variant.shared_bytes(group) + RESERVED_BYTES + STATIC_BYTES;
            variant.blocks * bytes <= shared_bytes_per_sm
        };
        let with = |blocks, units| DecodeVariant { head_dim, dtype, units, blocks };
        let blocks = BLOCKS.into_iter().find(|blocks| fits(&with(*blocks, 2))).unwrap_or(1);
        let is_enough = |units: &usize| {
            let under_way_bytes = blocks * (units - 1) * unit_bytes(head_dim);
            under_way_bytes >= UNDER_WAY_BYTES && (blocks == BLOCKS[0] || *units > 2)
        };
        let units = UNITS.take_while(|units| fits(&with(blocks, *units)));
        let most = units.clone().last().unwrap_or(2);
        with(blocks, units.clone().find(is_enough).unwrap_or(most))
    }

    /// The name of the kernel.
    pub fn name(&self) -> String {
        let DecodeVariant { head_dim, dtype, units, blocks } = self;
        format!("flash_decode_{}_d{head_dim}_x{units}_b{blocks}", dtype.name())
    }

    /// The macros that make it.
    pub fn defines(&self) -> Vec<Define> {
        let mut defines = common(self.name(), self.dtype, false);
        defines.extend([
            ("HEAD_DIM", self.head_dim.to_string()),
            ("UNITS", self.units.to_string()),
            ("BLOCKS", self.blocks.to_string()),
        ]);
        defines
    }

    fn shared_bytes(&self, group: usize) -> usize {
        let query_slots = self.units.div_ceil(2);
        self.units * unit_bytes(self.head_dim) + query_slots * query_bytes(self.head_dim, group)
    }
}

/// As `UNIT_BYTES` of the kernel.
fn unit_bytes(head_dim: usize) -> usize {
    let stride = if head_dim.is_multiple_of(16) { head_dim + 8 } else { head_dim };
    bytes_of(KEYS * stride).max(size_of::<f32>() * WARPS * QUERIES * 16)
}

/// As `query_bytes` of the kernel.
fn query_bytes(head_dim: usize, group: usize) -> usize {
    bytes_of(group.min(QUERIES) * head_dim)
}

fn bytes_of(elements: usize) -> usize {
    (DType::SIZE_BYTES * elements + 80) / 16 * 16
}

/// A kernel loaded for one shape, and its buffers.
pub struct DecodeKernel {
    function: CudaFunction,
    shape: SdpaShape,
    config: LaunchConfig,
    of_rows: CudaSlice<f32>,
    results: CudaSlice<f32>,
    /// Zero between launches.
    arrived: CudaSlice<u32>,
}

impl DecodeKernel {
    /// For one query of each head on a KV cache; head_dim from 1 to 256.
    pub fn new(cuda: &Cuda, shape: SdpaShape, dtype: DType) -> Result<Self, DeviceError> {
        assert!(shape.seq_len == 1 && (1..=256).contains(&shape.head_dim));
        assert!(shape.n_heads.is_multiple_of(shape.kv_heads()), "heads share a KV head evenly");
        let variant = variant(cuda, &shape, dtype)?;
        let group = shape.heads_per_kv_head();
        let shared_bytes = variant.shared_bytes(group);
        let file = "flash_decode.cu";
        let function = cuda.variant(file, &variant.defines(), &variant.name(), shared_bytes)?;

        let kv_heads = shape.batch * shape.kv_heads();
        let passes = kv_heads * group.div_ceil(QUERIES);
        let tiles_of_pass = shape.kv_len().div_ceil(KEYS);
        let tiles = passes * tiles_of_pass;
        let of_sm = function.occupancy_max_active_blocks_per_multiprocessor(
            THREADS as u32,
            shared_bytes,
            None,
        )?;
        let resident = of_sm.max(1) as usize * cuda.properties.sm_count as usize;
        let blocks = blocks_for(passes, tiles_of_pass, resident);
        // The kernel numbers keys, tiles and query heads in 32 bits.
        let query_heads = kv_heads * group;
        if [shape.kv_len() + KEYS, tiles + 1, query_heads + 1]
            .iter()
            .any(|n| *n > i32::MAX as usize)
        {
            return Err(DeviceError::unsupported(format!(
                "{kv_heads} KV heads of {} keys are too many for one launch",
                shape.kv_len()
            )));
        }
        let rows = (passes + blocks) * group.min(QUERIES);
        Ok(DecodeKernel {
            function,
            shape,
            config: LaunchConfig {
                grid_dim: (blocks as u32, 1, 1),
                block_dim: (THREADS as u32, 1, 1),
                shared_mem_bytes: shared_bytes as u32,
            },
            of_rows: cuda.alloc(2 * rows)?,
            results: cuda.alloc(rows * shape.head_dim.next_multiple_of(4))?,
            arrived: cuda.zeros(passes)?,
        })
    }

    /// Compiles the kernels of these into the cache.
    pub fn compile_ahead(cuda: &Cuda, wanted: &[(SdpaShape, DType)]) {
        let mut variants: Vec<DecodeVariant> =
            wanted.iter().filter_map(|(shape, dtype)| variant(cuda, shape, *dtype).ok()).collect();
        variants.sort_by_key(DecodeVariant::name);
        variants.dedup();
        let variants: Vec<_> = variants.iter().map(DecodeVariant::defines).collect();
        compile_ahead("flash_decode.cu", &variants, cuda.properties.compute_capability);
    }

    /// Enqueues `O = softmax(scale Q Kᵀ) V`.
    pub fn launch(
        &mut self,
        cuda: &Cuda,
        [q, k, v]: [&Tensor; 3],
        o: &mut Tensor,
        scale: f32,
    ) -> Result<(), DeviceError> {
        let shape = &self.shape;
        assert_eq!([q.len(), o.len()], [shape.elements(); 2]);
        assert_eq!([k.len(), v.len()], [shape.kv_elements(); 2]);
        let (kv_heads, context) = ((shape.batch * shape.kv_heads()) as i32, shape.kv_len() as i32);
        let (group, scale) = (shape.heads_per_kv_head() as i32, scale * std::f32::consts::LOG2_E);
        let mut launch = cuda.stream().launch_builder(&self.function);
        launch.arg(q).arg(k).arg(v).arg(o);
        launch.arg(&mut self.of_rows).arg(&mut self.results).arg(&mut self.arrived);
        launch.arg(&kv_heads).arg(&context).arg(&group).arg(&scale);
        // SAFETY: the kernel's arguments; the tensors have these sizes, as asserted above, and the
        // buffers were made for them.
        Ok(unsafe { launch.launch(self.config) }.map(drop)?)
    }
}

/// How many blocks share the tiles: all that are resident, or a few less where each pass is then
/// an equal number of runs, or each run a number of passes: fewer parts are put together. Of long
/// runs they are few anyway, and runs at equal distances may all ask the same part of memory at the
/// same time: at head_dim 80 they took 15 % longer on an H100.
fn blocks_for(passes: usize, tiles_of_pass: usize, resident: usize) -> usize {
    let resident = resident.min(passes * tiles_of_pass);
    if passes * tiles_of_pass / resident >= LONG_RUN {
        return resident;
    }
    let is_even = |blocks: &usize| {
        blocks.is_multiple_of(passes) && tiles_of_pass.is_multiple_of(blocks / passes)
            || passes.is_multiple_of(*blocks)
    };
    (resident - resident / 16..=resident).rev().find(is_even).unwrap_or(resident)
}

fn variant(cuda: &Cuda, shape: &SdpaShape, dtype: DType) -> Result<DecodeVariant, DeviceError> {
    let most = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR;
    let shared_bytes_per_sm = cuda.context.attribute(most)? as usize;
    let group = shape.heads_per_kv_head();
    Ok(DecodeVariant::choose(shape.head_dim, group, dtype, shared_bytes_per_sm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_dim_fits_and_has_as_many_bytes_under_way_as_memory_is_far() {
        for shared_bytes_per_sm in [164 << 10, 100 << 10, 228 << 10] {
            for head_dim in 1..=256 {
                for group in [1, 4, 8, 32] {
                    let variant =
                        DecodeVariant::choose(head_dim, group, DType::Fp16, shared_bytes_per_sm);
                    let DecodeVariant { units, blocks, .. } = variant;
                    let bytes = variant.shared_bytes(group) + STATIC_BYTES + RESERVED_BYTES;
                    assert!(blocks * bytes <= shared_bytes_per_sm, "{variant:?}: {bytes}");
                    let under_way = blocks * (units - 1) * 2 * KEYS * head_dim;
                    let is_hopper = shared_bytes_per_sm == 228 << 10;
                    assert!(!is_hopper || head_dim < 24 || under_way >= 28 << 10, "{variant:?}");
                }
            }
        }
    }

    #[test]
    fn short_runs_are_even_where_that_takes_no_more_than_a_sixteenth_of_the_blocks() {
        // 16 caches of 8 KV heads at context 4096, on 132 multiprocessors of four blocks.
        assert_eq!(blocks_for(128, 64, 528), 512);
        // 32 KV heads at context 1024: a block for each.
        assert_eq!(blocks_for(512, 16, 528), 512);
        assert_eq!(blocks_for(1024, 16, 528), 512);
        assert_eq!(blocks_for(512, 16, 396), 396);
        // Long runs.
        assert_eq!(blocks_for(512, 64, 528), 528);
        assert_eq!(blocks_for(3, 5, 528), 15);
        assert_eq!(blocks_for(1, 1, 528), 1);
    }
}
