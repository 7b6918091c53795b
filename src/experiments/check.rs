//! What a whole entry has to keep: sizes that fit, and no more cases than anyone would wait for.

use crate::workload::limits::{MAX_CASES, MAX_ELEMENTS};
use crate::workload::matrix::GemmLayout;
use crate::workload::operation::Gemm;
use crate::workload::precision::Precision;
use crate::workload::shape::{GemmShape, SdpaShape};
use std::fmt::Display;

/// What is wrong at a key of the entry, which [`problem`] puts first.
pub type Problem = String;

pub fn problem(key: &str, what: impl Display) -> Problem {
    format!("key `{key}`: {what}")
}

/// Refuses a tensor of [`MAX_ELEMENTS`] or more, whose dimensions are `dims`.
fn tensor(key: &str, dims: &[usize]) -> Result<(), Problem> {
    let elements = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    if elements.is_some_and(|elements| elements < MAX_ELEMENTS) {
        return Ok(());
    }
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    let limit = "below 2^40 (1099511627776) elements";
    Err(problem(key, format!("a tensor of {} is too large; allowed is {limit}", dims.join(" x "))))
}

pub fn gemm(key: &str, gemm: &Gemm) -> Result<(), Problem> {
    let (GemmShape { m, n, k }, batch) = (gemm.shape, gemm.batch);
    // A batch of one is no dimension that an error should name.
    let from = usize::from(batch == 1);
    let tensors = [[batch, m, k], [batch, k, n], [batch, m, n]];
    tensors.iter().try_for_each(|dims| tensor(key, &dims[from..]))
}

/// Refuses fp8 of operands that no library takes.
pub fn layout_of(dtypes: &[Precision], layout: GemmLayout) -> Result<(), Problem> {
    if layout == GemmLayout::Nt || !dtypes.contains(&Precision::Fp8E4m3) {
        return Ok(());
    }
    let (fp8, nt, is) = (Precision::Fp8E4m3.name(), GemmLayout::Nt.name(), layout.name());
    let why = "cuBLASLt multiplies fp8 only where both operands are contiguous along K";
    Err(problem("dtypes", format!("{fp8} needs `layout: {nt}`, and the layout is {is}: {why}")))
}

pub fn sdpa(key: &str, shape: SdpaShape) -> Result<(), Problem> {
    tensor(key, &[shape.batch, shape.n_heads, shape.seq_len, shape.head_dim])?;
    tensor(key, &[shape.batch, shape.kv_heads(), shape.kv_len(), shape.head_dim])
}

pub fn cases(key: &str, dims: impl Iterator<Item = usize>, series: usize) -> Result<(), Problem> {
    let dims = dims.take(MAX_CASES + 1).count();
    if dims.saturating_mul(series) <= MAX_CASES {
        return Ok(());
    }
    Err(problem(key, format!("this makes more than {MAX_CASES} cases; take fewer values")))
}
