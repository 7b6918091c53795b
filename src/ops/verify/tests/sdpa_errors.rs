//! Errors put into right attention.

use super::table::{ALL, FINE, NONE, Row, assert_table, element, row};
use super::*;

type HostSdpa = SdpaProblem<Vec<u16>>;

/// Heads, KV heads, seq_len, head_dim; and whether the mask is causal.
type Shape = ([usize; 4], bool);

fn rows(problem: &HostSdpa) -> usize {
    problem.o.len() / problem.sdpa.shape.head_dim
}

/// Computes the rows that are compared: of the keys that a query may see, those that `sees` tells,
/// with scores off by `factor`, and each head taking the KV head that `kv_head` tells.
fn attend(
    problem: &mut HostSdpa,
    sees: impl Fn(usize, usize) -> bool,
    factor: f32,
    kv_head: impl Fn(usize) -> usize,
) {
    let (SdpaShape { seq_len, head_dim, .. }, dtype) = (problem.sdpa.shape, problem.dtype);
    let (scale, elements) = (factor * problem.scale(), seq_len * head_dim);
    let values = |bits: &[u16]| bits.iter().map(|&x| to_f32(dtype, x)).collect::<Vec<_>>();
    let [all_k, all_v] = [&problem.k, &problem.v].map(|bits| values(bits));
    for row in sampled_rows(rows(problem), SAMPLED_ROWS) {
        let (query, kv) = (row % seq_len, kv_head(row / seq_len) * elements);
        let [k, v] = [&all_k, &all_v].map(|values| &values[kv..][..elements]);
        let q = values(&problem.q[row * head_dim..][..head_dim]);
        let (mut o, mut total) = (vec![0.0; head_dim], 0.0);
        for key in (0..seq_len).filter(|&key| sees(query, key)) {
            let (k, v) = (&k[key * head_dim..][..head_dim], &v[key * head_dim..][..head_dim]);
            let weight = (q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() * scale).exp();
            total += weight;
            o.iter_mut().zip(v).for_each(|(o, v)| *o += weight * v);
        }
        let o: Vec<u16> = o.into_iter().map(|o| from_f32(dtype, o / total)).collect();
        problem.o[row * head_dim..][..head_dim].copy_from_slice(&o);
    }
}

/// With another rule which keys a query sees.
fn seeing(problem: &mut HostSdpa, sees: fn(usize, usize) -> bool) {
    let group = problem.sdpa.shape.heads_per_kv_head();
    attend(problem, sees, 1.0, |head| head / group);
}

/// Without the key of least weight for the first query.
fn without_the_lightest(problem: &mut HostSdpa) {
    let dim = problem.sdpa.shape.head_dim;
    let value = |&bits: &u16| to_f32(problem.dtype, bits);
    let score = |key: usize| {
        let k = problem.k[key * dim..][..dim].iter().map(value);
        problem.q[..dim].iter().map(value).zip(k).map(|(q, k)| q * k).sum::<f32>()
    };
    let keys = 0..problem.sdpa.shape.seq_len;
    let lightest = keys.min_by(|&x, &y| score(x).total_cmp(&score(y))).unwrap();
    attend(problem, |query, key| query != 0 || key != lightest, 1.0, |head| head);
}

fn scores_off_by(problem: &mut HostSdpa, factor: f32) {
    attend(problem, |_, _| true, factor, |head| head);
}

fn change_o(problem: &mut HostSdpa, is_sampled: bool, quantile: f64, factor: f32) {
    let row = row(rows(problem), is_sampled);
    let column = element(&sdpa_row(problem, row, Scores::Float32), problem.dtype.into(), quantile);
    scale(&mut problem.o[row * problem.sdpa.shape.head_dim + column], problem.dtype, factor);
}

/// Multiplies 8 queries of a head by `factor`.
fn scale_tile(problem: &mut HostSdpa, factor: f32) {
    let dim = problem.sdpa.shape.head_dim;
    let tile = &mut problem.o[8 * dim..16 * dim];
    tile.iter_mut().for_each(|bits| scale(bits, problem.dtype, factor));
}

fn swap_heads(problem: &mut HostSdpa, head: usize) {
    let elements = problem.sdpa.shape.seq_len * problem.sdpa.shape.head_dim;
    let (before, after) = problem.o.split_at_mut((head + 1) * elements);
    before[head * elements..].swap_with_slice(&mut after[..elements]);
}

/// The first of two heads next to each other of which no row is compared.
fn unsampled_heads(problem: &HostSdpa) -> usize {
    let queries = problem.sdpa.shape.seq_len;
    let sampled = sampled_rows(rows(problem), SAMPLED_ROWS);
    let is_free =
        |head: &usize| !(head * queries..(head + 2) * queries).any(|row| sampled.contains(&row));
    (0..problem.sdpa.shape.n_heads - 1).find(is_free).unwrap()
}

fn scale(bits: &mut u16, dtype: DType, factor: f32) {
    *bits = from_f32(dtype, factor * to_f32(dtype, *bits));
}

