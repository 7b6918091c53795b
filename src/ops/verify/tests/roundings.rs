//! Right results, rounded as backends round them: none may be called wrong, however small the
//! shape. The shapes are small here, because sums of few terms cancel most, and are cheap.

use super::*;
use crate::workload::philox::philox4x32;
use rayon::prelude::*;

const SHAPES: u32 = 10_000;

/// Numbers of one shape, in a range each.
struct Draw {
    shape: u32,
    drawn: u32,
}

impl Draw {
    fn of(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.drawn += 1;
        let [random, ..] = philox4x32([self.shape, self.drawn, 0, 0], [7, 7]);
        range.start() + random as usize % (range.end() - range.start() + 1)
    }
}

/// How backends add up products.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Adds {
    /// In float64.
    Exactly,
    /// In float32, the last term first.
    Backwards,
    /// K is split, and each partial sum rounded to 16 bits before they are added.
    RoundedParts(usize),
    /// K is split, and each partial sum is added to the 16-bit result.
    InPlace(usize),
}

fn sum(terms: &[f64], adds: Adds, result: Element) -> f32 {
    let round = |x: f64| f64::from(HostArray::rounded(result, [x as f32]).get(0));
    let parts = |parts| terms.chunks(terms.len().div_ceil(parts)).map(|part| part.iter().sum());
    let sum = match adds {
        Adds::Exactly => terms.iter().sum(),
        Adds::Backwards => f64::from(terms.iter().rev().map(|&term| term as f32).sum::<f32>()),
        Adds::RoundedParts(n) => parts(n).map(round).sum(),
        Adds::InPlace(n) => parts(n).fold(0.0, |sum, part: f64| round(sum + part)),
    };
    sum as f32
}

/// The largest error of a right GEMM, over the tolerance.
fn gemm_error(gemm: Gemm, dtype: Precision, seed: u64, adds: Adds) -> f64 {
    let mut problem = GemmProblem::on_host(gemm, dtype, seed);
    let ([a_strides, b_strides], GemmShape { m, n, k }) = (gemm.strides(), gemm.shape);
    let at = |array: &HostArray, row: usize, column: usize, strides: [usize; 2]| {
        let number = array.get(row * strides[0] + column * strides[1]);
        // Tensor cores cut the operands of tf32 to 10 bits after the point.
        let cut = f32::from_bits(number.to_bits() & !0x1fff);
        f64::from(if dtype == Precision::Tf32 { cut } else { number })
    };
    let (a, b) = (&problem.a, &problem.b);
    let term = |row, i, column| at(a, row, i, a_strides) * at(b, i, column, b_strides);
    let terms = |row, column| (0..k).map(|i| term(row, i, column)).collect::<Vec<_>>();
    let result = dtype.result();
    let sums: Vec<f32> = (0..m * n).map(|at| sum(&terms(at / n, at % n), adds, result)).collect();
    problem.c = HostArray::rounded(result, sums);
    let verified = host::gemm(&problem);
    let verification = verified.unwrap_or_else(|e| panic!("{gemm:?} {dtype:?} {adds:?}: {e}"));
    verification.max_rel_error / verification.tolerance
}

/// How backends round on the way to the result of attention.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rounds {
    /// Nothing.
    Nothing,
    /// The weights, before they are divided by their sum: fused attention.
    Weights,
    /// The weights, divided by their sum.
    Normalised,
    /// The same, and the scores.
    Scores,
}

fn attend(problem: &SdpaProblem<Vec<u16>>, row: usize, rounds: Rounds) -> Vec<u16> {
    let SdpaShape { seq_len, head_dim, n_heads, .. } = problem.sdpa.shape;
    let (dtype, scale) = (problem.dtype, problem.scale());
    let value = |bits: u16| to_f32(dtype, bits);
    let round = |x: &mut f32| *x = value(from_f32(dtype, *x));
    let keys = if problem.sdpa.causal { row % seq_len + 1 } else { seq_len };
    let kv_head = row / seq_len * problem.sdpa.shape.kv_heads() / n_heads;
    let own = kv_head * seq_len * head_dim..(kv_head * seq_len + keys) * head_dim;
    let q = &problem.q[row * head_dim..][..head_dim];
    let dot = |k: &[u16]| q.iter().zip(k).map(|(&q, &k)| scale * value(q) * value(k)).sum();
    let mut weights: Vec<f32> = problem.k[own.clone()].chunks(head_dim).map(dot).collect();
    if rounds == Rounds::Scores {
        weights.iter_mut().for_each(round);
    }
    let top = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.iter_mut().for_each(|weight| *weight = (*weight - top).exp());
    let mut total: f32 = weights.iter().sum();
    if matches!(rounds, Rounds::Normalised | Rounds::Scores) {
        weights.iter_mut().for_each(|weight| *weight /= total);
        total = 1.0;
    }
    if rounds != Rounds::Nothing {
        weights.iter_mut().for_each(round);
    }
    let mut o = vec![0.0; head_dim];
    for (weight, v) in weights.iter().zip(problem.v[own].chunks(head_dim)).rev() {
        o.iter_mut().zip(v).for_each(|(o, &v)| *o += weight * value(v));
    }
    o.into_iter().map(|o| from_f32(dtype, o / total)).collect()
}

