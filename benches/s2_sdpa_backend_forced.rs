//! S2: which attention backend is fastest at a head_dim, and does AUTO pick it?
//!
//! The same attention is asked of each backend in turn, at aligned head_dims and at an awkward one. A backend that
//! does not support a head_dim is a result too, and stands in the report with its reason. An entry of the type
//! sdpa_backend_selection, C21, asks AUTO alone, at every head_dim around 112 and at several shapes: which backend does it
//! take?

use night_sweep::spec::{AttentionSize, Experiment, Kind};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Backend, Operation, Sdpa};
use night_sweep::workload::shape::DType;
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::run("S2_sdpa_backend_forced", cases)
}

/// A curve for each backend (C21: at each shape), a point for each head_dim: `S2/b4_s2048_h32_fp16_FLASH/d107`.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
    let group = experiment.group();
    let row = |size: AttentionSize, dtype: DType, attention: Sdpa| {
        let (head_dim, backend) = (attention.shape.head_dim, attention.backend.name());
        let series = format!("{}_{}_{backend}", size.id(), dtype.name());
        let operation = Operation::Sdpa(attention);
        Case::row(&group, &series, &format!("d{head_dim}"), head_dim, dtype, operation)
            .label("head_dim", head_dim)
            .label("backend", backend)
            .masked(attention.causal)
    };
    let mut cases = Vec::new();
    match &experiment.kind {
        Kind::SdpaBackendForced(sweep) => {
            for head_dim in sweep.head_dims.iter().map(|dim| dim.get()) {
                for &backend in &sweep.backends {
                    let case = row(sweep.shape, sweep.dtype, sweep.operation(head_dim, backend));
                    cases.push(case.on_curve(backend.name()));
                }
            }
        }
        Kind::SdpaBackendSelection(sweep) => {
            for &shape in &sweep.shapes {
                for &backend in &sweep.backends {
                    for head_dim in sweep.head_dims() {
                        let attention = sweep.operation(shape, head_dim, backend);
                        let case = row(shape, sweep.dtype, attention);
                        cases.push(case.on_curve(match backend {
                            Backend::Auto => shape.legend(),
                            forced => format!("{}, {}", shape.legend(), forced.name()),
                        }));
                    }
                }
            }
        }
        _ => return None,
    }
    Some(cases)
}
