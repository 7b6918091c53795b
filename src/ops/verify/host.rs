//! The checks on the host.

use super::{POISON, SAMPLED_ROWS, Scores, judge, sampled_rows, smallest_size};
use crate::ops::{Verification, gemm::GemmProblem, sdpa::SdpaProblem};
use crate::workload::{CaseError, DType, Gemm, GemmShape, SdpaShape, convert::to_f32};
use rayon::prelude::*;

/// Compares `c` with the reference; an error names the row, counting those of the whole batch.
pub fn gemm(problem: &GemmProblem<Vec<u16>>) -> Result<Verification, CaseError> {
    compare(&problem.c, problem.gemm.shape.n, problem.dtype, |row| gemm_row(problem, row))
}

/// Compares `o` with the reference; a row is one query of one head.
pub fn sdpa(problem: &SdpaProblem<Vec<u16>>, scores: Scores) -> Result<Verification, CaseError> {
    let columns = problem.sdpa.shape.head_dim;
    compare(&problem.o, columns, problem.dtype, |row| sdpa_row(problem, row, scores))
}

/// An element of the reference.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    pub value: f32,
    /// Of the terms.
    squares: f32,
    /// What the size is multiplied by, less 1.
    slack: f32,
}

impl Sum {
    fn add(&mut self, term: f32) {
        self.value += term;
        self.squares += term * term;
    }

    /// `√(sum² + Σ term²)` and its factor, as `verify` explains; NaN where the squares overflow,
    /// which would hide any error.
    pub fn size(&self, dtype: DType) -> f32 {
        let norm = (self.value * self.value + self.squares).sqrt();
        let size = norm.max(smallest_size(dtype)) * (1.0 + self.slack);
        if size.is_finite() { size } else { f32::NAN }
    }

    fn error(&self, bits: u16, dtype: DType) -> f32 {
        (to_f32(dtype, bits) - self.value).abs() / self.size(dtype)
    }
}

/// Row `row` of `A B`, counting the rows of the whole batch.
pub(super) fn gemm_row(problem: &GemmProblem<Vec<u16>>, row: usize) -> Vec<Sum> {
    let Gemm { shape: GemmShape { m, n, k }, layout, .. } = problem.gemm;
    let value = |bits: u16| to_f32(problem.dtype, bits);
    let (of_batch, row) = (row / m, row % m);
    let a = &problem.a[of_batch * m * k..][..m * k];
    let b = &problem.b[of_batch * k * n..][..k * n];
    let [[row_stride, column_stride], _] = problem.gemm.strides();
    let a_row: Vec<f32> = (0..k).map(|i| value(a[row * row_stride + i * column_stride])).collect();
    let mut sums = vec![Sum::default(); n];
    if layout.b_transposed() {
        for (sum, b_column) in sums.iter_mut().zip(b.chunks(k)) {
            a_row.iter().zip(b_column).for_each(|(a, &b)| sum.add(a * value(b)));
        }
    } else {
        for (a, b_row) in a_row.iter().zip(b.chunks(n)) {
            sums.iter_mut().zip(b_row).for_each(|(sum, &b)| sum.add(a * value(b)));
        }
    }
    sums
}

/// Row `row` of `softmax(scale · Q Kᵀ) V`, counting the queries of all heads.
pub(super) fn sdpa_row(problem: &SdpaProblem<Vec<u16>>, row: usize, precision: Scores) -> Vec<Sum> {
    let SdpaShape { seq_len, head_dim, .. } = problem.sdpa.shape;
    let kv_len = problem.sdpa.shape.kv_len();
    let value = |bits: u16| to_f32(problem.dtype, bits);
    let (head, query) = (row / seq_len, row % seq_len);
    let keys = if problem.sdpa.causal { query + 1 } else { kv_len };
    let first = head / problem.sdpa.shape.heads_per_kv_head() * kv_len;
    let own = first * head_dim..(first + keys) * head_dim;
    let q = &problem.q[row * head_dim..][..head_dim];

    let scores: Vec<f32> = problem.k[own.clone()]
        .chunks(head_dim)
        .map(|k| q.iter().zip(k).map(|(&q, &k)| value(q) * value(k)).sum::<f32>() * problem.scale())
        .collect();
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut weights: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
    let total: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    let slack = match precision {
        Scores::Float32 => 0.0,
        Scores::Rounded => weights.iter().zip(&scores).map(|(p, score)| p * score.abs()).sum(),
    };

    let mut sums = vec![Sum { slack, ..Sum::default() }; head_dim];
    for (weight, v) in weights.iter().zip(problem.v[own].chunks(head_dim)) {
        sums.iter_mut().zip(v).for_each(|(sum, &v)| sum.add(weight * value(v)));
    }
    sums
}

/// Checks that all of `output` was written and is finite, and sampled rows of it against
/// `reference`.
fn compare(
    output: &[u16],
    columns: usize,
    dtype: DType,
    reference: impl Fn(usize) -> Vec<Sum> + Sync,
) -> Result<Verification, CaseError> {
    if let Some(at) = output.iter().position(|&bits| !to_f32(dtype, bits).is_finite()) {
        let what = match output[at] {
            POISON => "was not written".to_owned(),
            bits => format!("is {}", to_f32(dtype, bits)),
        };
        let (row, column) = (at / columns, at % columns);
        return Err(CaseError::wrong_result(format!("row {row}, column {column} {what}")));
    }
    let rows = sampled_rows(output.len() / columns, SAMPLED_ROWS);
    let row_error = |&row: &usize| {
        let elements = output[row * columns..][..columns].iter().zip(reference(row));
        let errors = elements.map(|(&bits, expected)| expected.error(bits, dtype).abs());
        errors.max_by(f32::total_cmp).unwrap_or(f32::NAN)
    };
    let errors: Vec<f32> = rows.par_iter().map(row_error).collect();
    judge(&rows, &errors, dtype)
}
