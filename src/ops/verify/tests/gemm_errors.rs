//! Errors put into right GEMMs.

use super::table::{ALL, FINE, FINER, FP32, NONE, Row, assert_table, element, row};
use super::*;

type HostGemm = GemmProblem<HostArray>;

fn multiply(problem: &HostGemm) -> HostArray {
    let rows = problem.gemm.batch * problem.gemm.shape.m;
    let sums = (0..rows).flat_map(|row| gemm_row(problem, row));
    HostArray::rounded(problem.dtype.result(), sums.map(|sum| sum.value as f32))
}

fn scale(c: &mut HostArray, at: usize, factor: f32) {
    c.set(at, factor * c.get(at));
}

/// Multiplies the element of that quantile in a row, which is compared or not, by `factor`.
fn change_c(problem: &mut HostGemm, is_sampled: bool, quantile: f64, factor: f32) {
    let row = row(problem.gemm.shape.m, is_sampled);
    let column = element(&gemm_row(problem, row), problem.dtype, quantile);
    scale(&mut problem.c, row * problem.gemm.shape.n + column, factor);
}

/// Changes a square of 8 elements a side, from the middle on.
fn tile_of_c(problem: &mut HostGemm, change: impl Fn(&HostGemm, usize) -> f32) {
    let GemmShape { m, n, .. } = problem.gemm.shape;
    for at in (m / 2..m / 2 + 8).flat_map(|row| (n / 2..n / 2 + 8).map(move |c| row * n + c)) {
        let changed = change(problem, at);
        problem.c.set(at, changed);
    }
}

fn doubled(problem: &HostGemm, at: usize) -> f32 {
    2.0 * problem.c.get(at)
}

/// Leaves the last terms out.
fn without_terms(problem: &mut HostGemm, terms: usize) {
    let mut wrong = problem.clone();
    let n = problem.gemm.shape.n;
    let len = wrong.b.len();
    (len - terms * n..len).for_each(|at| wrong.b.set(at, 0.0));
    problem.c = multiply(&wrong);
}

/// Of a result of one element.
fn without_the_smallest(problem: &mut HostGemm) {
    let mut wrong = problem.clone();
    let term = |i: usize| (problem.a.get(i) * problem.b.get(i)).abs();
    let smallest = (0..problem.a.len()).min_by(|&x, &y| term(x).total_cmp(&term(y)));
    wrong.a.set(smallest.unwrap(), 0.0);
    problem.c = multiply(&wrong);
}

fn in_layout(problem: &mut HostGemm, layout: GemmLayout) {
    let gemm = Gemm { layout, ..problem.gemm };
    problem.c = multiply(&GemmProblem { gemm, ..problem.clone() });
}

fn rounded_to(c: &mut HostArray, dtype: DType) {
    for at in 0..c.len() {
        c.set(at, to_f32(dtype, from_f32(dtype, c.get(at))));
    }
}

/// Rounds the operands as tensor cores do, to 10 bits after the point.
fn in_tf32(problem: &mut HostGemm) {
    let mut wrong = problem.clone();
    for array in [&mut wrong.a, &mut wrong.b] {
        for at in 0..array.len() {
            array.set(at, f32::from_bits(array.get(at).to_bits() & !0x1fff));
        }
    }
    problem.c = multiply(&wrong);
}

/// The operands of fp8 are others, and so is their sum.
fn other_sum(precision: Precision) -> bool {
    matches!(precision, Precision::Fp32 | Precision::Fp8E4m3)
}

