//! Which kernel serves a shape: its tiling, its name, the macros that make it.

use crate::device::cuda::{compile::Define, kernels::kind};
use crate::workload::DType;

/// Shared memory that the driver takes for each block.
pub(super) const RESERVED_BYTES: usize = 1024;

/// A kernel of kernels/flash.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashVariant {
    /// From 1 to 256.
    pub head_dim: usize,
    /// Whether it is the kernel that reads rows of any alignment; else `head_dim` is a multiple of
    /// 8.
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
    /// The tiling for a head_dim, a multiple of 8, on a GPU with so much shared memory per
    /// multiprocessor: the first of those found fastest on an H200 that fits as often as it should,
    /// or else the first that fits at all.
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
    pub(super) fn shared_bytes(&self, head_dim: usize) -> usize {
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

/// How CUTLASS cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemEfficientTile {
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Blocks that share a multiprocessor.
    blocks: usize,
    /// Slices of K and V in shared memory.
    stages: usize,
    /// Whether the result is kept partly in global memory, and not all in registers.
    pub(super) global: bool,
}

impl MemEfficientTile {
    /// For a head_dim up to 64, up to 128, and any.
    pub const ALL: [MemEfficientTile; 3] = [
        MemEfficientTile { queries: 64, keys: 64, blocks: 4, stages: 4, global: false },
        MemEfficientTile { queries: 64, keys: 128, blocks: 2, stages: 4, global: false },
        MemEfficientTile { queries: 32, keys: 128, blocks: 3, stages: 2, global: true },
    ];

    /// The first that takes the head_dim.
    pub fn choose(head_dim: usize) -> Self {
        Self::ALL[match head_dim {
            ..=64 => 0,
            65..=128 => 1,
            _ => 2,
        }]
    }

    /// Weights, slices, and Q.
    pub(super) fn shared_bytes(self, head_dim: usize) -> usize {
        const SLICE: usize = 64;
        let MemEfficientTile { queries, keys, stages, .. } = self;
        let q_columns = head_dim.next_multiple_of(SLICE);
        DType::SIZE_BYTES * (queries * keys + stages * keys * SLICE + queries * q_columns)
    }
}

impl MemEfficientVariant {
    /// The name of the kernel.
    pub fn name(&self) -> String {
        let MemEfficientTile { queries, keys, global, .. } = self.tile;
        let (dtype, kept) = (self.dtype.name(), if global { "gmem" } else { "rf" });
        let mask = if self.causal { "_causal" } else { "" };
        format!("mem_efficient_{dtype}_{queries}x{keys}_{kept}{mask}")
    }

    /// The macros that make it.
    pub fn defines(&self) -> Vec<Define> {
        let MemEfficientTile { queries, keys, blocks, stages, global } = self.tile;
        let mut defines = common(self.name(), self.dtype, self.causal);
        defines.extend([
            ("QUERIES", queries.to_string()),
            ("KEYS", keys.to_string()),
            ("BLOCKS", blocks.to_string()),
            ("STAGES", stages.to_string()),
            ("GLOBAL", u8::from(global).to_string()),
        ]);
        defines
    }
}

pub(super) fn common(name: String, dtype: DType, causal: bool) -> Vec<Define> {
    vec![
        ("NAME", name),
        ("TYPE", kind(dtype).to_string()),
        ("CAUSAL", u8::from(causal).to_string()),
    ]
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
