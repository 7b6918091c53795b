//! What ran: kernels, and the algorithm that a library chose.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// An algorithm of cuBLASLt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algorithm {
    /// cuBLASLt's number of it.
    pub id: u32,
    /// cuBLASLt's number of the tile, `CUBLASLT_MATMUL_TILE_*`.
    pub tile: u32,
    /// cuBLASLt's number of the pipeline, `CUBLASLT_MATMUL_STAGES_*`.
    pub stages: u32,
    /// Parts that K is split into; 1 is not split.
    pub split_k: u32,
    /// Bytes of workspace that it uses.
    pub workspace_bytes: usize,
    /// Its place among those that the heuristic offered, best guess first, from 0.
    pub rank: usize,
    /// How many were offered.
    pub offered: usize,
}

/// A kernel of the captured graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// Its name, demangled, without its parameters.
    pub name: String,
    /// Thread blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block, in bytes.
    pub smem_bytes: u32,
    /// Blocks that fit on one SM at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks_per_sm: Option<u32>,
    /// Blocks of the grid over those that the GPU holds at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waves: Option<f64>,
    /// How full the waves are on average, from 0 to 1: the last one may leave SMs idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_efficiency: Option<f64>,
    /// Elements that rows have to be aligned to, where the kernel's name says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alignment: Option<u32>,
}

impl Kernel {
    /// The alignment of rows, in elements, that CUTLASS writes into the names of its kernels.
    pub fn alignment_of(name: &str) -> Option<u32> {
        let (_, digits) = name.rsplit_once("align")?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    }
}

/// A name longer than this is told without its template arguments.
const LONGEST: usize = 90;

/// Kernels in launch order as a sentence names them: `3 times at::native::elementwise_kernel<…> +
/// pytorch_flash::flash_fwd_kernel<…>`.
pub fn in_words(names: &[String]) -> String {
    let mut counted: IndexMap<String, usize> = IndexMap::new();
    for name in names {
        *counted.entry(short(name)).or_default() += 1;
    }
    let each = counted.into_iter().map(|(name, count)| match count {
        1 => name,
        _ => format!("{count} times {name}"),
    });
    each.collect::<Vec<_>>().join(" + ")
}

fn short(name: &str) -> String {
    match name.split_once('<') {
        Some((head, _)) if name.chars().count() > LONGEST => format!("{head}<…>"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_counts_kernels_and_leaves_out_what_makes_them_long() {
        let long = format!("at::native::elementwise_kernel<128, 4, {}>", "at::native::".repeat(9));
        let cutlass = "cutlass::Kernel2<cutlass_75_tensorop_f16_s1688gemm_f16_128x128_nn_align1>";
        let names = [&long, cutlass, &long].map(str::to_owned);
        let words = format!("2 times at::native::elementwise_kernel<…> + {cutlass}");
        assert_eq!(in_words(&names), words);
        assert_eq!(in_words(&[]), "");
    }

    #[test]
    fn a_name_tells_the_alignment_that_its_kernel_needs() {
        let kernel = "cutlass_80_tensorop_f16_s16816gemm_f16_256x128_32x3_nn_align2";
        for (name, alignment) in [
            ("cutlass_75_tensorop_f16_s1688gemm_f16_128x128_nn_align1", Some(1)),
            (&format!("cutlass::Kernel2<{kernel}>"), Some(2)),
            ("nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_NNT", None),
            ("align", None),
        ] {
            assert_eq!(Kernel::alignment_of(name), alignment, "{name}");
        }
    }
}