/// The largest error of a right attention, over the tolerance. Rows that nobody looks at stay 0.
fn sdpa_error(sdpa: Sdpa, dtype: DType, seed: u64, rounds: Rounds) -> f64 {
    let mut problem = SdpaProblem::on_host(sdpa, dtype, seed);
    let (rows, head_dim) = (problem.o.len() / sdpa.shape.head_dim, sdpa.shape.head_dim);
    for row in sampled_rows(rows, SAMPLED_ROWS) {
        let o = attend(&problem, row, rounds);
        problem.o[row * head_dim..][..head_dim].copy_from_slice(&o);
    }
    let rounded = rounds == Rounds::Scores;
    let verified = host::sdpa(&problem, if rounded { Scores::Rounded } else { Scores::Float32 });
    let verification = verified.unwrap_or_else(|e| panic!("{sdpa:?} {dtype:?} {rounds:?}: {e}"));
    verification.max_rel_error / verification.tolerance
}

/// Panics if the largest error of a kind is not within its bound, or is far from it.
fn assert_bounds<K: Copy + PartialEq + std::fmt::Debug + Sync + Send>(
    kinds: &[(K, f64)],
    error: impl Fn(u32, K) -> f64 + Sync,
) {
    let kind = |shape: u32| kinds[shape as usize % kinds.len()].0;
    let errors: Vec<f64> =
        (0..SHAPES).into_par_iter().map(|shape| error(shape, kind(shape))).collect();
    for (i, (kind, bound)) in kinds.iter().enumerate() {
        let largest = errors.iter().skip(i).step_by(kinds.len()).copied().fold(0.0, f64::max);
        println!("{kind:?}: the largest error is {largest:.2} of the tolerance");
        assert!((0.5 * bound..=*bound).contains(&largest), "{kind:?}: {largest}");
    }
}

#[test]
fn right_gemms_of_any_small_shape_pass() {
    let kinds = [
        (Adds::Exactly, 0.25),
        (Adds::Backwards, 0.25),
        (Adds::RoundedParts(4), 0.5),
        (Adds::InPlace(4), 0.6),
    ];
    assert_bounds(&kinds, |shape, adds| {
        let mut draw = Draw { shape, drawn: 0 };
        let (m, n, k) = match draw.of(0..=3) {
            0 => (1, 1, draw.of(1..=512)),
            1 => (1, 1, draw.of(1..=8)),
            _ => (draw.of(1..=8), draw.of(1..=8), draw.of(1..=8)),
        };
        let layout = GemmLayout::ALL[draw.of(0..=GemmLayout::ALL.len() - 1)];
        let gemm = Gemm { layout, ..Gemm::dense(GemmShape { m, n, k }) };
        gemm_error(gemm, DType::ALL[draw.of(0..=1)].into(), u64::from(shape), adds)
    });
}

/// Of one element, where sums cancel most, and of more terms.
#[test]
fn right_gemms_of_the_other_precisions_pass() {
    let kinds = [
        ((Precision::Tf32, Adds::Exactly), 0.4),
        ((Precision::Tf32, Adds::Backwards), 0.4),
        ((Precision::Fp32, Adds::Exactly), 0.1),
        ((Precision::Fp32, Adds::Backwards), 0.2),
        ((Precision::Fp8E4m3, Adds::Exactly), 0.25),
        ((Precision::Fp8E4m3, Adds::Backwards), 0.25),
    ];
    assert_bounds(&kinds, |shape, (precision, adds)| {
        let mut draw = Draw { shape, drawn: 0 };
        let (m, n, k) = match draw.of(0..=3) {
            0 => (1, 1, draw.of(1..=512)),
            1 => (1, 1, draw.of(1..=8)),
            2 => (1, 1, draw.of(512..=4096)),
            _ => (draw.of(1..=8), draw.of(1..=8), draw.of(1..=8)),
        };
        let gemm = Gemm::dense(GemmShape { m, n, k });
        gemm_error(gemm, precision, u64::from(shape), adds)
    });
}

#[test]
fn right_attention_of_any_small_shape_passes() {
    let kinds = [
        (Rounds::Nothing, 0.25),
        (Rounds::Weights, 0.5),
        (Rounds::Normalised, 0.5),
        (Rounds::Scores, 0.5),
    ];
    assert_bounds(&kinds, |shape, rounds| {
        let mut draw = Draw { shape, drawn: 0 };
        let (n_kv_heads, group) = (draw.of(1..=3), draw.of(1..=3));
        let (seq_len, head_dim) = (draw.of(1..=16), draw.of(1..=8));
        let (n_heads, n_kv_heads) = (n_kv_heads * group, Some(n_kv_heads));
        let batch = draw.of(1..=2);
        let shape = SdpaShape { batch, seq_len, kv_len: None, n_heads, n_kv_heads, head_dim };
        let sdpa = Sdpa { causal: draw.of(0..=1) == 1, ..Sdpa::dense(shape, Backend::Auto) };
        sdpa_error(sdpa, DType::ALL[draw.of(0..=1)], u64::from(draw.shape), rounds)
    });
}

/// The shape that was once called wrong, with an error of 4.9e-2 relative to its one element.
#[test]
fn attention_of_head_dim_1_passes() {
    let shape = SdpaShape {
        batch: 1,
        seq_len: 1000,
        kv_len: None,
        n_heads: 24,
        n_kv_heads: Some(8),
        head_dim: 1,
    };
    let sdpa = Sdpa { causal: true, ..Sdpa::dense(shape, Backend::Auto) };
    for rounds in [Rounds::Nothing, Rounds::Weights, Rounds::Normalised, Rounds::Scores] {
        for (dtype, seed) in DType::ALL.into_iter().flat_map(|dtype| [(dtype, 42), (dtype, 43)]) {
            assert!(sdpa_error(sdpa, dtype, seed, rounds) < 0.5, "{dtype:?} {seed} {rounds:?}");
        }
    }
}