const ERRORS: [Row<HostSdpa, Shape>; 30] = [
    ("an element off by 5 %", ([1, 1, 1, 1], false), |p| change_o(p, true, 1.0, 1.05), ALL),
    ("an element off by 5 %", ([24, 8, 40, 1], true), |p| change_o(p, true, 1.0, 1.05), ALL),
    ("an element off by 5 %", ([2, 2, 100, 64], false), |p| change_o(p, true, 0.5, 1.05), ALL),
    ("5 % of a sum near zero", ([2, 2, 100, 64], false), |p| change_o(p, true, 0.1, 1.05), FINE),
    ("5 % in a row not compared", ([2, 2, 50, 8], false), |p| change_o(p, false, 1.0, 1.05), NONE),
    ("a sign flipped", ([24, 8, 40, 1], true), |p| change_o(p, true, 1.0, -1.0), ALL),
    ("a sign flipped", ([2, 2, 100, 64], false), |p| change_o(p, true, 0.5, -1.0), ALL),
    ("unwritten", ([1, 1, 1, 1], false), |p| p.o[0] = POISON, ALL),
    ("unwritten, not compared", ([2, 2, 50, 8], true), |p| p.o[row(100, false) * 8] = POISON, ALL),
    ("all zero", ([2, 1, 4, 1], true), |p| p.o.fill(0), ALL),
    ("a tile doubled", ([2, 2, 64, 8], true), |p| scale_tile(p, 2.0), ALL),
    ("a tile of zeros", ([2, 2, 64, 8], true), |p| scale_tile(p, 0.0), ALL),
    ("a tile between the rows compared", ([1, 1, 2048, 1], true), |p| scale_tile(p, 0.0), NONE),
    ("a key missing", ([1, 1, 2, 1], false), |p| seeing(p, |_, key| key != 1), ALL),
    ("a key missing", ([4, 2, 16, 8], false), |p| seeing(p, |_, key| key != 3), ALL),
    ("a key missing", ([1, 1, 300, 8], false), |p| seeing(p, |_, key| key != 3), ALL),
    ("a key missing", ([1, 1, 4096, 8], false), |p| seeing(p, |_, key| key != 3), ALL),
    (
        "a key missing of one query",
        ([4, 2, 16, 8], false),
        |p| seeing(p, |query, key| query != 0 || key != 3),
        ALL,
    ),
    ("the lightest key missing of one query", ([1, 1, 300, 8], false), without_the_lightest, NONE),
    (
        "keys missing that few queries see",
        ([1, 1, 2048, 8], true),
        |p| seeing(p, |query, key| key <= query && (key < 2040 || query == 2047)),
        NONE,
    ),
    ("64 keys missing", ([1, 1, 256, 16], false), |p| seeing(p, |_, key| key / 64 != 2), ALL),
    ("64 keys missing", ([1, 1, 1000, 8], false), |p| seeing(p, |_, key| key / 64 != 2), ALL),
    ("no mask", ([2, 2, 16, 1], true), |p| seeing(p, |_, _| true), ALL),
    (
        "a mask one key too wide",
        ([2, 1, 300, 8], true),
        |p| seeing(p, |query, key| key <= query + 1),
        ALL,
    ),
    (
        "a mask one key too narrow",
        ([2, 1, 300, 8], true),
        |p| seeing(p, |query, key| key < query.max(1)),
        ALL,
    ),
    ("scores not scaled", ([2, 2, 16, 8], false), |p| scores_off_by(p, 8f32.sqrt()), ALL),
    ("scores off by 6 %", ([1, 1, 128, 64], false), |p| scores_off_by(p, 0.94), ALL),
    (
        "KV heads in turn",
        ([4, 2, 16, 8], true),
        |p| attend(p, |query, key| key <= query, 1.0, |head| head % 2),
        ALL,
    ),
    ("two heads swapped", ([4, 4, 16, 8], true), |p| swap_heads(p, 1), ALL),
    (
        "two swapped that are not compared",
        ([200, 200, 4, 8], false),
        |p| swap_heads(p, unsampled_heads(p)),
        NONE,
    ),
];

#[test]
fn errors_of_attention() {
    let right = |([n_heads, n_kv_heads, seq_len, head_dim], causal): Shape,
                 precision: Precision| {
        let dtype = precision.half().unwrap();
        let n_kv_heads = Some(n_kv_heads);
        let shape = SdpaShape { batch: 1, seq_len, kv_len: None, n_heads, n_kv_heads, head_dim };
        let sdpa = Sdpa { causal, ..Sdpa::dense(shape, Backend::Auto) };
        let mut problem = SdpaProblem::on_host(sdpa, dtype, 42);
        let group = shape.heads_per_kv_head();
        attend(&mut problem, |query, key| !causal || key <= query, 1.0, |head| head / group);
        problem
    };
    assert_table(&ERRORS, &DType::ALL.map(Precision::from), right, host_sdpa);
}
