//! Sweeps of attention.

use super::{Outcome, alignment, attention, dims, row};
use night_sweep::workload::error::*;
use night_sweep::workload::operation::{Backend, Operation};

pub fn s1() -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (batch, seq_len, scale) in [(4, 2048, 1.0), (1, 4096, 1.1)] {
        for d in dims() {
            let ms = scale * (0.2 + d as f64 / 500.0) * alignment(d).sqrt();
            let sdpa = attention(batch, seq_len, d, Backend::Auto);
            let series = format!("B{batch}_S{seq_len}_H32");
            let case = row("S1", &series, "d", d, Operation::Sdpa(sdpa))
                .on_curve(format!("batch {batch}, seq_len {seq_len}"))
                .label("backend", "AUTO");
            let kernel = case.variant("kernel_only", Operation::SdpaKernelOnly(sdpa));
            let failed = batch == 1 && (99..103).contains(&d);
            let illegal = Err((ErrorKind::Cuda, "illegal address"));
            outcomes.push((case, if failed { illegal } else { Ok(ms) }));
            if batch == 4 && d % 8 != 0 {
                outcomes.push((kernel, Ok(0.75 * ms)));
            }
        }
    }
    outcomes
}

pub fn s2() -> Vec<Outcome> {
    s2_of(&[
        (Backend::Auto, 1.0),
        (Backend::Flash, 2.0),
        (Backend::MemEfficient, 3.6),
        (Backend::Math, 23.0),
        (Backend::Cudnn, 1.0),
    ])
}

/// With ours beside them, as in the spec.
pub fn s2_of_nine() -> Vec<Outcome> {
    s2_of(&[
        (Backend::Auto, 1.0),
        (Backend::Flash, 2.0),
        (Backend::NsFlash, 2.3),
        (Backend::MemEfficient, 3.6),
        (Backend::NsMemEfficient, 4.1),
        (Backend::Math, 23.0),
        (Backend::NsMath, 19.0),
        (Backend::Cudnn, 1.0),
        (Backend::NsCudnn, 0.95),
    ])
}

fn s2_of(backends: &[(Backend, f64)]) -> Vec<Outcome> {
    let outcome = |d: usize, backend: Backend, factor: f64| {
        let operation = Operation::Sdpa(attention(4, 2048, d, backend));
        let case = row("S2", backend.name(), "d", d, operation)
            .label("head_dim", d)
            .label("backend", backend.name());
        let ours = backend.stand_in().unwrap_or(backend);
        let needs_8 = matches!(ours, Backend::NsMemEfficient | Backend::NsCudnn);
        if !d.is_multiple_of(8) && needs_8 {
            return (case, Err((ErrorKind::Unsupported, "head_dim 107 is no multiple of 8")));
        }
        let factor = if d == 107 && backend == Backend::Auto { 2.3 } else { factor };
        (case, Ok(0.45 * factor * (0.7 + d as f64 / 400.0)))
    };
    let at = |d| backends.iter().map(move |&(backend, factor)| outcome(d, backend, factor));
    [96, 104, 107, 112, 120, 128].into_iter().flat_map(at).collect()
}

pub fn c21() -> Vec<Outcome> {
    let outcome = |batch, seq_len, d: usize| {
        let operation = Operation::Sdpa(attention(batch, seq_len, d, Backend::Auto));
        let case = row("C21", &format!("b{batch}_s{seq_len}_AUTO"), "d", d, operation)
            .on_curve(format!("batch {batch}, seq {seq_len}"))
            .label("head_dim", d)
            .label("backend", "AUTO");
        (case, Ok(0.45 * alignment(d)))
    };
    let of = |(batch, seq_len)| (104..=128).map(move |d| outcome(batch, seq_len, d));
    [(4, 2048), (1, 4096)].into_iter().flat_map(of).collect()
}
