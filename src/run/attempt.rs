//! `--test` and `--profile-time`: each case is launched, and nothing is kept.

use crate::criterion::feed;
use crate::measure::{DeviceTime, Instruments};
use crate::terminal::{print, say};
use crate::workload::case::Case;
use crate::workload::{CaseError, ErrorKind};
use anyhow::Result;
use criterion::Criterion;

/// Verifies each case and launches it. A case that the device does not support is said, and is no
/// failure. Returns the exit code.
pub fn try_each(
    with: &Instruments,
    criterion: &mut Criterion<DeviceTime>,
    cases: &[Case],
) -> Result<u8> {
    let mut failed = 0;
    for case in cases {
        match try_once(with, criterion, case) {
            Ok(()) => {}
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

fn try_once(
    with: &Instruments,
    criterion: &mut Criterion<DeviceTime>,
    case: &Case,
) -> Result<(), CaseError> {
    let mut planned = with.plan(case)?;
    planned.plan.verify()?;
    feed::launch(criterion, &with.time, case, planned.plan.as_mut());
    with.time.take_fault().map_or(Ok(()), Err)
}
