//! What passes and what does not, on the host.

use super::host::{self, gemm_row, sdpa_row};
use super::*;
use crate::device::Device;
use crate::ops::Plan;
use crate::ops::gemm::{CpuGemm, GemmProblem};
use crate::ops::sdpa::{self, Made, SdpaProblem};
use crate::workload::convert::{from_f32, to_f32};
use crate::workload::{
    Backend, DType, ErrorKind, Gemm, GemmLayout, GemmShape, HostArray, Sdpa, SdpaShape,
};

mod gemm_errors;
mod roundings;
mod sdpa_errors;
mod table;

fn host_sdpa(problem: &SdpaProblem<Vec<u16>>) -> Result<Verification, CaseError> {
    host::sdpa(problem, Scores::Float32)
}

/// A right GEMM of 200 rows, made without the plans: by the reference itself, rounded.
fn right_gemm(precision: impl Into<Precision>) -> GemmProblem<HostArray> {
    let shape = GemmShape { m: 200, n: 48, k: 33 };
    let mut problem = GemmProblem::on_host(Gemm::dense(shape), precision, 42);
    let sums = (0..shape.m).flat_map(|row| gemm_row(&problem, row));
    problem.c = HostArray::rounded(problem.dtype.result(), sums.map(|sum| sum.value as f32));
    problem
}

/// Makes an element one that was not written.
fn poison_at(array: &mut HostArray, at: usize) {
    let mut poisoned = array.clone();
    host::poison(&mut poisoned);
    match (array, poisoned) {
        (HostArray::Half(_, bits), HostArray::Half(_, poison)) => bits[at] = poison[at],
        (HostArray::Single(values), HostArray::Single(poison)) => values[at] = poison[at],
        (HostArray::E4m3(bits), HostArray::E4m3(poison)) => bits[at] = poison[at],
        _ => panic!("a clone is of the same type"),
    }
}

