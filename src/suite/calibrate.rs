//! Before the first round: the card at its settled clock, and what event timing costs on it.

use crate::case::Gemm;
use crate::device::{Clock, Cuda, nvml::Monitor};
use crate::gemm::CublasGemm;
use crate::plan::{CaseError, Plan};
use crate::record::Calibration;
use crate::shape::{DType, GemmShape};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Burn-in ends here, settled or not.
const BURN_IN_LIMIT: Duration = Duration::from_secs(5);
/// One look at the clock.
const WINDOW: Duration = Duration::from_millis(100);
/// Looks that have to agree.
const WINDOWS: usize = 3;
/// ... to within this.
const AGREEMENT: f64 = 0.005;
/// Event pairs of the calibration.
const PAIRS: usize = 500;

/// Works the card until its SM clock is steady, then measures the events.
///
/// # Errors
/// What the driver or cuBLAS reports.
pub fn calibrate(cuda: &Rc<Cuda>, monitor: Option<&Monitor>) -> Result<Calibration, CaseError> {
    let settled_sm_mhz = burn_in(cuda, monitor)?;
    let clock = Clock::events(cuda.stream().clone());
    let pairs: Vec<_> =
        (0..PAIRS).map(|_| Ok((clock.mark()?, clock.mark()?))).collect::<Result<_, CaseError>>()?;
    let mut times_ns: Vec<f64> =
        pairs.iter().map(|(start, end)| clock.elapsed_ns(start, end)).collect::<Result<_, _>>()?;
    times_ns.sort_by(f64::total_cmp);
    let steps = times_ns.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.5);
    let tick_ns = steps.fold(f64::INFINITY, f64::min);
    Ok(Calibration {
        // All pairs equal: the tick is longer than they differ, and at most as long as they are.
        event_tick_ns: if tick_ns.is_finite() { tick_ns } else { times_ns[0] },
        empty_pair_ns: times_ns[PAIRS / 2],
        settled_sm_mhz,
    })
}

/// Multiplies until the SM clock of three windows in a row agrees. Without NVML it works for a second.
fn burn_in(cuda: &Rc<Cuda>, monitor: Option<&Monitor>) -> Result<Option<u32>, CaseError> {
    let shape = GemmShape { m: 4096, n: 4096, k: 4096 };
    let mut product = CublasGemm::new(cuda, Gemm::dense(shape), DType::Fp16, 0)?;
    let start = Instant::now();
    let mut clocks_mhz: Vec<u32> = Vec::new();
    while start.elapsed() < BURN_IN_LIMIT {
        let window = Instant::now();
        while window.elapsed() < WINDOW {
            (0..50).try_for_each(|_| product.launch())?;
            cuda.synchronize()?;
        }
        let Some(clocks) = monitor.and_then(Monitor::clocks) else {
            if start.elapsed() > Duration::from_secs(1) {
                break;
            }
            continue;
        };
        clocks_mhz.push(clocks.sm_mhz);
        let recent = &clocks_mhz[clocks_mhz.len().saturating_sub(WINDOWS)..];
        let (low, high) = (recent.iter().min(), recent.iter().max());
        if let (WINDOWS, Some(&low), Some(&high)) = (recent.len(), low, high)
            && f64::from(high - low) <= AGREEMENT * f64::from(high)
        {
            break;
        }
    }
    Ok(clocks_mhz.last().copied())
}
