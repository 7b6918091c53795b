//! S2: which attention backend is fastest at a head_dim, and does AUTO pick it?
//!
//! The same attention is asked of each backend in turn, at aligned head_dims and at an awkward one. A backend that
//! does not support a head_dim is a result too, and stands in the report with its reason.

use night_sweep::case::{Case, Operation};
use night_sweep::spec::{Experiment, Kind};
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::suite::run("S2_sdpa_backend_forced", cases)
}

/// A curve for each backend, a point for each head_dim: `S2/b4_s2048_h32_fp16_FLASH/d107`.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::SdpaBackendForced(sweep) = &experiment.kind else { return None };
    let group = experiment.group();
    let mut cases = Vec::new();
    for head_dim in sweep.head_dims.iter().map(|dim| dim.get()) {
        for &backend in &sweep.backends {
            let series = format!("{}_{}_{}", sweep.shape.id(), sweep.dtype.name(), backend.name());
            let attention = Operation::Sdpa(sweep.operation(head_dim, backend));
            let point = format!("d{head_dim}");
            let case = Case::row(&group, &series, &point, head_dim, sweep.dtype, attention)
                .on_curve(backend.name())
                .label("head_dim", head_dim)
                .label("backend", backend.name());
            cases.push(case);
        }
    }
    Some(cases)
}