fn right_sdpa(dtype: DType, causal: bool) -> SdpaProblem<Vec<u16>> {
    let shape = SdpaShape {
        batch: 2,
        seq_len: 50,
        kv_len: None,
        n_heads: 2,
        n_kv_heads: None,
        head_dim: 24,
    };
    let sdpa = Sdpa { data_head_dim: 20, causal, ..Sdpa::dense(shape, Backend::Auto) };
    let mut problem = SdpaProblem::on_host(sdpa, dtype, 42);
    problem.o = (0..200)
        .flat_map(|row| sdpa_row(&problem, row, Scores::Float32))
        .map(|sum| from_f32(dtype, sum.value as f32))
        .collect();
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
    for precision in Precision::ALL {
        let mut results = vec![(host::gemm(&right_gemm(precision)), tolerance(precision, 33))];
        if let Some(dtype) = precision.half() {
            let of = |causal| host_sdpa(&right_sdpa(dtype, causal));
            results.extend([false, true].map(|causal| (of(causal), tolerance(precision, 1))));
        }
        for (result, tolerance) in results {
            let verification = result.unwrap();
            assert_eq!(verification.rows, SAMPLED_ROWS);
            assert_eq!(verification.tolerance, tolerance);
            assert!(verification.max_rel_error > 0.0);
            assert!(verification.max_rel_error < 0.26 * tolerance, "{verification:?}");
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
    let HostArray::Half(_, c) = &mut gemm.c else { panic!("it has 16 bits") };
    for element in [&mut c[row * 48 + column], &mut sdpa.o[row * 24 + column]] {
        *element = change(*element);
    }
    [host::gemm(&gemm), host_sdpa(&sdpa)]
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
        for (bits, what) in [(POISON, "was not written"), (0x7fff, "is NaN"), (infinite, "is inf")]
        {
            for row in [0, unsampled, 199] {
                for wrong in changed(dtype, row, 5, |_| bits) {
                    assert_wrong(wrong, &[&format!("row {row}, column 5 {what}")]);
                }
            }
        }
    }
    for precision in Precision::ALL {
        let mut problem = right_gemm(precision);
        poison_at(&mut problem.c, unsampled * 48 + 5);
        let what = format!("row {unsampled}, column 5 was not written");
        assert_wrong(host::gemm(&problem), &[&what]);
        problem.c.set(unsampled * 48 + 5, f32::INFINITY);
        assert_wrong(host::gemm(&problem), &["column 5 is inf"]);
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
        assert_eq!(host::gemm(&right).unwrap().rows, SAMPLED_ROWS);
        for other in GemmLayout::ALL.into_iter().filter(|other| *other != layout) {
            let wrong = GemmProblem { c: of(other).c, ..right.clone() };
            assert_wrong(host::gemm(&wrong), &["relative error"]);
        }
        // The result of the last GEMM of the batch is that of the one before.
        let mut wrong = right.clone();
        (8 * 576..9 * 576).for_each(|at| wrong.c.set(at, right.c.get(at - 576)));
        assert_wrong(host::gemm(&wrong), &["relative error"]);
    }
}

#[test]
fn what_should_be_zero_has_to_be() {
    let (data, shape) = (GemmShape { m: 3, n: 4, k: 5 }, GemmShape { m: 8, n: 8, k: 8 });
    let problem = GemmProblem::on_host(Gemm { shape, ..Gemm::dense(data) }, DType::Fp16, 42);
    let mut plan = CpuGemm::new(problem);
    plan.verify().unwrap();
    let mut problem = plan.problem.clone();
    problem.c.set(7 * 8, 0.01);
    assert_wrong(host::gemm(&problem), &["row 7: "]);
}

#[test]
fn nan_and_no_rows_never_pass() {
    for precision in Precision::ALL {
        let tolerance = tolerance(precision, 33);
        let judge = |rows: &[usize], errors: &[f32]| judge(rows, errors, precision, tolerance);
        let (judged, accepted) = (|error| judge(&[7], &[error]), tolerance as f32);
        assert!(judged(0.99 * accepted).is_ok());
        assert_wrong(judged(1.01 * accepted), &["row 7: ", "rows compared: 1)"]);
        assert_wrong(judged(f32::INFINITY), &["inf"]);
        for nan in [f32::NAN, -f32::NAN] {
            assert_wrong(judged(nan), &["NaN"]);
            assert_wrong(judge(&[3, 5, 8], &[0.0, nan, 9.0]), &["row 5: ", "NaN"]);
        }
        assert_wrong(judge(&[], &[]), &["no row"]);
        let mut nan_operand = right_gemm(precision);
        poison_at(&mut nan_operand.a, 0);
        assert!(nan_operand.a.get(0).is_nan());
        assert_wrong(host::gemm(&nan_operand), &["row 0: ", "NaN"]);
    }
}

#[test]
fn a_size_that_overflows_never_passes() {
    let gemm = Gemm::dense(GemmShape { m: 1, n: 1, k: 2 });
    for dtype in [Precision::Bf16, Precision::Fp32] {
        let of = |numbers: [f32; 2]| HostArray::rounded(dtype.operand(), numbers);
        let of_products = |x: f32, y: f32| {
            let c = HostArray::zeros(dtype.result(), 1);
            host::gemm(&GemmProblem { gemm, dtype, a: of([x, x]), b: of([y, -y]), c })
        };
        assert_wrong(of_products(1e20, 1e20), &["row 0: ", "NaN"]);
        // Their squares are beyond float32, and they are not.
        of_products(1e15, 1e15).unwrap();
    }
}

#[test]
fn numbers_below_the_normal_ones_are_rounded_by_as_much() {
    let (gemm, dtype) = (Gemm::dense(GemmShape { m: 1, n: 1, k: 1 }), Precision::Fp16);
    let of = |bits: u16| HostArray::Half(DType::Fp16, vec![bits]);
    // Multiples of 2^-24, the spacing there and the value of the bits 1: ties go to even.
    for (factor, rounded) in [(0.5, 0), (1.5, 2), (3.5, 4)] {
        let with = |c| {
            let a = HostArray::rounded(Element::Fp16, [factor]);
            host::gemm(&GemmProblem { gemm, dtype, a, b: of(1), c: of(c) })
        };
        assert!(with(rounded).unwrap().max_rel_error < 0.26 * tolerance(dtype, 1));
        assert_wrong(with(rounded + 3), &["row 0: "]);
    }
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