/// M, N, K.
const ERRORS: [Row<HostGemm, [usize; 3]>; 36] = [
    ("an element off by 5 %", [1, 1, 1], |p| change_c(p, true, 1.0, 1.05), ALL),
    ("an element off by 5 %", [200, 48, 33], |p| change_c(p, true, 1.0, 1.05), ALL),
    ("an element off by 5 %", [64, 64, 128], |p| change_c(p, true, 0.5, 1.05), ALL),
    ("5 % of a sum near zero", [64, 64, 128], |p| change_c(p, true, 0.1, 1.05), FINE),
    ("5 % in a row not compared", [200, 48, 33], |p| change_c(p, false, 1.0, 1.05), NONE),
    ("a sign flipped", [1, 1, 8], |p| change_c(p, true, 1.0, -1.0), ALL),
    ("a sign flipped", [200, 48, 33], |p| change_c(p, true, 0.5, -1.0), ALL),
    ("a sign in a row not compared", [200, 48, 33], |p| change_c(p, false, 0.5, -1.0), NONE),
    ("unwritten", [1, 1, 1], |p| unwritten(p, 0), ALL),
    ("unwritten, not compared", [200, 48, 33], |p| unwritten(p, row(200, false) * 48), ALL),
    ("all zero", [1, 1, 8], zeros, ALL),
    ("zero for one sum that is near it", [1, 1, 407], zeros, other_sum),
    ("all zero", [8, 8, 8], zeros, ALL),
    ("all off by 1 %", [200, 48, 33], |p| scale_all(&mut p.c, 1.01), FINE),
    ("all off by 3 %", [200, 48, 33], |p| scale_all(&mut p.c, 1.03), ALL),
    ("truncated, not rounded", [200, 48, 33], truncate, NONE),
    ("rounded to 8 bits", [200, 48, 33], |p| rounded_to(&mut p.c, DType::Bf16), FINER),
    ("rounded to 11 bits", [200, 48, 33], |p| rounded_to(&mut p.c, DType::Fp16), FP32),
    ("operands rounded to tf32", [200, 48, 33], in_tf32, FP32),
    ("operands rounded to tf32", [16, 16, 4096], in_tf32, FP32),
    ("a tile doubled", [200, 48, 33], |p| tile_of_c(p, doubled), ALL),
    ("a tile of zeros", [200, 48, 33], |p| tile_of_c(p, |_, _| 0.0), ALL),
    ("a tile of its neighbour", [200, 48, 33], |p| tile_of_c(p, |p, at| p.c.get(at - 8)), ALL),
    ("a tile between the rows compared", [4096, 16, 8], |p| tile_of_c(p, |_, _| 0.0), NONE),
    ("a term missing", [1, 1, 2], |p| without_terms(p, 1), ALL),
    ("a term missing", [8, 8, 8], |p| without_terms(p, 1), ALL),
    ("a term missing", [64, 64, 512], |p| without_terms(p, 1), ALL),
    ("a term missing", [16, 16, 4096], |p| without_terms(p, 1), ALL),
    ("a term missing of one element", [1, 1, 1 << 18], |p| without_terms(p, 1), FINE),
    ("the smallest term missing of one element", [1, 1, 407], without_the_smallest, FP32),
    ("a slice of K missing", [1, 1, 407], |p| without_terms(p, 32), ALL),
    ("a slice of K missing", [16, 16, 4096], |p| without_terms(p, 32), ALL),
    ("A transposed", [24, 24, 24], |p| in_layout(p, GemmLayout::Tn), ALL),
    ("B transposed", [24, 24, 24], |p| in_layout(p, GemmLayout::Nt), ALL),
    ("A and B transposed", [24, 24, 24], |p| in_layout(p, GemmLayout::Tt), ALL),
    ("two rows swapped", [8, 8, 8], swap_rows, ALL),
];

fn scale_all(c: &mut HostArray, factor: f32) {
    (0..c.len()).for_each(|at| scale(c, at, factor));
}

fn zeros(problem: &mut HostGemm) {
    problem.c = HostArray::zeros(problem.c.element(), problem.c.len());
}

fn unwritten(problem: &mut HostGemm, at: usize) {
    poison_at(&mut problem.c, at);
}

/// The first two, of 8 columns.
fn swap_rows(problem: &mut HostGemm) {
    for at in 0..8 {
        let (first, second) = (problem.c.get(at), problem.c.get(8 + at));
        problem.c.set(at, second);
        problem.c.set(8 + at, first);
    }
}

/// Rounds towards zero what the reference has.
fn truncate(problem: &mut HostGemm) {
    let n = problem.gemm.shape.n;
    let exact: Vec<_> = (0..problem.c.len() / n).flat_map(|row| gemm_row(problem, row)).collect();
    for (at, exact) in exact.into_iter().enumerate() {
        let is_above = f64::from(problem.c.get(at).abs()) > exact.value.abs();
        match &mut problem.c {
            HostArray::Half(_, bits) => bits[at] -= u16::from(is_above),
            HostArray::Single(values) => {
                values[at] = f32::from_bits(values[at].to_bits() - u32::from(is_above));
            }
            HostArray::E4m3(_) => panic!("no result is"),
        }
    }
}

#[test]
fn errors_of_gemms() {
    let right = |[m, n, k]: [usize; 3], dtype| {
        let mut problem = GemmProblem::on_host(Gemm::dense(GemmShape { m, n, k }), dtype, 42);
        problem.c = multiply(&problem);
        problem
    };
    assert_table(&ERRORS, &Precision::ALL, right, host::gemm);
}
