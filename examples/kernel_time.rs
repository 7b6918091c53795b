//! Do our times agree with the GPU's own account of its kernels?
//!
//! For GEMMs of 5 to 200 us: the latency (launches in a CUDA graph between two events) beside the
//! sum of the durations that CUPTI reports for the kernels of a launch, of the same graph, replayed
//! right after. The SM clock of both is counted: CUPTI's records leave gaps between kernels, in
//! which a card at its power limit recovers. At one clock the difference would lie between that of
//! the times, which a kernel bound by memory keeps, and that of the cycles, which one bound by
//! arithmetic keeps. Needs a GPU and libcupti:
//!
//! ```sh
//! cargo run --release --example kernel_time
//! ```
//!
//! Ends with 1 if a GEMM differs by more than 3 % in both.

use night_sweep::device::cupti::{Cupti, Ran};
use night_sweep::device::{Cuda, Device};
use night_sweep::measure::Sampler;
use night_sweep::ops::planner::Planner;
use night_sweep::stats::median;
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::shape::{DType, GemmShape};
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
/// Launches, and samples after them.
const WARM_UP: usize = 200;
const SAMPLES: usize = 30;
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

/// Whether all GEMMs agree.
fn compare() -> Result<bool, String> {
    let cuda = Rc::new(Cuda::open(0).map_err(|error| error.message)?);
    let device = Device::Cuda(cuda.clone());
    let (clock, planner) = (device.clock(), Planner::new(device.clone(), None, 42));
    let cupti = Cupti::open()?;
    println!("{}", cuda.properties().name);
    println!(
        "{:>6} {:>5} {:>5} {:>10} {:>6} {:>10} {:>6} {:>8} {:>8}",
        "M", "N", "K", "latency us", "MHz", "CUPTI us", "MHz", "time", "cycles"
    );
    let mut all_agree = true;
    for (m, n, k) in SHAPES {
        let gemm = Operation::Gemm(Gemm::dense(GemmShape { m, n, k }));
        let case = Case::row("G4", "x", "y", n, DType::Fp16, gemm);
        let mut planned = planner.plan(&case).map_err(|error| error.message)?;
        planned.plan.verify().map_err(|error| error.message)?;
        let mut sampler = Sampler::prepare(&device, &clock, planned.plan.as_mut(), None)
            .map_err(|error| error.message)?;
        let kernels = sampler.kernels().map_err(|error| error.message)?.len();
        let (latency_us, latency_mhz) = sample(&mut sampler)?;
        let ((_, cupti_mhz), ran) = cupti.kernels(|| sample(&mut sampler))?;
        let cupti_us = per_launch_us(&ran, kernels);
        let time = latency_us / cupti_us - 1.0;
        let cycles = (1.0 + time) * latency_mhz / cupti_mhz - 1.0;
        let agrees = time.abs().min(cycles.abs()) <= MOST_DIFFERENCE;
        let mark = if agrees { "" } else { "  more than 3 %" };
        println!(
            "{m:>6} {n:>5} {k:>5} {latency_us:>10.2} {latency_mhz:>6.0} {cupti_us:>10.2} \
             {cupti_mhz:>6.0} {:>+6.1} % {:>+6.1} %{mark}",
            100.0 * time,
            100.0 * cycles
        );
        all_agree &= agrees;
    }
    Ok(all_agree)
}

/// The median of a few samples in microseconds, and the mean SM clock meanwhile in MHz.
fn sample(sampler: &mut Sampler) -> Result<(f64, f64), String> {
    let samples_ms = sampler.warm_up(WARM_UP).and_then(|()| sampler.take(SAMPLES));
    let median_ms = median(&samples_ms.map_err(|error| error.message)?).unwrap_or(f64::NAN);
    Ok((median_ms * 1e3, sampler.cycles.mhz().unwrap_or(f64::NAN)))
}

/// The median over launches, of `kernels` each, of the sum of their durations. The sampler's own
/// kernels are not among them.
fn per_launch_us(ran: &[Ran], kernels: usize) -> f64 {
    let ours = |ran: &&Ran| !["spin", "stamp_cycles"].contains(&&*ran.name);
    let durations_us: Vec<f64> =
        ran.iter().filter(ours).map(|ran| ran.duration_ns as f64 * 1e-3).collect();
    let sums_us: Vec<f64> =
        durations_us.chunks_exact(kernels).map(|launch| launch.iter().sum()).collect();
    median(&sums_us).unwrap_or(f64::NAN)
}
