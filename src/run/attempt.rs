//! `--test` and `--profile-time`: each case is launched, and nothing is kept. Criterion has no part
//! in it: it would panic where its words cannot be printed.

use crate::measure::Instruments;
use crate::ops::plan::Plan;
use crate::terminal::{print, say};
use crate::workload::case::Case;
use crate::workload::{CaseError, ErrorKind};
use anyhow::Result;
use criterion::measurement::Measurement;
use std::time::{Duration, Instant};

/// Launches between two looks at the clock.
const LAUNCHES: usize = 100;

/// Verifies each case and launches it: once, or for as long as it is to be profiled. A case that
/// the device does not support is said, and is no failure. Returns the exit code.
pub fn try_each(with: &Instruments, cases: &[Case], profiled: Option<Duration>) -> Result<u8> {
    let mut failed = 0;
    for case in cases {
        match profiled {
            None => print(&format!("Testing {}", case.id))?,
            Some(time) => print(&format!("Profiling {} for {time:?}", case.id))?,
        }
        match try_once(with, case, profiled) {
            Ok(()) => print("Success\n\n")?,
            Err(CaseError { kind: ErrorKind::Unsupported, message }) => {
                print(&format!("Skipping {}: {message}", case.id))?;
            }
            Err(error) => {
                failed += 1;
                print(&format!("FAILED {}: {error}", case.id))?;
            }
        }
    }
    if failed == 0 {
        return Ok(0);
    }
    say(&format!("night-sweep: {failed} of {} cases failed", cases.len()));
    Ok(1)
}

fn try_once(with: &Instruments, case: &Case, profiled: Option<Duration>) -> Result<(), CaseError> {
    let mut planned = with.plan(case)?;
    planned.plan.verify()?;
    let begun = Instant::now();
    match profiled {
        None => launch(with, planned.plan.as_mut(), 1)?,
        Some(time) => {
            while begun.elapsed() < time {
                launch(with, planned.plan.as_mut(), LAUNCHES)?;
            }
        }
    }
    Ok(())
}

fn launch(with: &Instruments, plan: &mut dyn Plan, times: usize) -> Result<(), CaseError> {
    let start = with.time.start();
    (0..times).try_for_each(|_| plan.launch())?;
    // Waits for the last of them.
    with.time.end(start);
    with.time.take_fault().map_or(Ok(()), Err)
}
