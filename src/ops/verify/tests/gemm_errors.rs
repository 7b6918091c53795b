//! Errors put into right GEMMs.

use super::table::{BOTH, FP16, NONE, Row, assert_table, element, row, scale};
use super::*;

type HostGemm = GemmProblem<Vec<u16>>;

fn multiply(problem: &HostGemm) -> Vec<u16> {
    let rows = problem.gemm.batch * problem.gemm.shape.m;
    let sums = (0..rows).flat_map(|row| gemm_row(problem, row));
    sums.map(|sum| from_f32(problem.dtype, sum.value)).collect()
}

/// Multiplies the element of that quantile in a row, which is compared or not, by `factor`.
fn change_c(problem: &mut HostGemm, is_sampled: bool, quantile: f64, factor: f32) {
    let row = row(problem.gemm.shape.m, is_sampled);
    let column = element(&gemm_row(problem, row), problem.dtype, quantile);
    scale(&mut problem.c[row * problem.gemm.shape.n + column], problem.dtype, factor);
}

/// Changes a square of 8 elements a side, from the middle on.
fn tile_of_c(problem: &mut HostGemm, change: impl Fn(&HostGemm, usize) -> u16) {
    let GemmShape { m, n, .. } = problem.gemm.shape;
    for at in (m / 2..m / 2 + 8).flat_map(|row| (n / 2..n / 2 + 8).map(move |c| row * n + c)) {
        problem.c[at] = change(problem, at);
    }
}

fn doubled(problem: &HostGemm, at: usize) -> u16 {
    from_f32(problem.dtype, 2.0 * to_f32(problem.dtype, problem.c[at]))
}

/// Leaves the last terms out.
fn without_terms(problem: &mut HostGemm, terms: usize) {
    let mut wrong = problem.clone();
    let n = problem.gemm.shape.n;
    wrong.b.iter_mut().rev().take(terms * n).for_each(|bits| *bits = 0);
    problem.c = multiply(&wrong);
}

/// Of a result of one element.
fn without_the_smallest(problem: &mut HostGemm) {
    let mut wrong = problem.clone();
    let value = |bits: u16| to_f32(problem.dtype, bits);
    let term = |i: usize| (value(problem.a[i]) * value(problem.b[i])).abs();
    let smallest = (0..problem.a.len()).min_by(|&x, &y| term(x).total_cmp(&term(y)));
    wrong.a[smallest.unwrap()] = 0;
    problem.c = multiply(&wrong);
}

fn in_layout(problem: &mut HostGemm, layout: GemmLayout) {
    let gemm = Gemm { layout, ..problem.gemm };
    problem.c = multiply(&GemmProblem { gemm, ..problem.clone() });
}

fn round_through_bf16(bits: &mut u16, dtype: DType) {
    *bits = from_f32(dtype, to_f32(DType::Bf16, from_f32(DType::Bf16, to_f32(dtype, *bits))));
}

/// M, N, K.
const ERRORS: [Row<HostGemm, [usize; 3]>; 33] = [
    ("an element off by 5 %", [1, 1, 1], |p| change_c(p, true, 1.0, 1.05), BOTH),
    ("an element off by 5 %", [200, 48, 33], |p| change_c(p, true, 1.0, 1.05), BOTH),
    ("an element off by 5 %", [64, 64, 128], |p| change_c(p, true, 0.5, 1.05), BOTH),
    ("5 % of a sum near zero", [64, 64, 128], |p| change_c(p, true, 0.1, 1.05), FP16),
    ("5 % in a row not compared", [200, 48, 33], |p| change_c(p, false, 1.0, 1.05), NONE),
    ("a sign flipped", [1, 1, 8], |p| change_c(p, true, 1.0, -1.0), BOTH),
    ("a sign flipped", [200, 48, 33], |p| change_c(p, true, 0.5, -1.0), BOTH),
    ("a sign in a row not compared", [200, 48, 33], |p| change_c(p, false, 0.5, -1.0), NONE),
    ("unwritten", [1, 1, 1], |p| p.c[0] = POISON, BOTH),
    ("unwritten, not compared", [200, 48, 33], |p| p.c[row(200, false) * 48] = POISON, BOTH),
    ("all zero", [1, 1, 8], |p| p.c.fill(0), BOTH),
    ("zero for one sum that is near it", [1, 1, 407], |p| p.c.fill(0), NONE),
    ("all zero", [8, 8, 8], |p| p.c.fill(0), BOTH),
    ("all off by 1 %", [200, 48, 33], |p| scale_all(&mut p.c, p.dtype, 1.01), FP16),
    ("all off by 3 %", [200, 48, 33], |p| scale_all(&mut p.c, p.dtype, 1.03), BOTH),
    ("truncated, not rounded", [200, 48, 33], truncate, NONE),
    (
        "rounded to 8 bits",
        [200, 48, 33],
        |p| p.c.iter_mut().for_each(|bits| round_through_bf16(bits, p.dtype)),
        FP16,
    ),
    ("a tile doubled", [200, 48, 33], |p| tile_of_c(p, doubled), BOTH),
    ("a tile of zeros", [200, 48, 33], |p| tile_of_c(p, |_, _| 0), BOTH),
    ("a tile of its neighbour", [200, 48, 33], |p| tile_of_c(p, |p, at| p.c[at - 8]), BOTH),
    ("a tile between the rows compared", [4096, 16, 8], |p| tile_of_c(p, |_, _| 0), NONE),
    ("a term missing", [1, 1, 2], |p| without_terms(p, 1), BOTH),
    ("a term missing", [8, 8, 8], |p| without_terms(p, 1), BOTH),
    ("a term missing", [64, 64, 512], |p| without_terms(p, 1), BOTH),
    ("a term missing", [16, 16, 4096], |p| without_terms(p, 1), BOTH),
    ("a term missing of one element", [1, 1, 1 << 18], |p| without_terms(p, 1), FP16),
    ("the smallest term missing of one element", [1, 1, 407], without_the_smallest, NONE),
    ("a slice of K missing", [1, 1, 407], |p| without_terms(p, 32), BOTH),
    ("a slice of K missing", [16, 16, 4096], |p| without_terms(p, 32), BOTH),
    ("A transposed", [24, 24, 24], |p| in_layout(p, GemmLayout::Tn), BOTH),
    ("B transposed", [24, 24, 24], |p| in_layout(p, GemmLayout::Nt), BOTH),
    ("A and B transposed", [24, 24, 24], |p| in_layout(p, GemmLayout::Tt), BOTH),
    ("two rows swapped", [8, 8, 8], |p| (0..8).for_each(|i| p.c.swap(i, 8 + i)), BOTH),
];

fn scale_all(c: &mut [u16], dtype: DType, factor: f32) {
    c.iter_mut().for_each(|bits| scale(bits, dtype, factor));
}

/// Rounds towards zero what the reference has.
fn truncate(problem: &mut HostGemm) {
    let (dtype, n) = (problem.dtype, problem.gemm.shape.n);
    let exact: Vec<_> = (0..problem.c.len() / n).flat_map(|row| gemm_row(problem, row)).collect();
    for (bits, exact) in problem.c.iter_mut().zip(exact) {
        *bits -= u16::from(to_f32(dtype, *bits).abs() > exact.value.abs());
    }
}

#[test]
fn errors_of_gemms() {
    let right = |[m, n, k]: [usize; 3], dtype| {
        let mut problem = GemmProblem::on_host(Gemm::dense(GemmShape { m, n, k }), dtype, 42);
        problem.c = multiply(&problem);
        problem
    };
    assert_table(&ERRORS, right, host::gemm);
}
