//! Do our times agree with the GPU's own account of its kernels?
//!
//! For products of 5 to 200 us: the number of record (launches in a CUDA graph between two events) beside the sum of the
//! durations that CUPTI reports for the kernels of a launch. Needs a GPU and libcupti on LD_LIBRARY_PATH:
//!
//! ```sh
//! cargo run --release --example kernel_time
//! ```
//!
//! Ends with 1 if a product differs by more than 3 %.

use night_sweep::case::{Case, Gemm, Operation};
use night_sweep::device::cupti::Cupti;
use night_sweep::device::{Cuda, Device};
use night_sweep::measurement::Sampler;
use night_sweep::planner::Planner;
use night_sweep::report::stats::median;
use night_sweep::shape::{DType, GemmShape};
use std::process::ExitCode;
use std::rc::Rc;

/// M, N and K.
const SHAPES: [(usize, usize, usize); 16] = [
    (1024, 64, 4096),
    (1024, 112, 4096),
    (1024, 107, 4096),
    (4096, 64, 4096),
    (4096, 128, 4096),
    (4096, 4096, 64),
    (4096, 4096, 112),
    (4096, 4096, 160),
    (4096, 4096, 107),
    (4096, 107, 4096),
    (16384, 64, 4096),
    (16384, 128, 4096),
    (16384, 112, 4096),
    (16384, 65, 4096),
    (16384, 107, 4096),
    (4096, 3840, 4096),
];
const LAUNCHES: usize = 200;
const MOST_DIFFERENCE: f64 = 0.03;

fn main() -> ExitCode {
    match compare() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("kernel_time: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all products agree.
fn compare() -> Result<bool, String> {
    let cuda = Rc::new(Cuda::open(0)?);
    let device = Device::Cuda(cuda.clone());
    let (clock, planner) = (device.clock(), Planner::new(device.clone(), 42));
    let cupti = Cupti::open()?;
    println!("{}", cuda.properties().name);
    println!(
        "{:>6} {:>5} {:>5}  {:>10} {:>10} {:>8}",
        "M", "N", "K", "record us", "CUPTI us", "differ"
    );
    let mut all_agree = true;
    for (m, n, k) in SHAPES {
        let product = Operation::Gemm(Gemm::dense(GemmShape { m, n, k }));
        let case = Case::row("G4", "x", "y", n, DType::Fp16, product);
        let mut planned = planner.plan(&case).map_err(|error| error.message)?;
        planned.plan.verify().map_err(|error| error.message)?;
        let mut sampler = Sampler::prepare(&device, &clock, planned.plan.as_mut(), None)
            .map_err(|error| error.message)?;
        let record_us = sampler
            .warm_up(LAUNCHES)
            .and_then(|()| sampler.take(20))
            .map(|samples_ms| median(&samples_ms).unwrap_or(f64::NAN) * 1e3)
            .map_err(|error| error.message)?;
        let launches = || {
            (0..LAUNCHES)
                .try_for_each(|_| planned.plan.launch())
                .and_then(|()| cuda.synchronize())
                .map_err(|error| error.message)
        };
        let cupti_us = per_launch_us(&cupti.durations_ns(launches)?);
        let difference = record_us / cupti_us - 1.0;
        let agrees = difference.abs() <= MOST_DIFFERENCE;
        let mark = if agrees { "" } else { "  more than 3 %" };
        println!(
            "{m:>6} {n:>5} {k:>5}  {record_us:>10.2} {cupti_us:>10.2} {:>+7.1} %{mark}",
            difference * 100.0
        );
        all_agree &= agrees;
    }
    Ok(all_agree)
}

/// The median over launches of the sum of their kernels. All launches have the same kernels, in order.
fn per_launch_us(durations_ns: &[u64]) -> f64 {
    let kernels = (durations_ns.len() / LAUNCHES).max(1);
    let launches = durations_ns.chunks_exact(kernels);
    let sums_us: Vec<f64> =
        launches.map(|launch| launch.iter().sum::<u64>() as f64 * 1e-3).collect();
    median(&sums_us).unwrap_or(f64::NAN)
}
