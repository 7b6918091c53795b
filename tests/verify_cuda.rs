//! The check of results on a GPU: small shapes are never called wrong, injected errors are caught,
//! and the host says the same.
//!
//! `cargo test --test verify_cuda -- --ignored --nocapture` prints the largest errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{DTYPES, download, gpu, precisions, upload};
use night_sweep::device::cuda::{DeviceArray, Tensor};
use night_sweep::device::{Cuda, DeviceErrorKind};
use night_sweep::ops::gemm::{CublasLtGemm, GemmProblem};
use night_sweep::ops::sdpa::{Attend, Context, Made, SdpaProblem, find};
use night_sweep::ops::verify::{self, Scores, sampled_rows};
use night_sweep::ops::{Plan, Verification};
use night_sweep::workload::error::{CaseError, ErrorKind};
use night_sweep::workload::operation::{Backend, Gemm, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use night_sweep::workload::{Element, GemmLayout, HostArray, Precision, philox::philox4x32};
use std::collections::BTreeMap;

const SEEDS: u64 = 5;

/// The largest errors of right results, over the tolerance, by what computed them.
#[derive(Default)]
struct Largest(BTreeMap<String, f64>);

impl Largest {
    #[track_caller]
    fn add(&mut self, name: &str, what: &str, verified: Result<Verification, CaseError>) {
        let verification = verified.unwrap_or_else(|error| panic!("{name}, {what}: {error}"));
        let largest = self.0.entry(name.to_owned()).or_default();
        *largest = largest.max(verification.max_rel_error / verification.tolerance);
    }

    fn print(&self) {
        for (name, largest) in &self.0 {
            println!("{name}: the largest error is {largest:.2} of the tolerance");
        }
    }
}

fn gemm(m: usize, n: usize, k: usize) -> Gemm {
    Gemm::dense(GemmShape { m, n, k })
}

fn sdpa(backend: Backend, shape: [usize; 4], causal: bool) -> Sdpa {
    let [n_heads, n_kv_heads, seq_len, head_dim] = shape;
    let n_kv_heads = Some(n_kv_heads);
    let shape = SdpaShape { batch: 1, seq_len, kv_len: None, n_heads, n_kv_heads, head_dim };
    Sdpa { causal, ..Sdpa::dense(shape, backend) }
}

/// None if the backend does not take the shape.
fn plan(on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Option<Box<dyn Attend<Tensor>>> {
    match find(sdpa.backend, on.device()).unwrap().plan(on, sdpa, dtype, seed) {
        Ok(Made::Cuda(plan)) => Some(plan),
        Ok(Made::Host(_)) => panic!("{} is one of the host's", sdpa.backend.name()),
        Err(error) if error.kind == ErrorKind::Unsupported => None,
        Err(error) => panic!("{sdpa:?}: {error}"),
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn small_gemms_of_every_algorithm_are_right() {
    let (cuda, _) = gpu();
    let mut largest = Largest::default();
    let small = [(1, 1), (1, 8), (3, 5), (8, 8)].into_iter();
    let small = small.flat_map(|(m, n)| (1..=8).map(move |k| gemm(m, n, k)));
    let one = [16, 107, 256, 407, 408, 1000, 4096].map(|k| gemm(1, 1, k));
    for shape in small.chain(one) {
        let each = |layout| Precision::ALL.map(|precision| (layout, precision));
        for (layout, dtype) in GemmLayout::ALL.into_iter().flat_map(each) {
            let gemm = Gemm { layout, ..shape };
            let offered = match cuda.lt().algorithms(&gemm, dtype, 64) {
                // Small sizes are no multiples of 16.
                Err(error) if dtype == Precision::Fp8E4m3 => {
                    assert_eq!(error.kind, DeviceErrorKind::Unsupported, "{error}");
                    continue;
                }
                offered => offered.unwrap(),
            };
            for (rank, matmul) in offered.into_iter().enumerate() {
                for seed in 0..SEEDS {
                    let matmul = matmul.clone();
                    let mut plan = CublasLtGemm::with(&cuda, gemm, dtype, seed, matmul).unwrap();
                    // As in a sweep, an algorithm that cannot be launched is not taken.
                    if rank > 0 && plan.launch().is_err() {
                        continue;
                    }
                    let what = format!("{gemm:?} {seed} {:?}", plan.algorithm());
                    largest.add(&format!("GEMM {}", dtype.name()), &what, plan.verify());
                }
            }
        }
    }
    largest.print();
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn small_attention_of_every_backend_is_right() {
    let (_, device) = gpu();
    let on = Context::new(device, None);
    let mut backends = vec![
        Backend::NsFlash,
        Backend::NsFlashUnpadded,
        Backend::NsMemEfficient,
        Backend::NsMath,
        Backend::NsMathFp16,
    ];
    backends.extend(on.cudnn().is_ok().then_some(Backend::NsCudnn));
    let mut largest = Largest::default();
    for (backend, head_dim) in backends.into_iter().flat_map(|b| (1..=8).map(move |d| (b, d))) {
        for dtype in DTYPES {
            // Each mask with each type, and one kernel compiled for both sizes: bf16 is causal at
            // head_dim 1, which was once called wrong.
            let causal = (head_dim % 2 == 1) == (dtype == DType::Bf16);
            for shape in [[4, 2, 9, head_dim], [24, 8, 1000, head_dim]] {
                let sdpa = sdpa(backend, shape, causal);
                for seed in 0..SEEDS {
                    let Some(mut plan) = plan(&on, sdpa, dtype, seed) else { continue };
                    let name = format!("{} {}", backend.name(), dtype.name());
                    largest.add(&name, &format!("{sdpa:?} {seed}"), plan.verify());
                }
            }
        }
    }
    largest.print();
    for backend in [Backend::NsMath, Backend::NsMathFp16] {
        let ran =
            DTYPES.map(|d| largest.0.contains_key(&format!("{} {}", backend.name(), d.name())));
        assert_eq!(ran, [true; 2], "{}", backend.name());
    }
}

/// Errors of a result of some columns: what is wrong, and whether it is caught.
fn errors(right: &HostArray, columns: usize) -> Vec<(&'static str, HostArray, bool)> {
    let rows = right.len() / columns;
    let sampled = sampled_rows(rows, verify::SAMPLED_ROWS);
    let largest_of = |row: usize| {
        (row * columns..(row + 1) * columns)
            .max_by(|&x, &y| right.get(x).abs().total_cmp(&right.get(y).abs()))
            .unwrap()
    };
    let changed = |at: std::ops::Range<usize>, factor: f32| {
        let mut wrong = right.clone();
        at.for_each(|at| wrong.set(at, factor * right.get(at)));
        wrong
    };
    let one = |row: usize, factor: f32| changed(largest_of(row)..largest_of(row) + 1, factor);
    let unwritten = |row: usize| {
        let mut wrong = right.clone();
        wrong.set(row * columns, f32::NAN);
        wrong
    };
    let zeros = HostArray::zeros(right.element(), right.len());
    let mut errors = vec![
        ("one element off by 5 %", one(0, 1.05), true),
        ("a sign flipped", one(sampled[sampled.len() / 2], -1.0), true),
        ("one element not written", unwritten(rows - 1), true),
        ("zeros", zeros, true),
        ("half of the rows doubled", changed(right.len() / 2..right.len(), 2.0), true),
        ("all off by 4 %", changed(0..right.len(), 1.04), true),
    ];
    // A row of one element may be a sum near zero, of which 5 % are not much.
    if columns > 1 {
        errors.push(("one element off by 5 % in the last row", one(rows - 1, 1.05), true));
    }
    if let Some(row) = (0..rows).find(|row| !sampled.contains(row)) {
        errors.push(("one element not written in a row not compared", unwritten(row), true));
        errors.push(("a sign flipped in a row not compared", one(row, -1.0), false));
    }
    errors
}

fn half(dtype: DType, bits: &[u16]) -> HostArray {
    HostArray::Half(dtype, bits.to_vec())
}

fn bits(array: HostArray) -> Vec<u16> {
    match array {
        HostArray::Half(_, bits) => bits,
        other => panic!("{:?} has no 16 bits", other.element()),
    }
}

#[track_caller]
fn assert_caught(what: &str, verified: Result<Verification, CaseError>, is_caught: bool) {
    assert_eq!(verified.is_err(), is_caught, "{what}: {verified:?}");
    if let Err(error) = verified {
        assert_eq!(error.kind, ErrorKind::WrongResult, "{what}: {error}");
    }
}

fn multiply(cuda: &Cuda, problem: &GemmProblem<DeviceArray>, gemm: Gemm) {
    let matmul = cuda.lt().algorithms(&gemm, problem.dtype, 1).unwrap().swap_remove(0);
    cuda.lt().multiply(&matmul, [&problem.a, &problem.b, &problem.c]).unwrap();
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn errors_in_gemms_are_caught() {
    let (cuda, _) = gpu();
    let shapes = [(1, 1, 1), (8, 8, 8), (24, 24, 24), (200, 333, 107), (256, 256, 4096)];
    let others = [Precision::Fp16, Precision::Bf16, Precision::Tf32, Precision::Fp32];
    let others = shapes.into_iter().flat_map(|shape| others.map(|precision| (shape, precision)));
    let fp8 = [(1, 16, 16), (200, 336, 112), (256, 256, 4096)];
    let fp8 = fp8.into_iter().map(|shape| (shape, Precision::Fp8E4m3));
    let there = precisions(&cuda);
    let both = others.chain(fp8).filter(|(_, precision)| there.contains(precision));
    for ((m, n, k), dtype) in both {
        let is_fp8 = dtype == Precision::Fp8E4m3;
        let layout = if is_fp8 { GemmLayout::Nt } else { GemmLayout::Nn };
        let gemm = Gemm { layout, ..gemm(m, n, k) };
        let mut problem = GemmProblem::on_cuda(&cuda, gemm, dtype, gpu::SEED).unwrap();
        multiply(&cuda, &problem, gemm);
        verify::cuda::gemm(&cuda, &problem).unwrap();
        for (what, wrong, is_caught) in errors(&cuda.download_array(&problem.c).unwrap(), n) {
            problem.c = cuda.upload_array(&wrong).unwrap();
            let what = format!("{what}, {gemm:?} {dtype:?}");
            assert_caught(&what, verify::cuda::gemm(&cuda, &problem), is_caught);
        }
        // The last term is missing.
        let b = cuda.download_array(&problem.b).unwrap();
        let mut without = b.clone();
        let [row, column] = gemm.strides()[1];
        (0..n).for_each(|at| without.set((k - 1) * row + at * column, 0.0));
        problem.b = cuda.upload_array(&without).unwrap();
        multiply(&cuda, &problem, gemm);
        problem.b = cuda.upload_array(&b).unwrap();
        let what = format!("a term missing, {gemm:?} {dtype:?}");
        assert_caught(&what, verify::cuda::gemm(&cuda, &problem), true);
        // Operands taken for their transposes.
        for layout in [GemmLayout::Tn, GemmLayout::Nt, GemmLayout::Tt] {
            if m > 1 && !is_fp8 {
                multiply(&cuda, &problem, Gemm { layout, ..gemm });
                let what = format!("{layout:?}, {gemm:?} {dtype:?}");
                assert_caught(&what, verify::cuda::gemm(&cuda, &problem), true);
            }
        }
        // Float32 whose last 13 bits the tensor cores leave out.
        if dtype == Precision::Fp32 && m > 1 {
            let matmul = cuda.lt().algorithms(&gemm, Precision::Tf32, 1).unwrap().swap_remove(0);
            cuda.lt().multiply(&matmul, [&problem.a, &problem.b, &problem.c]).unwrap();
            let verified = verify::cuda::gemm(&cuda, &problem);
            println!("tf32 for fp32, {gemm:?}: {verified:?}");
            // cuBLASLt may have no tensor cores for small or odd shapes.
            if k == 4096 {
                assert_caught(&format!("tf32 for fp32, {gemm:?}"), verified, true);
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn errors_in_attention_are_caught() {
    let (cuda, device) = gpu();
    let on = Context::new(device, None);
    let shapes = [[4, 2, 9, 1], [24, 8, 200, 1], [4, 4, 64, 8], [4, 2, 300, 64]];
    let backends = [Backend::NsMath, Backend::NsMathFp16, Backend::NsFlash];
    let cases = backends.into_iter().flat_map(|b| shapes.map(|s| (b, s)));
    for ((backend, shape), dtype) in cases.flat_map(|case| DTYPES.map(|d| (case, d))) {
        let sdpa = sdpa(backend, shape, true);
        let Some(mut plan) = plan(&on, sdpa, dtype, gpu::SEED) else { continue };
        plan.verify().unwrap();
        let right = download(&cuda, &plan.problem_mut().o);
        let mut errors: Vec<_> = errors(&half(dtype, &right), shape[3])
            .into_iter()
            .map(|(what, wrong, is_caught)| (what, bits(wrong), is_caught))
            .collect();
        // Scores that are rounded excuse a difference that grows with them.
        errors.retain(|(what, ..)| {
            plan.scores() == Scores::Float32 || !(what.contains('%') && dtype == DType::Bf16)
        });
        let mut swapped = right.clone();
        let (first, second) = swapped.split_at_mut(shape[2] * shape[3]);
        first.swap_with_slice(&mut second[..shape[2] * shape[3]]);
        errors.push(("two heads swapped", swapped, true));
        for (what, wrong, is_caught) in errors {
            plan.problem_mut().o = upload(&cuda, &wrong);
            let scores = plan.scores();
            let verified = verify::cuda::sdpa(&cuda, plan.problem_mut(), scores);
            assert_caught(&format!("{what}, {sdpa:?} {dtype:?}"), verified, is_caught);
        }
        plan.launch().unwrap();
        plan.problem_mut().sdpa.causal = false;
        let scores = plan.scores();
        let verified = verify::cuda::sdpa(&cuda, plan.problem_mut(), scores);
        assert_caught(&format!("a mask that should not be, {sdpa:?} {dtype:?}"), verified, true);
    }
}

/// Off by up to 0.08 %, or in float32 by up to 2^-22, so that errors have many sizes.
fn disturbed(array: HostArray) -> HostArray {
    let step = if array.element() == Element::Fp32 { 2f32.powi(-23) } else { 4e-4 };
    let disturb = |at: usize| {
        let [random, ..] = philox4x32([at as u32, 0, 0, 0], [1, 2]);
        array.get(at) * (1.0 + step * (random % 3) as f32)
    };
    HostArray::rounded(array.element(), (0..array.len()).map(disturb))
}

/// The same error, but for the last places of float32.
#[track_caller]
fn assert_same(host: Verification, device: Verification) {
    let difference = (host.max_rel_error - device.max_rel_error).abs();
    assert!(difference < 0.01 * host.tolerance, "{host:?} {device:?}");
    assert_eq!((host.tolerance, host.rows), (device.tolerance, device.rows));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_host_finds_the_same_errors() {
    let (cuda, device) = gpu();
    let on = Context::new(device, None);
    let all = |precision| GemmLayout::ALL.map(|layout| (precision, layout));
    for (dtype, layout) in precisions(&cuda).into_iter().flat_map(all) {
        let is_fp8 = dtype == Precision::Fp8E4m3;
        let shape = if is_fp8 { gemm(33, 304, 112) } else { gemm(33, 300, 107) };
        let gemm = Gemm { layout, batch: if is_fp8 { 1 } else { 3 }, ..shape };
        if is_fp8 && layout != GemmLayout::Nt {
            continue;
        }
        let mut problem = GemmProblem::on_cuda(&cuda, gemm, dtype, gpu::SEED).unwrap();
        multiply(&cuda, &problem, gemm);
        let result = cuda.download_array(&problem.c).unwrap();
        problem.c = cuda.upload_array(&disturbed(result)).unwrap();
        let arrays = [&problem.a, &problem.b, &problem.c];
        let [a, b, c] = arrays.map(|array| cuda.download_array(array).unwrap());
        let host = verify::host::gemm(&GemmProblem { gemm, dtype, a, b, c }).unwrap();
        assert_same(host, verify::cuda::gemm(&cuda, &problem).unwrap());
    }
    for dtype in DTYPES {
        for (shape, causal) in [([4, 2, 200, 1], true), ([4, 2, 130, 107], false)] {
            let mut plan = plan(&on, sdpa(Backend::NsMath, shape, causal), dtype, 7).unwrap();
            plan.launch().unwrap();
            let problem = plan.problem_mut();
            let result = half(dtype, &download(&cuda, &problem.o));
            problem.o = upload(&cuda, &bits(disturbed(result)));
            let [q, k, v, o] =
                [&problem.q, &problem.k, &problem.v, &problem.o].map(|t| download(&cuda, t));
            let on_host = SdpaProblem { sdpa: problem.sdpa, dtype, q, k, v, o };
            for scores in [Scores::Float32, Scores::Rounded] {
                let host = verify::host::sdpa(&on_host, scores).unwrap();
                assert_same(host, verify::cuda::sdpa(&cuda, problem, scores).unwrap());
            }
        }
    }
}
