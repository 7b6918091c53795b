//! Both backends of the host against attention in float64, written plainly.

use super::cpu::CpuSdpa;
use super::problem::SdpaProblem;
use super::{cpu_blocked, cpu_math};
use crate::ops::Plan;
use crate::ops::verify::{SAMPLED_ROWS, Scores, host, tolerance};
use crate::workload::{Backend, DType, Sdpa, SdpaShape, convert::to_f32};

type Problem = SdpaProblem<Vec<u16>>;

fn problem(shape: [usize; 4], data_head_dim: usize, causal: bool, dtype: DType) -> Problem {
    let [batch, n_heads, seq_len, head_dim] = shape;
    let shape = SdpaShape { batch, seq_len, kv_len: None, n_heads, n_kv_heads: None, head_dim };
    let sdpa = Sdpa { data_head_dim, causal, ..Sdpa::dense(shape, Backend::Auto) };
    SdpaProblem::on_host(sdpa, dtype, 42)
}

fn blocked(mut problem: Problem) -> Problem {
    cpu_blocked::attend(&mut problem);
    problem
}

fn math(mut problem: Problem) -> Problem {
    cpu_math::attend(&mut problem);
    problem
}

fn values(dtype: DType, bits: &[u16]) -> Vec<f64> {
    bits.iter().map(|&bits| f64::from(to_f32(dtype, bits))).collect()
}

/// `softmax(Q Kᵀ / sqrt(data_head_dim)) V` in float64, without blocks or a maximum.
fn in_float64(problem: &Problem) -> Vec<f64> {
    let SdpaShape { batch, seq_len, n_heads, head_dim, .. } = problem.sdpa.shape;
    let (kv_heads, kv_len) = (problem.sdpa.shape.kv_heads(), problem.sdpa.shape.kv_len());
    let [q, k, v] = [&problem.q, &problem.k, &problem.v].map(|bits| values(problem.dtype, bits));
    let mut o = vec![0.0; q.len()];
    for (of_batch, head) in (0..batch).flat_map(|b| (0..n_heads).map(move |h| (b, h))) {
        for query in 0..seq_len {
            let at = |token: usize| ((of_batch * n_heads + head) * seq_len + token) * head_dim;
            let kv_head = of_batch * kv_heads + head * kv_heads / n_heads;
            let kv_at = |token: usize| (kv_head * kv_len + token) * head_dim;
            let mut total = 0.0;
            let keys = if problem.sdpa.causal { query + 1 } else { kv_len };
            for key in 0..keys {
                let mut score = 0.0;
                for d in 0..head_dim {
                    score += q[at(query) + d] * k[kv_at(key) + d];
                }
                let weight = (score / (problem.sdpa.data_head_dim as f64).sqrt()).exp();
                total += weight;
                for d in 0..head_dim {
                    o[at(query) + d] += weight * v[kv_at(key) + d];
                }
            }
            o[at(query)..][..head_dim].iter_mut().for_each(|x| *x /= total);
        }
    }
    o
}

/// Elements may be off by one rounding, and by what float32 sums add to it.
#[track_caller]
fn assert_close(problem: &Problem, expected: &[f64], what: &str) {
    let unit_roundoff = if problem.dtype == DType::Fp16 { 2f64.powi(-11) } else { 2f64.powi(-8) };
    for (at, (x, &y)) in values(problem.dtype, &problem.o).iter().zip(expected).enumerate() {
        let bound = unit_roundoff * y.abs() + 2e-6;
        assert!((x - y).abs() <= bound, "{what} {:?} element {at}: {x}, not {y}", problem.sdpa);
    }
}

#[test]
fn odd_sizes_match_float64() {
    let heads = [(1, 1), (1, 2), (2, 1), (1, 3)];
    let mut number = 0;
    for seq_len in [1, 3, 63, 65, 130] {
        for head_dim in [8, 64, 107, 129] {
            for causal in [false, true] {
                // Types and heads take turns: all pairs with a length or a head_dim occur.
                let dtype =
                    if (number / 2 + number / 8) % 2 == 0 { DType::Fp16 } else { DType::Bf16 };
                let (batch, n_heads) = heads[number / 2 % 4];
                number += 1;
                let input = problem([batch, n_heads, seq_len, head_dim], head_dim, causal, dtype);
                let expected = in_float64(&input);
                assert_close(&blocked(input.clone()), &expected, "blocked");
                assert_close(&math(input), &expected, "math");
            }
        }
    }
}

