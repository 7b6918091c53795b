//! What the measurement rests on, on a GPU. No test expects a time of an operation.
//!
//! `cargo test --test timing -- --ignored`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code)]
mod gpu;

use gpu::{SEED, gpu};
use night_sweep::device::DeviceError;
use night_sweep::device::cuda::{Graph, Matrix, Strided};
use night_sweep::measure::{Sampler, cold_ms};
use night_sweep::ops::gemm::{CublasLtGemm, GemmProblem};
use night_sweep::ops::plan::Plan;
use night_sweep::ops::planner::Planner;
use night_sweep::stats::median;
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::{DType, GemmShape};
use std::time::Duration;

fn case(operation: Operation) -> Case {
    Case::row("G4", "x", "y", 1, DType::Fp16, operation)
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_host_that_dawdles_is_not_in_launches_that_were_held_back() {
    let (cuda, device) = gpu();
    let clock = device.clock();
    let mut marks = None;
    let dawdle = || {
        let start = clock.mark()?;
        std::thread::sleep(Duration::from_millis(5));
        cuda.kernels().empty()?;
        marks = Some((start, clock.mark()?));
        Ok::<_, DeviceError>(())
    };
    assert!(cuda.held_back(dawdle).unwrap());
    let (start, end) = marks.unwrap();
    assert!(clock.elapsed_ns(&start, &end).unwrap() < 1e6);
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_host_that_never_opens_the_gate_does_not_hang_the_gpu() {
    let (cuda, _) = gpu();
    let held = cuda.held_back(|| {
        std::thread::sleep(Duration::from_millis(40));
        Ok::<_, DeviceError>(())
    });
    assert!(!held.unwrap(), "the GPU went on after its limit");
    cuda.synchronize().unwrap();
    assert!(cuda.held_back(|| cuda.kernels().empty()).unwrap());
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn an_sm_counts_the_clock_it_has() {
    let (cuda, _) = gpu();
    let spin = || cuda.kernels().spin(20_000_000);
    let ((), cycles) = cuda.counting(spin).unwrap();
    let mhz = cycles.mhz().unwrap();
    assert!((100.0..4000.0).contains(&mhz), "{mhz} MHz");
    assert!((20_000_000..40_000_000).contains(&cycles.nanoseconds), "{cycles:?}");
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_kernel_knows_its_waves() {
    let (cuda, _) = gpu();
    let (mut from, mut to) = (cuda.alloc::<u16>(1 << 20).unwrap(), cuda.alloc(1 << 20).unwrap());
    cuda.kernels().fill_bits(&mut from, 0).unwrap();
    let copy = || cuda.kernels().copy(&from, &mut to);
    let kernels = Graph::capture(&cuda, 1, copy).unwrap().kernels(&cuda).unwrap();
    let [copy] = &kernels[..] else { panic!("{kernels:?}") };
    let at_once = f64::from(copy.blocks_per_sm.unwrap()) * f64::from(cuda.properties().sm_count);
    assert_eq!(copy.waves, Some(f64::from(copy.grid[0]) / at_once));
}

/// The GEMMs are those that frameworks get: `cublasGemmEx` chooses the same kernels.
#[test]
#[ignore = "needs a CUDA GPU"]
fn cublaslt_chooses_the_kernels_of_cublas() {
    let (cuda, _) = gpu();
    let (mut differ, mut all) = (Vec::new(), 0);
    let k_sweep = (64..=160).map(|k| GemmShape { m: 4096, n: 4096, k });
    let n_sweep = [1024, 4096, 16384]
        .into_iter()
        .flat_map(|m| (64..=160).map(move |n| GemmShape { m, n, k: 4096 }));
    for shape in k_sweep.chain(n_sweep) {
        let mut lt = CublasLtGemm::new(&cuda, Gemm::dense(shape), DType::Fp16, SEED).unwrap();
        let problem = GemmProblem::on_cuda(&cuda, Gemm::dense(shape), DType::Fp16, SEED).unwrap();
        let matrix = |array, columns| Matrix::array(array, columns, 0);
        let strided = Strided { m: shape.m, n: shape.n, k: shape.k, batch: 1, alpha: 1.0 };
        let (a, b, c) =
            (matrix(&problem.a, shape.k), matrix(&problem.b, shape.n), matrix(&problem.c, shape.n));
        let plain = || cuda.blas().gemm(strided, a, b, c);
        plain().unwrap();
        lt.launch().unwrap();
        let names = |graph: Graph| -> Vec<String> {
            graph.kernels(&cuda).unwrap().into_iter().map(|kernel| kernel.name).collect()
        };
        let plain = names(Graph::capture(&cuda, 1, plain).unwrap());
        let lt = names(Graph::capture(&cuda, 1, || lt.launch()).unwrap());
        all += 1;
        if plain != lt {
            differ.push(format!("{shape:?}: cuBLAS {plain:?}, cuBLASLt {lt:?}"));
        }
    }
    // Libraries of two installations choose apart: see whose these are.
    println!("{:#?}", night_sweep::device::libraries::stack().unwrap().describe());
    println!("{} of {all} GEMMs run other kernels\n{}", differ.len(), differ.join("\n"));
    assert!(differ.len() * 20 < all, "{} of {all}", differ.len());
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_best_algorithm_is_right_and_hardly_slower_than_the_chosen() {
    let (cuda, device) = gpu();
    let clock = device.clock();
    let planner = Planner::new(device.clone(), None, SEED);
    let gemm = Gemm::dense(GemmShape { m: 4096, n: 107, k: 4096 });
    let time_ms = |operation| {
        let mut planned = planner.plan(&case(operation)).unwrap();
        planned.plan.verify().unwrap();
        let offered = planned.plan.algorithm().unwrap();
        let mut sampler = Sampler::prepare(&device, &clock, planned.plan.as_mut(), None).unwrap();
        sampler.warm_up(50).unwrap();
        (median(&sampler.take(20).unwrap()).unwrap(), offered)
    };
    let (chosen_ms, _) = time_ms(Operation::Gemm(gemm));
    let (best_ms, best) = time_ms(Operation::GemmBest(gemm));
    println!("chosen {chosen_ms} ms, best {best_ms} ms: {best:?}");
    assert!(best.offered > 1);
    assert!(best_ms < 1.1 * chosen_ms);
    drop(cuda);
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn rotating_buffers_are_colder_than_the_same_ones() {
    let (cuda, device) = gpu();
    let clock = device.clock();
    let planner = Planner::new(device.clone(), None, SEED);
    let case = case(Operation::Gemm(Gemm::dense(GemmShape { m: 1024, n: 64, k: 4096 })));
    let mut plans: Vec<Box<dyn Plan>> =
        (0..20).map(|_| planner.plan(&case).unwrap().plan).collect();
    let (cold, _) = cold_ms(&cuda, &clock, &mut plans, 6_000.0).unwrap();
    let mut sampler = Sampler::prepare(&device, &clock, plans[0].as_mut(), None).unwrap();
    sampler.warm_up(50).unwrap();
    let warm = sampler.take(10).unwrap();
    let (cold, warm) = (median(&cold).unwrap(), median(&warm).unwrap());
    println!("cold {cold} ms, warm {warm} ms");
    assert!(cold > warm);
}
