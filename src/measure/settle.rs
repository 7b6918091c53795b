//! The wait before the first trial.
//!
//! After burn-in and calibration a card is at its power limit, and its clock climbs back in steps:
//! on an H100 from 1837 to 1900 MHz in 0.3 s. A trial before that would be
//! slower than the same trial at the end of the run. So the card works lightly, and its clock is
//! counted, until it is steady.

use crate::device::cuda::{Cycles, Graph};
use crate::device::{Cuda, DeviceError};
use crate::measure::record::Settled;
use crate::ops::{Plan, gemm::CublasLtGemm};
use crate::workload::{CaseError, DType, Gemm, GemmShape};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The light load: half the power of an H100, and less than any sweep draws at its heaviest.
const LOAD: GemmShape = GemmShape { m: 1024, n: 64, k: 4096 };
/// Launches in its graph: 0.3 ms.
const LAUNCHES: usize = 50;
/// Replays that are counted together.
const REPLAYS: usize = 20;
/// Over how long a clock is counted, and how many of them in a row have to agree: the steps of the
/// climb are up to 0.1 s long.
const WINDOW: Duration = Duration::from_millis(50);
const WINDOWS: usize = 6;
/// How far they agree. A steady clock moves by 0.1 %, a step is 0.8 % or more.
const AGREEMENT: f64 = 0.003;
/// The longest wait.
const LIMIT: Duration = Duration::from_secs(3);

/// Works lightly until the counted clock is steady, for three seconds at most.
pub fn settle(cuda: &Rc<Cuda>) -> Result<Settled, CaseError> {
    let mut plan = CublasLtGemm::new(cuda, Gemm::dense(LOAD), DType::Fp16, 0)?;
    let graph = Graph::capture(cuda, LAUNCHES, || plan.launch())?;
    let start = Instant::now();
    let mut clocks_mhz: Vec<f64> = Vec::new();
    while !is_steady(&clocks_mhz) && start.elapsed() < LIMIT {
        let (window, mut cycles) = (Instant::now(), Cycles::default());
        while window.elapsed() < WINDOW {
            let replay = || (0..REPLAYS).try_for_each(|_| graph.launch());
            cycles = cycles.and(cuda.counting::<_, DeviceError>(replay)?.1);
        }
        clocks_mhz.extend(cycles.mhz());
    }
    Ok(Settled {
        sm_mhz: clocks_mhz.last().copied(),
        steady: is_steady(&clocks_mhz),
        wait_s: start.elapsed().as_secs_f64(),
    })
}

/// Whether the last clocks agree.
fn is_steady(clocks_mhz: &[f64]) -> bool {
    let recent = &clocks_mhz[clocks_mhz.len().saturating_sub(WINDOWS)..];
    let low = recent.iter().copied().fold(f64::INFINITY, f64::min);
    let high = recent.iter().copied().fold(0.0, f64::max);
    recent.len() == WINDOWS && high - low <= AGREEMENT * high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an H100 at 70 C did after its calibration, in MHz.
    const CLIMB: [f64; 14] = [
        1836.7, 1852.9, 1852.9, 1889.3, 1889.4, 1894.5, 1899.8, 1899.8, 1899.7, 1899.6, 1899.8,
        1899.8, 1899.7, 1899.7,
    ];

    #[test]
    fn a_clock_that_climbs_in_steps_is_not_steady_on_one_of_them() {
        let steady = (0..=CLIMB.len()).find(|&known| is_steady(&CLIMB[..known]));
        assert_eq!(steady, Some(11), "0.3 s after the last step that counts");
        assert!(!is_steady(&[]) && !is_steady(&[1900.0; 5]) && is_steady(&[1900.0; 6]));
        let falls: Vec<f64> = (0..20).map(|k| 1900.0 - 4.0 * f64::from(k)).collect();
        assert!(!is_steady(&falls));
    }
}