#[test]
fn grouped_heads_match_float64() {
    for (n_kv_heads, causal) in [(1, false), (2, true), (3, false)] {
        for dtype in DType::ALL {
            let multi_head = problem([2, 6, 70, 40], 37, causal, dtype).sdpa;
            let shape = SdpaShape { n_kv_heads: Some(n_kv_heads), ..multi_head.shape };
            let input = SdpaProblem::on_host(Sdpa { shape, ..multi_head }, dtype, 42);
            assert_eq!(input.k.len(), 2 * n_kv_heads * 70 * 40);
            let expected = in_float64(&input);
            for attend in [blocked, math] {
                let done = attend(input.clone());
                assert_close(&done, &expected, "grouped");
                host::sdpa(&done, Scores::Float32).unwrap();
            }
        }
    }
}

#[test]
fn one_query_on_a_cache_matches_float64() {
    for head_dim in [1, 2, 3, 64, 107, 128, 129, 256] {
        for (context, n_kv_heads) in [(1, None), (17, Some(2)), (1000, Some(1)), (1024, None)] {
            let shape = problem([2, 4, 1, head_dim], head_dim, false, DType::Fp16).sdpa.shape;
            let shape = SdpaShape { kv_len: Some(context), n_kv_heads, ..shape };
            let dtype = if context % 2 == 1 { DType::Bf16 } else { DType::Fp16 };
            let input = SdpaProblem::on_host(Sdpa::dense(shape, Backend::Auto), dtype, 42);
            let heads = n_kv_heads.unwrap_or(4);
            assert_eq!(
                (input.q.len(), input.v.len()),
                (8 * head_dim, 2 * heads * context * head_dim)
            );
            let expected = in_float64(&input);
            for attend in [blocked, math] {
                let done = attend(input.clone());
                assert_close(&done, &expected, "decode");
                host::sdpa(&done, Scores::Float32).unwrap();
            }
        }
    }
}

#[test]
fn padded_heads_hold_the_unpadded_result() {
    for (dtype, causal) in [(DType::Fp16, false), (DType::Bf16, true)] {
        let dense = problem([1, 2, 70, 107], 107, causal, dtype);
        let padded = problem([1, 2, 70, 112], 107, causal, dtype);
        assert_eq!(dense.scale(), padded.scale());
        for attend in [blocked, math] {
            let (dense, padded) = (attend(dense.clone()), attend(padded.clone()));
            for (dense, padded) in dense.o.chunks(107).zip(padded.o.chunks(112)) {
                assert_eq!(dense, &padded[..107]);
                assert!(padded[107..].iter().all(|&bits| to_f32(dtype, bits) == 0.0));
            }
        }
    }
}

#[test]
fn large_scores_do_not_overflow() {
    // Scores of some hundreds, rising along the keys: exp() of one is infinite in float32.
    for attend in [blocked, math] {
        let mut input = problem([1, 1, 130, 64], 64, false, DType::Bf16);
        for (at, bits) in input.k.iter_mut().enumerate() {
            *bits = crate::workload::convert::from_f32(DType::Bf16, (at / 64) as f32 / 4.0);
        }
        input.q.fill(crate::workload::convert::from_f32(DType::Bf16, 2.0));
        let expected = in_float64(&input);
        assert!(expected.iter().all(|x| x.is_finite()));
        assert_close(&attend(input), &expected, "large scores");
    }
}

#[test]
fn plans_check_themselves() {
    for (dtype, causal) in [(DType::Fp16, true), (DType::Bf16, false)] {
        let input = problem([2, 3, 65, 40], 37, causal, dtype);
        for attend in [cpu_blocked::attend, cpu_math::attend] {
            let verification = CpuSdpa { problem: input.clone(), attend }.verify().unwrap();
            assert_eq!(verification.rows, SAMPLED_ROWS);
            assert!(
                verification.max_rel_error < 0.26 * tolerance(dtype.into(), 1),
                "{verification:?}"
            );
        }
    }
}

#[test]
fn launches_repeat_bit_for_bit() {
    let once = blocked(problem([1, 3, 130, 64], 64, true, DType::Fp16));
    // A larger problem in between leaves other numbers in the scratch memory.
    let larger = blocked(problem([1, 2, 140, 129], 129, false, DType::Bf16));
    host::sdpa(&larger, Scores::Float32).unwrap();
    assert_eq!(blocked(once.clone()).o, once.o);
}
