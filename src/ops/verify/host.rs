//! The checks on the host.

use super::{
    POISON, SAMPLED_ROWS, Scores, judge, poison_of, sampled_rows, smallest_size, tolerance,
};
use crate::ops::{Verification, gemm::GemmProblem, sdpa::SdpaProblem};
use crate::workload::convert::to_f32;
use crate::workload::{CaseError, DType, Gemm, GemmShape, HostArray, Precision, SdpaShape};
use rayon::prelude::*;

/// Fills an output with NaN, so that an element which is not written shows.
pub fn poison(array: &mut HostArray) {
    let bits = poison_of(array.element());
    match array {
        HostArray::Half(_, numbers) => numbers.fill(bits),
        HostArray::Single(numbers) => numbers.fill(f32::from_bits(twice(bits))),
        HostArray::E4m3(numbers) => numbers.fill(bits as u8),
    }
}

fn twice(bits: u16) -> u32 {
    u32::from(bits) << 16 | u32::from(bits)
}

/// Compares `c` with the reference; an error names the row, counting those of the whole batch.
pub fn gemm(problem: &GemmProblem<HostArray>) -> Result<Verification, CaseError> {
    let GemmShape { n, k, .. } = problem.gemm.shape;
    let of = (problem.dtype, tolerance(problem.dtype, k));
    compare(&problem.c, n, of, |row| gemm_row(problem, row))
}

/// Compares `o` with the reference; a row is one query of one head.
pub fn sdpa(problem: &SdpaProblem<Vec<u16>>, scores: Scores) -> Result<Verification, CaseError> {
    let columns = problem.sdpa.shape.head_dim;
    let precision = Precision::from(problem.dtype);
    let of = (precision, tolerance(precision, 1));
    compare(&(problem.dtype, &*problem.o), columns, of, |row| sdpa_row(problem, row, scores))
}

/// An element of the reference.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    pub value: f64,
    /// Of the terms.
    squares: f64,
    /// What the size is multiplied by, less 1.
    slack: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        self.value += term;
        self.squares += term * term;
    }

    /// `√(sum² + Σ term²)` and its factor, as `verify` explains; NaN where the squares overflow,
    /// which would hide any error: beyond float32.
    pub fn size(&self, precision: Precision) -> f64 {
        let norm = (self.value * self.value + self.squares).sqrt();
        let smallest = f64::from(smallest_size(precision));
        // max() drops a NaN.
        let size = if norm.is_nan() { norm } else { norm.max(smallest) * (1.0 + self.slack) };
        if size <= f64::from(f32::MAX) { size } else { f64::NAN }
    }

    fn error(&self, out: f32, precision: Precision) -> f32 {
        ((f64::from(out) - self.value).abs() / self.size(precision)) as f32
    }
}

/// Row `row` of `A B`, counting the rows of the whole batch.
pub(super) fn gemm_row(problem: &GemmProblem<HostArray>, row: usize) -> Vec<Sum> {
    let Gemm { shape: GemmShape { m, n, k }, layout, .. } = problem.gemm;
    let (of_batch, row) = (row / m, row % m);
    let in_a = of_batch * m * k;
    let in_b = of_batch * k * n;
    let [[row_stride, column_stride], _] = problem.gemm.strides();
    let a = |i: usize| f64::from(problem.a.get(in_a + row * row_stride + i * column_stride));
    let a_row: Vec<f64> = (0..k).map(a).collect();
    let mut sums = vec![Sum::default(); n];
    let mut b = vec![0.0; if layout.b_transposed() { k } else { n }];
    if layout.b_transposed() {
        for (column, sum) in sums.iter_mut().enumerate() {
            problem.b.read(in_b + column * k, &mut b);
            a_row.iter().zip(&b).for_each(|(a, &b)| sum.add(a * f64::from(b)));
        }
    } else {
        for (i, a) in a_row.iter().enumerate() {
            problem.b.read(in_b + i * n, &mut b);
            sums.iter_mut().zip(&b).for_each(|(sum, &b)| sum.add(a * f64::from(b)));
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
    let slack: f32 = match precision {
        Scores::Float32 => 0.0,
        Scores::Rounded => weights.iter().zip(&scores).map(|(p, score)| p * score.abs()).sum(),
    };
    let slack = f64::from(slack);

    let mut sums = vec![Sum { slack, ..Sum::default() }; head_dim];
    for (weight, v) in weights.iter().zip(problem.v[own].chunks(head_dim)) {
        sums.iter_mut().zip(v).for_each(|(sum, &v)| sum.add(f64::from(weight * value(v))));
    }
    sums
}

/// A result of any type.
trait Output: Sync {
    fn len(&self) -> usize;
    fn value(&self, at: usize) -> f32;
    fn is_poison(&self, at: usize) -> bool;
}

impl Output for HostArray {
    fn len(&self) -> usize {
        HostArray::len(self)
    }

    fn value(&self, at: usize) -> f32 {
        self.get(at)
    }

    fn is_poison(&self, at: usize) -> bool {
        let poison = poison_of(self.element());
        match self {
            HostArray::Half(_, bits) => bits[at] == poison,
            HostArray::Single(values) => values[at].to_bits() == twice(poison),
            HostArray::E4m3(bits) => bits[at] == poison as u8,
        }
    }
}

impl Output for (DType, &[u16]) {
    fn len(&self) -> usize {
        self.1.len()
    }

    fn value(&self, at: usize) -> f32 {
        to_f32(self.0, self.1[at])
    }

    fn is_poison(&self, at: usize) -> bool {
        self.1[at] == POISON
    }
}

/// Checks that all of `output` was written and is finite, and sampled rows of it against
/// `reference`.
fn compare(
    output: &impl Output,
    columns: usize,
    (precision, tolerance): (Precision, f64),
    reference: impl Fn(usize) -> Vec<Sum> + Sync,
) -> Result<Verification, CaseError> {
    if let Some(at) = (0..output.len()).find(|&at| !output.value(at).is_finite()) {
        let what = match output.is_poison(at) {
            true => "was not written".to_owned(),
            false => format!("is {}", output.value(at)),
        };
        let (row, column) = (at / columns, at % columns);
        return Err(CaseError::wrong_result(format!("row {row}, column {column} {what}")));
    }
    let rows = sampled_rows(output.len() / columns, SAMPLED_ROWS);
    let row_error = |&row: &usize| {
        let elements = (row * columns..).zip(reference(row));
        let errors =
            elements.map(|(at, expected)| expected.error(output.value(at), precision).abs());
        errors.max_by(f32::total_cmp).unwrap_or(f32::NAN)
    };
    let errors: Vec<f32> = rows.par_iter().map(row_error).collect();
    judge(&rows, &errors, precision, tolerance)
}
