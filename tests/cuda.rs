//! The CUDA side against float64 on the host.
//!
//! `cargo test --test cuda -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{DTYPES, SEED, attention_row, download, gpu, upload, values};
use night_sweep::device::cuda::{Graph, Grouped, Matrix, Strided};
use night_sweep::device::kernel::Kernel;
use night_sweep::device::{Device, DeviceChoice, DeviceError};
use night_sweep::ops::gemm::{CublasLtGemm, GemmProblem};
use night_sweep::ops::plan::Plan;
use night_sweep::ops::planner::Planner;
use night_sweep::ops::sdpa::{Attention, Extent, SdpaProblem};
use night_sweep::ops::verify::{self, Scores};
use night_sweep::workload::case::Case;
use night_sweep::workload::convert::{from_f32, to_f32};
use night_sweep::workload::operation::{Backend, Gemm, Operation, Sdpa};
use night_sweep::workload::shape::{DType, GemmShape, SdpaShape};
use night_sweep::workload::{Element, ErrorKind, GemmLayout, HostArray, Precision};

/// Each `C = A B` of a GEMM's batch in float64, rounded once: by the indices of a plain loop.
fn product(a: &HostArray, b: &HostArray, gemm: Gemm, precision: Precision) -> HostArray {
    let (GemmShape { m, n, k }, layout) = (gemm.shape, gemm.layout);
    let (a, b) = (a.values(), b.values());
    let mut c = Vec::with_capacity(gemm.batch * m * n);
    for (a, b) in a.chunks(m * k).zip(b.chunks(k * n)) {
        for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let a_at = |i| if layout.a_transposed() { i * m + row } else { row * k + i };
            let b_at = |i| if layout.b_transposed() { column * k + i } else { i * n + column };
            let sum: f64 = (0..k).map(|i| f64::from(a[a_at(i)]) * f64::from(b[b_at(i)])).sum();
            c.push(sum as f32);
        }
    }
    HostArray::rounded(precision.result(), c)
}

/// Every layout, alone and in batches.
fn gemms(shape: GemmShape, batches: &[usize]) -> Vec<Gemm> {
    let of =
        |layout| batches.iter().map(move |&batch| Gemm { layout, batch, ..Gemm::dense(shape) });
    GemmLayout::ALL.into_iter().flat_map(of).collect()
}

fn attention(problem: &SdpaProblem<Vec<u16>>) -> Vec<u16> {
    let SdpaProblem { sdpa, dtype, q, k, v, .. } = problem;
    let [q, k, v] = [q, k, v].map(|bits| values(*dtype, bits));
    let rows = 0..q.len() / sdpa.shape.head_dim;
    let o = rows.flat_map(|row| attention_row(sdpa, [&q, &k, &v], row));
    o.map(|value| from_f32(*dtype, value as f32)).collect()
}

