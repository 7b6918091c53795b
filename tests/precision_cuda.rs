//! GEMMs of every precision: data, padding and results.
//!
//! `cargo test --test precision_cuda -- --ignored --nocapture` prints the largest errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{SEED, gpu, precisions};
use night_sweep::device::DeviceErrorKind;
use night_sweep::ops::gemm::GemmProblem;
use night_sweep::ops::planner::Planner;
use night_sweep::ops::verify;
use night_sweep::workload::convert::{e4m3_from_f32, e4m3_to_f32};
use night_sweep::workload::precision::E4M3_SCALE;
use night_sweep::workload::{
    Case, Element, ErrorKind, Gemm, GemmLayout, GemmShape, HostArray, Operation, Precision,
};

/// Every layout, alone and in a batch.
fn gemms(shape: GemmShape) -> impl Iterator<Item = Gemm> {
    let of = move |layout| [1, 3].map(|batch| Gemm { layout, batch, ..Gemm::dense(shape) });
    GemmLayout::ALL.into_iter().flat_map(of)
}

/// All that the device and the host store: every E4M3 number, and those in the middle between two.
#[test]
#[ignore = "needs a CUDA GPU"]
fn e4m3_numbers_mean_the_same_on_the_device() {
    let (cuda, _) = gpu();
    if !precisions(&cuda).contains(&Precision::Fp8E4m3) {
        return;
    }
    let codes: Vec<u8> = (0..=255).filter(|code| code & 0x7f != 0x7f).collect();
    let (n, one) = (codes.len().next_multiple_of(16), E4M3_SCALE.recip());
    let mut b = vec![0; n * 16];
    codes.iter().enumerate().for_each(|(at, &code)| b[at * 16] = code);
    let mut a = vec![0; 16];
    a[0] = e4m3_from_f32(one);
    let gemm = Gemm { layout: GemmLayout::Nt, ..Gemm::dense(GemmShape { m: 1, n, k: 16 }) };
    let problem = GemmProblem {
        gemm,
        dtype: Precision::Fp8E4m3,
        a: cuda.upload_array(&HostArray::E4m3(a)).unwrap(),
        b: cuda.upload_array(&HostArray::E4m3(b)).unwrap(),
        c: cuda.alloc_array(Element::Bf16, n).unwrap(),
    };
    let matmul = cuda.lt().algorithms(&gemm, Precision::Fp8E4m3, 1).unwrap().swap_remove(0);
    cuda.lt().multiply(&matmul, [&problem.a, &problem.b, &problem.c]).unwrap();
    // The hardware, our kernels and the host agree: all are exact in bf16.
    let verified = verify::cuda::gemm(&cuda, &problem).unwrap();
    assert_eq!(verified.max_rel_error, 0.0);
    let result = cuda.download_array(&problem.c).unwrap();
    for (at, &code) in codes.iter().enumerate() {
        assert_eq!(result.get(at), E4M3_SCALE * e4m3_to_f32(code), "{code:#x}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn gemms_of_every_precision_are_right() {
    let (cuda, device) = gpu();
    let planner = Planner::new(device, None, SEED);
    let check = |precision, operation: Operation| {
        let case = Case::row("G3", "series", "x", 1, precision, operation);
        let what = format!("{precision:?} {:?}", case.operation);
        let mut plan = planner.plan(&case).unwrap_or_else(|error| panic!("{what}: {error}")).plan;
        let verified = plan.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
        verified.max_rel_error / verified.tolerance
    };
    for precision in precisions(&cuda) {
        let mut largest: f64 = 0.0;
        for k in [1, 2, 3, 15, 16, 107, 4096] {
            for gemm in gemms(GemmShape { m: 33, n: 320, k }) {
                if precision != Precision::Fp8E4m3 {
                    largest = largest.max(check(precision, Operation::Gemm(gemm)));
                    continue;
                }
                let case = Case::row("G3", "series", "x", 1, precision, Operation::Gemm(gemm));
                match planner.plan(&case) {
                    Ok(mut planned) => {
                        assert_eq!(gemm.layout, GemmLayout::Nt);
                        planned.plan.verify().unwrap_or_else(|error| panic!("{gemm:?}: {error}"));
                    }
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Unsupported, "{gemm:?}: {error}");
                        let is_taken = gemm.layout == GemmLayout::Nt && k % 16 == 0;
                        assert!(!is_taken || gemm.batch > 1, "{gemm:?}: {error}");
                    }
                }
            }
            let dense = Gemm::dense(GemmShape { m: 33, n: 320, k });
            if precision != Precision::Fp8E4m3 {
                largest = largest.max(check(precision, Operation::GemmBest(dense)));
            }
            // Of K and N that are padded within the launch.
            for n in [1, 107, 333] {
                let data = GemmShape { m: 65, n, k };
                let [n, k] = [n, k].map(|size| size.next_multiple_of(16));
                let gemm = Gemm { layout: GemmLayout::Nt, ..Gemm::dense(data) };
                let gemm = Gemm { shape: GemmShape { m: 65, n, k }, ..gemm };
                largest = largest.max(check(precision, Operation::GemmOnTheFly(gemm)));
            }
        }
        println!("{}: the largest error is {largest:.2} of the tolerance", precision.name());
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn an_fp8_gemm_that_is_refused_says_why() {
    let (cuda, _) = gpu();
    let refusal = |layout, n, k| {
        let gemm = Gemm { layout, ..Gemm::dense(GemmShape { m: 64, n, k }) };
        let error = cuda.lt().algorithms(&gemm, Precision::Fp8E4m3, 1).err().unwrap();
        assert_eq!(error.kind, DeviceErrorKind::Unsupported, "{error}");
        error.message
    };
    if !precisions(&cuda).contains(&Precision::Fp8E4m3) {
        assert!(refusal(GemmLayout::Nt, 64, 64).contains("compute capability 8.9"));
        return;
    }
    let message = refusal(GemmLayout::Nt, 64, 104);
    assert!(message.contains("multiples of 16, not K=104 N=64"), "{message}");
    assert!(refusal(GemmLayout::Nn, 64, 64).contains("layout nt, not nn"));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn resizing_serves_every_element_size() {
    let (cuda, _) = gpu();
    for element in [Element::E4m3, Element::Fp32, Element::Bf16] {
        for (from, to) in [
            ([1001, 107], [1001, 112]),
            ([1001, 112], [1001, 107]),
            ([1001, 108], [1001, 112]),
            ([107, 300], [112, 300]),
            ([333, 1], [335, 16]),
            ([5, 4097], [3, 1]),
            ([4096, 15], [4096, 17]),
            ([4096, 33], [4099, 20]),
            ([1, 1], [1, 1]),
            ([64, 3], [70, 700]),
        ] {
            let source = HostArray::normal(element, (SEED, 3), from, from);
            let device = cuda.upload_array(&source).unwrap();
            let mut resized = cuda.alloc_array(element, to[0] * to[1]).unwrap();
            verify::cuda::poison_array(&cuda, &mut resized).unwrap();
            cuda.kernels().resize([&device], [&mut resized], from, to).unwrap();
            let resized = cuda.download_array(&resized).unwrap();
            for at in 0..to[0] * to[1] {
                let (row, column) = (at / to[1], at % to[1]);
                let is_inside = row < from[0] && column < from[1];
                let expected = if is_inside { source.get(row * from[1] + column) } else { 0.0 };
                assert_eq!(resized.get(at), expected, "{element:?} {from:?} to {to:?} at {at}");
            }
        }
    }
}
