//! Is the result right? Every plan answers this before it is timed.
//!
//! The output is filled with [`POISON`], the plan launched once, and every element has to be a
//! finite number afterwards. The elements of sampled rows are compared with a reference that
//! multiplies and adds term by term: attention in float32, GEMMs in float64.
//!
//! # The error of an element
//!
//! An element is a sum of terms: `Σ a b` in a GEMM, `Σ p v` in attention, with the softmax weights
//! `p`. Terms cancel, and a sum near zero has the rounding errors of its terms all the same. So the
//! difference from the reference is taken relative to what was summed:
//!
//! ```text
//! error = |out − sum| / size        size = √(sum² + Σ term²)
//! ```
//!
//! Of a right result, with the unit roundoff u of its type:
//!
//! - Rounding the result costs up to u |sum|.
//! - Rounding each term (the weights of fused attention) or each of a few partial sums (split K)
//!   costs up to u |term| each. Such errors are as good as independent and add up as a random walk,
//!   to about u √(Σ term²). The bound that no data exceed, u Σ |term|, is √n times larger
//!   for n terms and would hide a wrong tile. See Higham and Mary, A New Approach to Probabilistic
//!   Rounding Error Analysis, SIAM J. Sci. Comput. 41(5), 2019.
//! - Rounding a score s changes its weight by up to u |s|. Where a backend does
//!   ([`Scores::Rounded`]), the size is multiplied by 1 + Σ p |s|.
//! - Float32 sums in another order cost far less than u, unless the result is float32 as well.
//!
//! The size is never below [`smallest_size`].

pub mod cuda;
pub mod host;
#[cfg(test)]
mod tests;

use crate::ops::Verification;
use crate::workload::{CaseError, Element, Precision, philox::philox4x32};

/// What fills an output before it is checked: a quiet NaN in fp16 and in bf16 alike, with a payload
/// that is no hardware's default. An element that still has it was not written.
/// Twice in a row it is one in fp32.
pub const POISON: u16 = 0x7fea;
/// The same for two E4M3 numbers, of which an operand that a launch has to pad may consist.
const POISON_E4M3: u16 = 0x7f7f;

fn poison_of(element: Element) -> u16 {
    match element {
        Element::Fp16 | Element::Bf16 | Element::Fp32 => POISON,
        Element::E4m3 => POISON_E4M3,
    }
}

/// Rows compared at most.
pub const SAMPLED_ROWS: usize = 64;

/// Whether a backend of attention rounds its scores to 16 bits before the softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// They stay in float32.
    Float32,
    /// They are rounded.
    Rounded,
}

/// The error of an element of so many terms that is accepted: four unit roundoffs (2⁻¹¹ in fp16,
/// 2⁻⁸ in bf16 and in the bf16 result of fp8, whose products float32 holds exactly).
///
/// The tests simulate right results: they are off by up to 0.9 where only the result is rounded,
/// 1.6 where softmax weights and scores are too, and 2.2 where partial sums of a split K are.
///
/// In tf32 it is the operands that are rounded, to 2⁻¹¹ each, or cut, to 2⁻¹⁰: four of the latter.
/// In fp32 nothing is but the sums on the way, as many as there are terms: eight unit roundoffs of
/// 2⁻²⁴, times the root of that. Tf32 in its place does not pass.
pub fn tolerance(precision: Precision, terms: usize) -> f64 {
    match precision {
        Precision::Fp16 => 2e-3,
        Precision::Tf32 => 4e-3,
        Precision::Bf16 | Precision::Fp8E4m3 => 1.6e-2,
        Precision::Fp32 => 8.0 * 2f64.powi(-24) * (terms as f64).sqrt(),
    }
}

/// The least size that errors are relative to. In fp16 it is the smallest normal number: numbers
/// below it are no closer to each other, so they are rounded by as much. In the others it is the
/// smallest number whose square is a normal float32: seeded data come nowhere near it.
pub fn smallest_size(precision: Precision) -> f32 {
    let exponent = match precision.result() {
        Element::Fp16 => -14,
        Element::Bf16 | Element::Fp32 | Element::E4m3 => -63,
    };
    2f32.powi(exponent)
}

/// At most `at_most` of `total` rows, in ascending order: the first, the last, and between them one
/// at a random place in each of equal stretches, so that no period of a tiling can hide an error.
/// The same rows every time.
pub fn sampled_rows(total: usize, at_most: usize) -> Vec<usize> {
    if total <= at_most {
        return (0..total).collect();
    }
    let start_of = |stretch: usize| (stretch as u128 * total as u128 / at_most as u128) as usize;
    let row_in = |stretch: usize| {
        let (start, end) = (start_of(stretch), start_of(stretch + 1));
        let [random, ..] = philox4x32([stretch as u32, 0, 0, 0], [total as u32, 0]);
        match stretch {
            0 => 0,
            _ if stretch + 1 == at_most => total - 1,
            _ => start + random as usize % (end - start),
        }
    };
    (0..at_most).map(row_in).collect()
}

/// The verdict on the largest error of each of the `rows` compared: wrong if one is above the
/// tolerance or NaN, or if no row was compared.
fn judge(
    rows: &[usize],
    errors: &[f32],
    precision: Precision,
    tolerance: f64,
) -> Result<Verification, CaseError> {
    // abs() takes the sign off a NaN, and total_cmp puts it above every number: it cannot hide.
    let errors = rows.iter().zip(errors).map(|(row, error)| (row, error.abs()));
    let Some((row, worst)) = errors.max_by(|(_, x), (_, y)| x.total_cmp(y)) else {
        return Err(CaseError::wrong_result("no row was compared"));
    };
    let (max_rel_error, rows) = (f64::from(worst), rows.len());
    if max_rel_error <= tolerance {
        return Ok(Verification { max_rel_error, tolerance, rows });
    }
    Err(CaseError::wrong_result(format!(
        "row {row}: relative error {max_rel_error:.3e} is not within {tolerance:.1e} ({}, rows \
         compared: {rows})",
        precision.name()
    )))
}
