//! Is the result right? Every plan answers this before it is timed.
//!
//! The output is filled with [`POISON`], the plan launched once, and every element has to be a
//! finite number afterwards; sampled rows are compared with a reference that multiplies and adds in
//! float32, term by term.

pub mod cuda;

use crate::ops::{Verification, gemm::GemmProblem, sdpa::SdpaProblem};
use crate::workload::{
    CaseError, DType, Gemm, GemmShape, SdpaShape, convert::to_f32, philox::philox4x32,
};
use rayon::prelude::*;

/// What fills an output before it is checked: a quiet NaN in fp16 and in bf16 alike, with a payload
/// that is no hardware's default. An element that still has it was not written.
pub const POISON: u16 = 0x7fea;

/// Rows compared at most.
pub const SAMPLED_ROWS: usize = 64;

/// The relative error of a row that is accepted: four unit roundoffs (2⁻¹¹ in fp16, 2⁻⁸ in bf16).
///
/// Rounding the result takes up to one. Backends may also round their scores and their softmax
/// weights to 16 bits, at most one each and mostly averaged out over a row; float32 accumulation in
/// another order stays below one at the lengths of the sweeps. A wrong, missing or doubled tile is
/// off by far more.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::Fp16 => 2e-3,
        DType::Bf16 => 1.6e-2,
    }
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

/// The verdict on the largest relative error of the `rows` compared: wrong if above `tolerance` or
/// NaN, or if no row was compared.
fn judge(
    tolerance: f64,
    max_rel_error: f64,
    rows: usize,
    dtype: DType,
) -> Result<Verification, CaseError> {
    if rows == 0 {
        return Err(CaseError::wrong_result("no row was compared"));
    }
    if max_rel_error <= tolerance {
        return Ok(Verification { max_rel_error, tolerance, rows });
    }
    Err(CaseError::wrong_result(format!(
        "relative error {max_rel_error:.3e} is not within {tolerance:.1e} ({}, rows compared: \
         {rows})",
        dtype.name()
    )))
}

/// Compares `c` with a reference; an error names the row, counting those of the whole batch.
pub fn host_gemm(problem: &GemmProblem<Vec<u16>>) -> Result<Verification, CaseError> {
    compare(&problem.c, problem.gemm.shape.n, problem.dtype, |row| gemm_row(problem, row))
}

/// Compares `o` with a reference; a row is one query of one head.
pub fn host_sdpa(problem: &SdpaProblem<Vec<u16>>) -> Result<Verification, CaseError> {
    compare(&problem.o, problem.sdpa.shape.head_dim, problem.dtype, |row| sdpa_row(problem, row))
}

/// Row `row` of `A B`, counting the rows of the whole batch.
fn gemm_row(problem: &GemmProblem<Vec<u16>>, row: usize) -> Vec<f32> {
    let Gemm { shape: GemmShape { m, n, k }, layout, .. } = problem.gemm;
    let value = |bits: u16| to_f32(problem.dtype, bits);
    let (of_batch, row) = (row / m, row % m);
    let a = &problem.a[of_batch * m * k..][..m * k];
    let b = &problem.b[of_batch * k * n..][..k * n];
    let [[row_stride, column_stride], _] = problem.gemm.strides();
    let a_row: Vec<f32> = (0..k).map(|i| value(a[row * row_stride + i * column_stride])).collect();
    let mut sums = vec![0.0; n];
    if layout.b_transposed() {
        for (sum, b_column) in sums.iter_mut().zip(b.chunks(k)) {
            a_row.iter().zip(b_column).for_each(|(a, &b)| *sum += a * value(b));
        }
    } else {
        for (a, b_row) in a_row.iter().zip(b.chunks(n)) {
            sums.iter_mut().zip(b_row).for_each(|(sum, &b)| *sum += a * value(b));
        }
    }
    sums
}

/// Row `row` of `softmax(scale · Q Kᵀ) V`, counting the queries of all heads.
fn sdpa_row(problem: &SdpaProblem<Vec<u16>>, row: usize) -> Vec<f32> {
    let SdpaShape { seq_len, head_dim, .. } = problem.sdpa.shape;
    let value = |bits: u16| to_f32(problem.dtype, bits);
    let (head, query) = (row / seq_len, row % seq_len);
    let keys = if problem.sdpa.causal { query + 1 } else { seq_len };
    let first = head / problem.sdpa.shape.heads_per_kv_head() * seq_len;
    let own = first * head_dim..(first + keys) * head_dim;
    let q = &problem.q[row * head_dim..][..head_dim];

    let mut weights: Vec<f32> = problem.k[own.clone()]
        .chunks(head_dim)
        .map(|k| q.iter().zip(k).map(|(&q, &k)| value(q) * value(k)).sum::<f32>() * problem.scale())
        .collect();
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.iter_mut().for_each(|weight| *weight = (*weight - largest).exp());
    let total: f32 = weights.iter().sum();

    let mut sums = vec![0.0; head_dim];
    for (weight, v) in weights.iter().zip(problem.v[own].chunks(head_dim)) {
        sums.iter_mut().zip(v).for_each(|(sum, &v)| *sum += weight * value(v));
    }
    sums.iter_mut().for_each(|sum| *sum /= total);
    sums
}