fn sdpa(seq_len: usize, head_dim: usize, causal: bool, backend: Backend) -> Sdpa {
    let shape =
        SdpaShape { batch: 2, seq_len, kv_len: None, n_heads: 4, n_kv_heads: None, head_dim };
    Sdpa { causal, ..Sdpa::dense(shape, backend) }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn data_are_those_of_the_host() {
    let (cuda, _) = gpu();
    let same = |host: &HostArray, device: &HostArray| {
        // Logarithm and sine of the two machines differ in their last place: so may one element in
        // hundreds, and in float32 one in two.
        let (bound, least) = match host.element() {
            Element::Fp32 => (1e-5, 1.0),
            Element::E4m3 => (0.13, 1e-3),
            Element::Fp16 | Element::Bf16 => (0.01, 1e-3),
        };
        let (host_values, device_values) = (host.values(), device.values());
        let pairs = || host_values.iter().zip(&device_values);
        if host.element() != Element::Fp32 {
            let equal = pairs().filter(|(host, device)| host == device).count();
            assert!(equal * 100 >= host.len() * 99, "{equal} of {} equal", host.len());
        }
        let close =
            |(host, device): (&f32, &f32)| (host - device).abs() <= bound * host.abs().max(least);
        assert!(pairs().all(close), "{:?}", host.element());
        let zeros = |values: &[f32]| values.iter().map(|x| x.to_bits() == 0).collect::<Vec<_>>();
        let (host, device) = (zeros(&host_values), zeros(&device_values));
        let differ = host.iter().zip(&device).filter(|(host, device)| host != device).count();
        assert_eq!(differ, 0, "the padding is where the host has it");
    };
    for precision in Precision::ALL {
        let data = GemmShape { m: 300, n: 64, k: 107 };
        for layout in [GemmLayout::Nn, GemmLayout::Nt] {
            let gemm = Gemm { shape: GemmShape { k: 112, ..data }, layout, ..Gemm::dense(data) };
            let host = GemmProblem::on_host(gemm, precision, SEED);
            let device = GemmProblem::on_cuda(&cuda, gemm, precision, SEED).unwrap();
            same(&host.a, &cuda.download_array(&device.a).unwrap());
            same(&host.b, &cuda.download_array(&device.b).unwrap());
        }
    }
    for dtype in DTYPES {
        let sdpa = Sdpa { data_head_dim: 107, ..sdpa(2, 112, false, Backend::Auto) };
        let host = SdpaProblem::on_host(sdpa, dtype, SEED).q;
        let device = SdpaProblem::on_cuda(&cuda, sdpa, dtype, SEED).unwrap().q;
        same(&HostArray::Half(dtype, host), &HostArray::Half(dtype, download(&cuda, &device)));
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_reference_for_gemms_accepts_float64_and_nothing_else() {
    let (cuda, _) = gpu();
    let shape = GemmShape { m: 201, n: 333, k: 107 };
    let each = |gemm| Precision::ALL.map(|precision| (gemm, precision));
    for (gemm, precision) in gemms(shape, &[1, 3]).into_iter().flat_map(each) {
        let mut problem = GemmProblem::on_cuda(&cuda, gemm, precision, SEED).unwrap();
        let [a, b] = [&problem.a, &problem.b].map(|array| cuda.download_array(array).unwrap());
        let right = product(&a, &b, gemm, precision);
        problem.c = cuda.upload_array(&right).unwrap();
        let verification = verify::cuda::gemm(&cuda, &problem).unwrap();
        assert!(verification.max_rel_error < 0.3 * verification.tolerance, "{verification:?}");

        let rows = gemm.batch * shape.m;
        for row in [0, rows - 1] {
            // The largest element: one that is small enough is no error, and bf16 allows 1.6 %.
            let mut wrong = right.clone();
            let worst = (row * shape.n..(row + 1) * shape.n)
                .max_by(|&x, &y| right.get(x).abs().total_cmp(&right.get(y).abs()))
                .unwrap();
            wrong.set(worst, -right.get(worst));
            problem.c = cuda.upload_array(&wrong).unwrap();
            let error = verify::cuda::gemm(&cuda, &problem).unwrap_err();
            assert_eq!(error.kind, ErrorKind::WrongResult, "{error}");
        }
        // A row that is not sampled: only the search for what was not written can find it.
        let sampled = verify::sampled_rows(rows, 64);
        let unsampled = (0..rows).find(|row| !sampled.contains(row)).unwrap();
        let mut unwritten = right;
        unwritten.set(unsampled * shape.n, f32::NAN);
        problem.c = cuda.upload_array(&unwritten).unwrap();
        let error = verify::cuda::gemm(&cuda, &problem).unwrap_err();
        let says = format!("1 of {} elements", rows * shape.n);
        assert!(error.message.contains(&says), "{error}");
        // And all of it, filled as before every check.
        verify::cuda::poison_array(&cuda, &mut problem.c).unwrap();
        let error = verify::cuda::gemm(&cuda, &problem).unwrap_err();
        let says = format!("{0} of {0} elements", rows * shape.n);
        assert!(error.message.contains(&says), "{error}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_reference_for_attention_accepts_float64_and_nothing_else() {
    let (cuda, _) = gpu();
    for dtype in DTYPES {
        for (seq_len, head_dim, causal) in [(1, 64, false), (63, 107, false), (130, 256, true)] {
            let mut sdpa = sdpa(seq_len, head_dim, causal, Backend::Auto);
            sdpa.shape.n_kv_heads = causal.then_some(2);
            let on_device = SdpaProblem::on_cuda(&cuda, sdpa, dtype, SEED).unwrap();
            let [q, k, v] = [&on_device.q, &on_device.k, &on_device.v].map(|t| download(&cuda, t));
            let right = attention(&SdpaProblem { sdpa, dtype, q, k, v, o: vec![] });
            let with = |bits: &[u16]| SdpaProblem { o: upload(&cuda, bits), ..on_device.clone() };
            verify::cuda::sdpa(&cuda, &with(&right), Scores::Float32).unwrap();
            let mut wrong = right.clone();
            let last = wrong.len() - 1;
            let worst = (last + 1 - head_dim..=last).max_by(|&x, &y| {
                to_f32(dtype, right[x]).abs().total_cmp(&to_f32(dtype, right[y]).abs())
            });
            wrong[worst.unwrap()] ^= 0x8000;
            let error = verify::cuda::sdpa(&cuda, &with(&wrong), Scores::Float32).unwrap_err();
            assert_eq!(error.kind, ErrorKind::WrongResult, "{error}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_are_right_at_odd_sizes() {
    let (cuda, _) = gpu();
    for dtype in DTYPES {
        for (m, n, k) in
            [(1, 1, 1), (17, 65, 33), (256, 128, 107), (1024, 64, 4096), (333, 1000, 255)]
        {
            let shape = GemmShape { m, n, k };
            CublasLtGemm::new(&cuda, Gemm::dense(shape), dtype, SEED).unwrap().verify().unwrap();
        }
        let data = GemmShape { m: 256, n: 256, k: 107 };
        let padded = Gemm { shape: GemmShape { k: 112, ..data }, ..Gemm::dense(data) };
        CublasLtGemm::new(&cuda, padded, dtype, SEED).unwrap().verify().unwrap();
    }
}

/// By a comparison of every element, not of sampled rows by a kernel of ours.
#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_of_every_layout_and_batch_are_those_of_float64() {
    let (cuda, device) = gpu();
    let planner = Planner::new(device, None, SEED);
    for dtype in [Precision::Fp16, Precision::Bf16, Precision::Tf32, Precision::Fp32] {
        for (m, n, k) in [(1, 1, 1), (17, 65, 33), (64, 128, 107), (128, 96, 256), (333, 7, 255)] {
            for gemm in gemms(GemmShape { m, n, k }, &[1, 3]) {
                let case = |operation| Case::row("G3", "s", "p", k, dtype, operation);
                for operation in [Operation::Gemm(gemm), Operation::GemmBest(gemm)] {
                    let mut plan = planner.plan(&case(operation)).unwrap().plan;
                    let verified = plan.verify();
                    assert!(verified.is_ok(), "{gemm:?} {dtype:?}: {verified:?}");
                }
                let GemmProblem { a, b, c, .. } =
                    GemmProblem::on_cuda(&cuda, gemm, dtype, SEED).unwrap();
                let matmul = cuda.lt().algorithms(&gemm, dtype, 1).unwrap().swap_remove(0);
                cuda.lt().multiply(&matmul, [&a, &b, &c]).unwrap();
                let [a, b, c] = [&a, &b, &c].map(|array| cuda.download_array(array).unwrap());
                let right = product(&a, &b, gemm, dtype).values();
                let largest = right.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
                let bound = largest * verify::tolerance(dtype, k) as f32;
                for (at, (x, y)) in right.iter().zip(c.values()).enumerate() {
                    assert!((x - y).abs() <= bound, "{gemm:?} {dtype:?}: {y}, not {x}, at {at}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn every_attention_backend_is_right_at_odd_sizes() {
    let (_, device) = gpu();
    let attention = Attention::new(device, None);
    for dtype in DTYPES {
        for seq_len in [1, 63, 130, 1000, 2049] {
            for causal in [false, true] {
                for head_dim in [8, 64, 107, 128, 256] {
                    for backend in [Backend::NsMath, Backend::NsMathFp16, Backend::NsFastest] {
                        let sdpa = sdpa(seq_len, head_dim, causal, backend);
                        let (mut plan, chosen) =
                            attention.plan(sdpa, Extent::Whole, dtype, SEED).unwrap();
                        let verified = plan.verify();
                        assert!(verified.is_ok(), "{sdpa:?} {dtype:?} {chosen:?}: {verified:?}");
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_graph_replays_its_launches_and_names_their_kernels() {
    let (cuda, _) = gpu();
    let shape = GemmShape { m: 256, n: 128, k: 107 };
    let mut plan = CublasLtGemm::new(&cuda, Gemm::dense(shape), DType::Fp16, SEED).unwrap();
    plan.verify().unwrap();
    let one = Graph::capture(&cuda, 1, || plan.launch()).unwrap().kernels(&cuda).unwrap();
    let three = Graph::capture(&cuda, 3, || plan.launch()).unwrap();
    let is_named = |kernel: &Kernel| !kernel.name.is_empty() && kernel.block[0] > 0;
    assert!(!one.is_empty() && one.iter().all(is_named), "{one:?}");
    assert_eq!(three.kernels(&cuda).unwrap(), [one.clone(), one.clone(), one].concat());
    three.launch().unwrap();
    cuda.synchronize().unwrap();

    let attention = Attention::new(Device::Cuda(cuda.clone()), None);
    let sdpa = sdpa(128, 64, false, Backend::NsMath);
    let (mut math, _) = attention.plan(sdpa, Extent::Whole, DType::Fp16, SEED).unwrap();
    math.launch().unwrap();
    let kernels = Graph::capture(&cuda, 1, || math.launch()).unwrap().kernels(&cuda).unwrap();
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    assert_eq!([names[0], names[4], names[6]], ["widen", "softmax_f32", "narrow"], "{names:?}");
    assert_eq!(names.len(), 7, "{names:?}");
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_capture_that_fails_leaves_the_stream_usable() {
    let (cuda, _) = gpu();
    let refused = Graph::capture(&cuda, 1, || Err(DeviceError::driver("injected")));
    assert_eq!(refused.err().unwrap().message, "injected");
    let shape = GemmShape { m: 64, n: 64, k: 64 };
    CublasLtGemm::new(&cuda, Gemm::dense(shape), DType::Fp16, SEED).unwrap().verify().unwrap();
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn what_does_not_fit_is_out_of_memory_and_the_next_case_runs() {
    let (cuda, device) = gpu();
    let planner = Planner::new(device, None, SEED);
    let side = (cuda.memory_bytes() as f64 / 2.0).sqrt() as usize;
    let case = |side| {
        let shape = GemmShape { m: side, n: side, k: side };
        Case::row("G3", "big", "x", side, DType::Fp16, Operation::Gemm(Gemm::dense(shape)))
    };
    let error = planner.plan(&case(side)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::OutOfMemory, "{error}");
    planner.plan(&case(64)).unwrap().plan.verify().unwrap();
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_device_that_does_not_exist_is_named() {
    let message = Device::open(DeviceChoice::Cuda(99)).err().unwrap().message;
    assert!(message.starts_with("there is no cuda:99: this machine has cuda:0"), "{message}");
    let (device, note) = Device::open(DeviceChoice::Auto).unwrap();
    assert_eq!((device.name().as_str(), note), ("cuda:0", None));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn resizing_keeps_what_both_sizes_share_and_zeroes_the_rest() {
    let (cuda, _) = gpu();
    for (from, to) in [
        ((1001, 107), (1001, 112)),
        ((1001, 112), (1001, 107)),
        ((107, 300), (112, 300)),
        ((333, 1), (335, 8)),
        ((5, 4097), (3, 1)),
        ((1, 1), (1, 1)),
        ((64, 3), (70, 700)),
    ] {
        let sources: [Vec<u16>; 3] = std::array::from_fn(|tensor| {
            let value = |i: usize| (i * 7 + tensor * 11 + 1) as u16 | 1;
            (0..from.0 * from.1).map(value).collect()
        });
        let device = sources.each_ref().map(|bits| upload(&cuda, bits));
        let mut resized = [0; 3].map(|_| upload(&cuda, &vec![0xFFFF; to.0 * to.1]));
        let (from_size, to_size) = (from.into(), to.into());
        cuda.kernels().resize(device.each_ref(), resized.each_mut(), from_size, to_size).unwrap();
        for (source, resized) in sources.iter().zip(&resized) {
            let expected: Vec<u16> = (0..to.0 * to.1)
                .map(|i| (i / to.1, i % to.1))
                .map(|(r, c)| if r < from.0 && c < from.1 { source[r * from.1 + c] } else { 0 })
                .collect();
            assert!(download(&cuda, resized) == expected, "{from:?} to {to:?}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn tensors_of_another_size_are_refused_before_a_library_sees_them() {
    let (cuda, _) = gpu();
    let shape = GemmShape { m: 64, n: 32, k: 16 };
    let problem = GemmProblem::on_cuda(&cuda, Gemm::dense(shape), DType::Fp16, SEED).unwrap();
    let GemmProblem { a, b, c, .. } = &problem;
    let matmul = cuda.lt().algorithms(&Gemm::dense(shape), DType::Fp16, 1).unwrap().swap_remove(0);
    let panics = |call: &dyn Fn() -> Result<(), DeviceError>| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err()
    };
    assert!(!panics(&|| cuda.lt().multiply(&matmul, [a, b, c])));
    assert!(panics(&|| cuda.lt().multiply(&matmul, [a, b, b])));

    let matrix = |array, columns| Matrix::array(array, columns, 0);
    let (a_matrix, b_matrix, c_matrix) = (matrix(a, 16), matrix(b, 32), matrix(c, 32));
    let strided = Strided { m: 64, n: 32, k: 16, batch: 1, alpha: 1.0 };
    assert!(!panics(&|| cuda.blas().gemm(strided, a_matrix, b_matrix, c_matrix)));
    let taller = Strided { m: 65, ..strided };
    assert!(panics(&|| cuda.blas().gemm(taller, a_matrix, b_matrix, c_matrix)));

    let bound = [(strided, [a_matrix, b_matrix, c_matrix])];
    if let Ok(grouped) = Grouped::new(cuda.stream(), &bound, Precision::Fp16) {
        assert!(!panics(&|| cuda.blas().grouped(&grouped, [[a, b, c]].into_iter())));
        let other = c.clone();
        assert!(panics(&|| cuda.blas().grouped(&grouped, [[a, b, &other]].into_iter())));
    }
    cuda.synchronize().unwrap();
}
