//! Baselines that Criterion is asked to compare with.

use crate::journal::home::criterion_home;
use crate::workload::case::Case;
use anyhow::{Result, bail};

/// Refuses a baseline that a case does not have. Criterion would panic at the first of them, with
/// everything measured.
///
/// # Errors
/// How many cases lack it, and how to get it.
pub fn require(cases: &[Case], baseline: &str) -> Result<()> {
    let home = criterion_home();
    let missing: Vec<&Case> =
        cases.iter().filter(|case| !home.join(&case.id).join(baseline).is_dir()).collect();
    if let Some(first) = missing.first() {
        bail!(
            "{} of {} cases have no baseline {baseline:?} ({} is one): save it first with `-- --save-baseline \
             {baseline}`, or compare what there is with `--baseline-lenient {baseline}`",
            missing.len(),
            cases.len(),
            first.id
        );
    }
    Ok(())
}