/// Checks that all of `output` was written and is finite, and sampled rows of it against
/// `reference`.
fn compare(
    output: &[u16],
    columns: usize,
    dtype: DType,
    reference: impl Fn(usize) -> Vec<f32> + Sync,
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
        (row, relative_error(&output[row * columns..][..columns], &reference(row), dtype))
    };
    // total_cmp puts NaN above every number: it cannot hide behind a finite error.
    let worst = rows.par_iter().map(row_error).max_by(|(_, x), (_, y)| x.total_cmp(y));
    let (row, error) = worst.unwrap_or((0, f64::NAN));
    judge(tolerance(dtype), error, rows.len(), dtype)
        .map_err(|wrong| CaseError::wrong_result(format!("row {row}: {wrong}")))
}

/// `‖row − reference‖ / ‖reference‖`, or `‖row‖` where the reference is zero.
fn relative_error(row: &[u16], reference: &[f32], dtype: DType) -> f64 {
    let (mut difference, mut size) = (0.0, 0.0);
    for (&bits, &expected) in row.iter().zip(reference) {
        let expected = f64::from(expected);
        difference += (f64::from(to_f32(dtype, bits)) - expected).powi(2);
        size += expected.powi(2);
    }
    // abs() takes the sign off a NaN, for it to sort last.
    if size == 0.0 { difference.sqrt() } else { (difference / size).sqrt().abs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::ops::Plan;
    use crate::ops::gemm::CpuGemm;
    use crate::ops::sdpa::{self, Made};
    use crate::workload::{Backend, ErrorKind, GemmLayout, Sdpa, convert::from_f32};

    /// A right GEMM of 200 rows, made without the plans: by the reference itself, rounded.
    fn right_gemm(dtype: DType) -> GemmProblem<Vec<u16>> {
        let shape = GemmShape { m: 200, n: 48, k: 33 };
        let mut problem = GemmProblem::on_host(Gemm::dense(shape), dtype, 42);
        problem.c = (0..shape.m)
            .flat_map(|row| gemm_row(&problem, row))
            .map(|x| from_f32(dtype, x))
            .collect();
        problem
    }

    fn right_sdpa(dtype: DType, causal: bool) -> SdpaProblem<Vec<u16>> {
        let shape = SdpaShape { batch: 2, seq_len: 50, n_heads: 2, n_kv_heads: None, head_dim: 24 };
        let sdpa = Sdpa { data_head_dim: 20, causal, ..Sdpa::dense(shape, Backend::Auto) };
        let mut problem = SdpaProblem::on_host(sdpa, dtype, 42);
        problem.o =
            (0..200).flat_map(|row| sdpa_row(&problem, row)).map(|x| from_f32(dtype, x)).collect();
        problem
    }

    #[track_caller]
    fn assert_wrong(result: Result<Verification, CaseError>, parts: &[&str]) {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::WrongResult);
        assert!(parts.iter().all(|part| error.message.contains(part)), "{error}");
    }

    #[test]
    fn right_results_pass_within_one_rounding() {
        for dtype in DType::ALL {
            let mut results = vec![host_gemm(&right_gemm(dtype))];
            results.extend([false, true].map(|causal| host_sdpa(&right_sdpa(dtype, causal))));
            for result in results {
                let verification = result.unwrap();
                assert_eq!(verification.rows, SAMPLED_ROWS);
                assert_eq!(verification.tolerance, tolerance(dtype));
                assert!(verification.max_rel_error > 0.0);
                assert!(verification.max_rel_error < 0.26 * tolerance(dtype), "{verification:?}");
            }
        }
    }

    /// Both results with one element of `row` changed.
    fn changed(
        dtype: DType,
        row: usize,
        column: usize,
        change: impl Fn(u16) -> u16,
    ) -> [Result<Verification, CaseError>; 2] {
        let (mut gemm, mut sdpa) = (right_gemm(dtype), right_sdpa(dtype, true));
        for element in [&mut gemm.c[row * 48 + column], &mut sdpa.o[row * 24 + column]] {
            *element = change(*element);
        }
        [host_gemm(&gemm), host_sdpa(&sdpa)]
    }

    #[test]
    fn one_wrong_element_of_a_sampled_row_fails() {
        for dtype in DType::ALL {
            for row in [0, sampled_rows(200, SAMPLED_ROWS)[17], 199] {
                for wrong in changed(dtype, row, 0, |bits| bits ^ 0x8000) {
                    let row = format!("row {row}: ");
                    assert_wrong(wrong, &[&row, "rows compared: 64)", dtype.name()]);
                }
            }
        }
    }

    #[test]
    fn one_element_unwritten_or_not_finite_fails_in_any_row() {
        let sampled = sampled_rows(200, SAMPLED_ROWS);
        let unsampled = (0..200).find(|row| !sampled.contains(row)).unwrap();
        for dtype in DType::ALL {
            let infinite = from_f32(dtype, f32::INFINITY);
            for (bits, what) in
                [(POISON, "was not written"), (0x7fff, "is NaN"), (infinite, "is inf")]
            {
                for row in [0, unsampled, 199] {
                    for wrong in changed(dtype, row, 5, |_| bits) {
                        assert_wrong(wrong, &[&format!("row {row}, column 5 {what}")]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_plan_that_writes_nothing_or_attends_without_its_mask_fails() {
        let mut problem = right_sdpa(DType::Fp16, true);
        problem.o.fill(POISON);
        assert_wrong(host_sdpa(&problem), &["row 0, column 0 was not written"]);
        let not_causal = Sdpa { causal: false, ..problem.sdpa };
        let backend = sdpa::find(Backend::CpuBlocked, &Device::Cpu).unwrap();
        let context = sdpa::Context::new(Device::Cpu, None);
        let Ok(Made::Host(mut plan)) = backend.plan(&context, not_causal, DType::Fp16, 42) else {
            panic!("it is one of the host's");
        };
        plan.launch().unwrap();
        plan.problem_mut().sdpa.causal = true;
        assert_wrong(host_sdpa(plan.problem_mut()), &["relative error"]);
    }

    #[test]
    fn a_gemm_that_takes_its_operands_for_others_fails() {
        let shape = GemmShape { m: 24, n: 24, k: 24 };
        let of = |layout| {
            let gemm = Gemm { layout, batch: 9, ..Gemm::dense(shape) };
            let mut plan = CpuGemm::new(GemmProblem::on_host(gemm, DType::Fp16, 42));
            plan.verify().unwrap();
            plan.problem
        };
        for layout in GemmLayout::ALL {
            let right = of(layout);
            assert_eq!(host_gemm(&right).unwrap().rows, SAMPLED_ROWS);
            for other in GemmLayout::ALL.into_iter().filter(|other| *other != layout) {
                let wrong = GemmProblem { c: of(other).c, ..right.clone() };
                assert_wrong(host_gemm(&wrong), &["relative error"]);
            }
            // The result of the last GEMM of the batch is that of the one before.
            let mut wrong = right.clone();
            wrong.c.copy_within(7 * 576..8 * 576, 8 * 576);
            assert_wrong(host_gemm(&wrong), &["relative error"]);
        }
    }

    #[test]
    fn what_should_be_zero_is_judged_by_its_size() {
        let (data, shape) = (GemmShape { m: 3, n: 4, k: 5 }, GemmShape { m: 8, n: 8, k: 8 });
        let problem = GemmProblem::on_host(Gemm { shape, ..Gemm::dense(data) }, DType::Fp16, 42);
        let mut plan = CpuGemm::new(problem);
        plan.verify().unwrap();
        let mut problem = plan.problem.clone();
        problem.c[7 * 8] = from_f32(DType::Fp16, 0.01);
        assert_wrong(host_gemm(&problem), &["row 7: "]);
    }

    #[test]
    fn nan_and_no_rows_never_pass() {
        for dtype in DType::ALL {
            let judged = |error, rows| judge(tolerance(dtype), error, rows, dtype);
            assert!(judged(tolerance(dtype), 1).is_ok());
            assert_wrong(judged(1.01 * tolerance(dtype), 1), &["rows compared: 1)"]);
            assert_wrong(judged(f64::NAN, 1), &["NaN"]);
            assert_wrong(judged(f64::INFINITY, 1), &["inf"]);
            assert_wrong(judged(0.0, 0), &["no row"]);
            assert!(to_f32(dtype, POISON).is_nan());
        }
        let mut nan_operand = right_gemm(DType::Fp16);
        nan_operand.a[0] = POISON;
        assert_wrong(host_gemm(&nan_operand), &["row 0: ", "NaN"]);
    }

    #[test]
    fn sampled_rows_are_spread_over_all_of_them() {
        assert_eq!(sampled_rows(3, 64), [0, 1, 2]);
        assert_eq!(sampled_rows(64, 64), (0..64).collect::<Vec<_>>());
        for total in [65, 100, 4096, 262_144] {
            let rows = sampled_rows(total, 64);
            assert_eq!((rows.len(), rows[0], rows[63]), (64, 0, total - 1));
            assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(rows.windows(2).all(|pair| pair[1] - pair[0] <= 2 * total.div_ceil(64)));
        }
        // Tiles are 64 or 128 rows high: the samples fall on many places within them.
        let places: std::collections::HashSet<_> =
            sampled_rows(262_144, 64).into_iter().map(|row| row % 64).collect();
        assert!(places.len() > 30, "{} places", places.len());
    }
}
