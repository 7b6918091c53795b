//! Tables of errors put into right results: what is caught, and what is not.

use super::*;
use rayon::prelude::*;

/// The name of an error, the shape, what puts it into a right result, and where it is caught.
pub type Row<P, S> = (&'static str, S, fn(&mut P), Caught);

/// The precisions in which an error is caught.
pub type Caught = fn(Precision) -> bool;

pub const ALL: Caught = |_| true;
/// Where less than 1 % is accepted: not in bf16, nor in fp8, whose result is bf16.
pub const FINE: Caught = |precision| precision.result() != Element::Bf16;
/// Where less than 0.3 % is accepted.
pub const FINER: Caught = |precision| FINE(precision) && precision != Precision::Tf32;
pub const FP32: Caught = |precision| precision == Precision::Fp32;
pub const NONE: Caught = |_| false;

/// The first row that is compared, or that is not.
pub fn row(rows: usize, is_sampled: bool) -> usize {
    let sampled = sampled_rows(rows, SAMPLED_ROWS);
    (0..rows).find(|row| sampled.contains(row) == is_sampled).unwrap()
}

/// The element of a row whose sum is largest, median or smallest beside its size.
pub fn element(sums: &[host::Sum], precision: Precision, quantile: f64) -> usize {
    let mut order: Vec<_> = (0..sums.len()).collect();
    let key = |&at: &usize| sums[at].value.abs() / sums[at].size(precision);
    order.sort_by(|x, y| key(x).total_cmp(&key(y)));
    order[(quantile * (sums.len() - 1) as f64) as usize]
}

/// Fails with all rows that are not as the table says.
pub fn assert_table<P, S: Copy + std::fmt::Debug + Sync>(
    table: &[Row<P, S>],
    precisions: &[Precision],
    right: impl Fn(S, Precision) -> P + Sync,
    verify: impl Fn(&P) -> Result<Verification, CaseError> + Sync,
) {
    let check = |((name, shape, inject, caught), precision): (&Row<P, S>, Precision)| {
        let mut problem = right(*shape, precision);
        verify(&problem).unwrap();
        inject(&mut problem);
        let verified = verify(&problem);
        let is_other = verified.is_err() != caught(precision);
        is_other.then(|| format!("{name}, {shape:?} {precision:?}: {verified:?}"))
    };
    let each = |row| precisions.iter().map(move |&precision| (row, precision)).collect::<Vec<_>>();
    let found: Vec<String> = table.par_iter().flat_map(each).filter_map(check).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
