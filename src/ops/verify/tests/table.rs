//! Tables of errors put into right results: what is caught, and what is not.

use super::*;
use rayon::prelude::*;

/// The name of an error, the shape, what puts it into a right result, and whether it is caught in
/// fp16 and in bf16.
pub type Row<P, S> = (&'static str, S, fn(&mut P), [bool; 2]);

pub const BOTH: [bool; 2] = [true, true];
pub const FP16: [bool; 2] = [true, false];
pub const NONE: [bool; 2] = [false, false];

/// The first row that is compared, or that is not.
pub fn row(rows: usize, is_sampled: bool) -> usize {
    let sampled = sampled_rows(rows, SAMPLED_ROWS);
    (0..rows).find(|row| sampled.contains(row) == is_sampled).unwrap()
}

/// The element of a row whose sum is largest, median or smallest beside its size.
pub fn element(sums: &[host::Sum], dtype: DType, quantile: f64) -> usize {
    let mut order: Vec<_> = (0..sums.len()).collect();
    let key = |&at: &usize| sums[at].value.abs() / sums[at].size(dtype);
    order.sort_by(|x, y| key(x).total_cmp(&key(y)));
    order[(quantile * (sums.len() - 1) as f64) as usize]
}

pub fn scale(bits: &mut u16, dtype: DType, factor: f32) {
    *bits = from_f32(dtype, factor * to_f32(dtype, *bits));
}

/// Fails with all rows that are not as the table says.
pub fn assert_table<P, S: Copy + std::fmt::Debug + Sync>(
    table: &[Row<P, S>],
    right: impl Fn(S, DType) -> P + Sync,
    verify: impl Fn(&P) -> Result<Verification, CaseError> + Sync,
) {
    let check = |((name, shape, inject, caught), i): (&Row<P, S>, usize)| {
        let mut problem = right(*shape, DType::ALL[i]);
        verify(&problem).unwrap();
        inject(&mut problem);
        let verified = verify(&problem);
        let is_other = verified.is_err() != caught[i];
        is_other.then(|| format!("{name}, {shape:?} {:?}: {verified:?}", DType::ALL[i]))
    };
    let found: Vec<String> =
        table.par_iter().flat_map(|row| [(row, 0), (row, 1)]).filter_map(check).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
