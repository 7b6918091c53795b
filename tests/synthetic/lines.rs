//! The lines of a journal: what a trial and what follows the trials of a case left.

use super::Outcome;
use night_sweep::device::clocks::*;
use night_sweep::device::kernel::*;
use night_sweep::journal::record::*;
use night_sweep::measure::record::*;
use night_sweep::ops::plan::*;
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::{Backend, Operation};
use night_sweep::workload::provider::Provider;

pub fn trial_of(case: &Case, trial: usize, samples_ms: Vec<f64>, is_cpu: bool) -> Trial {
    let alignment = if case.dim.is_multiple_of(8) { 8 } else { 1 };
    let kernel = Kernel {
        name: format!("synthetic_align{alignment}"),
        grid: [8, 4, 1],
        block: [128, 1, 1],
        smem_bytes: 49152,
        blocks_per_sm: Some(2),
        waves: Some(0.125),
        tail_efficiency: Some(0.125),
        alignment: Some(alignment),
    };
    let (backend, padded_to) = backend_of(case).unzip();
    let padded_to = padded_to.flatten();
    let resize = || Kernel { name: "resize".to_owned(), ..kernel.clone() };
    // Each of Q, K and V is filled and copied.
    let resizes = (0..if padded_to.is_some() { 6 } else { 0 }).map(|_| resize());
    Trial {
        case_id: case.id.clone(),
        trial,
        started_at: "2026-01-01T00:00:01Z".to_owned(),
        wall_s: 0.25,
        samples_ms,
        launches_per_sample: 5,
        warmup_launches: 50,
        ran: Ran {
            provider: match &case.operation {
                _ if is_cpu => Provider::Cpu,
                _ if case.operation.gemms().is_empty() => Provider::Pytorch,
                _ => Provider::CublasLt,
            },
            kernels: if is_cpu { vec![] } else { resizes.chain([kernel.clone()]).collect() },
            backend_selected: backend.map(|backend| backend.name().to_owned()),
            backend_reason: None,
            pytorch: None,
            stand_in: false,
            padded_to,
            verification: Verification { max_rel_error: 3e-4, tolerance: 2e-3, rows: 64 },
            algorithm: None,
        },
        spent: Spent {
            planning_s: 0.01,
            filling_s: 0.01,
            verifying_s: 0.02,
            measuring_s: 0.2,
            gpu_s: 0.15,
        },
        clocks: (!is_cpu).then(|| Clocks {
            sm_mhz: 1700,
            power_w: 640,
            temperature_c: 61,
            throttle: vec![],
            counted_sm_mhz: Some(1702.5),
        }),
    }
}

/// The backend that runs an attention, and what it pads to within the launch.
fn backend_of(case: &Case) -> Option<(Backend, Option<usize>)> {
    let Operation::Sdpa(sdpa) = &case.operation else { return None };
    let head_dim = sdpa.shape.head_dim;
    let backend = match sdpa.backend {
        Backend::Auto if head_dim.is_multiple_of(8) => Backend::Cudnn,
        Backend::Auto => Backend::Flash,
        named => named,
    };
    let pads = backend == Backend::Flash && !head_dim.is_multiple_of(8);
    Some((backend, pads.then(|| head_dim.next_multiple_of(8))))
}

/// The same run without PyTorch: ours under its names.
pub fn with_stand_ins(mut lines: Vec<Line>) -> Vec<Line> {
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        let ran = &mut trial.ran;
        if let Some(name) = ran.backend_selected.as_mut().filter(|name| !name.starts_with("NS_")) {
            *name = format!("NS_{name}");
            ran.backend_reason = Some(format!("stand-in for it: {name}"));
            ran.stand_in = true;
            ran.provider = Provider::NightSweep;
        }
    }
    lines
}

/// The rows that have a time, and it.
pub fn timed(outcomes: &[Outcome]) -> impl Iterator<Item = (&Case, f64)> {
    let rows = outcomes.iter().filter(|(case, _)| case.variant.is_none());
    rows.filter_map(|(case, outcome)| Some((case, *outcome.as_ref().ok()?)))
}

/// An event and a launch on top, the host on top of that, and colder caches.
pub fn secondary_of(case: &Case, ms: f64) -> Secondary {
    let slower = |factor: f64, more_ms: f64| -> Vec<f64> {
        (0..20).map(|k| ms * factor * (1.0 + 1e-3 * f64::from(k % 5)) + more_ms).collect()
    };
    Secondary {
        case_id: case.id.clone(),
        isolated_ms: slower(1.0, 0.003),
        cold: Cold::Samples { buffer_sets: 14, samples_ms: slower(1.25, 0.0) },
        per_call_ms: slower(1.0, 0.012),
        enqueue_us: 4.5,
        wall_s: 0.05,
        spent: Spent::default(),
    }
}

/// The same run with the energy of each row: 700 W, and half of that where it is not aligned.
pub fn with_energy(outcomes: &[Outcome], mut lines: Vec<Line>) -> Vec<Line> {
    let energy = timed(outcomes).map(|(case, ms)| {
        let watts = if case.dim.is_multiple_of(8) { 700.0 } else { 350.0 };
        Line::Energy(Box::new(Energy {
            case_id: case.id.clone(),
            joules: 1.6 * watts,
            seconds: 1.6,
            launches: 1600.0 / ms,
            uncertainty_pct: 0.4,
            polled_watts: Some(0.97 * watts),
            wall_s: 2.3,
            spent: Spent { measuring_s: 2.25, gpu_s: 2.2, ..Spent::default() },
        }))
    });
    let end = lines.pop();
    lines.extend(energy.chain(end));
    lines
}
