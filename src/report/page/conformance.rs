//! What a run can vouch for, yes or no each, from its own rows.

use super::escape::html;
use crate::report::raw::{Measured, Raw};

/// A sample shorter than this, in milliseconds, would hold too much of the event pair around it.
const LEAST_SAMPLE_MS: f64 = 0.3;

/// A claim, whether it holds, and how far.
struct Claim {
    text: &'static str,
    holds: bool,
    detail: String,
}

/// The claims as a list of facts.
pub fn list(raw: &Raw) -> String {
    let facts = claims(raw).into_iter().map(|Claim { text, holds, detail }| {
        let verdict = if holds { "yes" } else { "no" };
        format!("<dt>{}</dt><dd>{verdict}: {}</dd>", html(text), html(&detail))
    });
    format!("<dl class=\"facts\">{}</dl>", facts.collect::<String>())
}

fn claims(raw: &Raw) -> Vec<Claim> {
    let rows: Vec<&Measured> = raw.measured().collect();
    let on_gpu = raw.metadata.device != "cpu";
    let count = |holds: &dyn Fn(&Measured) -> bool| rows.iter().filter(|row| holds(row)).count();
    let all = |text, counted: usize, what: &str| Claim {
        text,
        holds: !rows.is_empty() && counted == rows.len(),
        detail: format!("{counted} of {} points {what}", rows.len()),
    };
    let flagged =
        |row: &Measured, flag: &str| row.flags.iter().any(|known| known.starts_with(flag));
    vec![
        all(
            "Result checked before it was timed",
            count(&|row| row.verification.max_rel_error <= row.verification.tolerance),
            "within the tolerance of their type",
        ),
        Claim {
            text: "GPU time without the host",
            holds: on_gpu,
            detail: match on_gpu {
                true => "replays of CUDA graphs between events".to_owned(),
                false => "the host's clock on the CPU".to_owned(),
            },
        },
        all(
            "Samples long enough for their clock",
            count(&|row| row.launches_per_sample as f64 * row.timing.p50 >= LEAST_SAMPLE_MS),
            "last 0.3 ms a sample",
        ),
        all("All rounds made", count(&|row| !flagged(row, "fewer_rounds")), "have every round"),
        all("Rounds agree", count(&|row| !flagged(row, "unstable")), "have medians within 2 %"),
        all(
            "Clock not held down",
            count(&|row| !flagged(row, "power_capped") && !flagged(row, "throttled")),
            "without a power cap or a slowdown",
        ),
        Claim {
            text: "Cold caches measured too",
            holds: false,
            detail: "every launch uses the same buffers, as published: what fits in L2 stays there"
                .to_owned(),
        },
    ]
}
