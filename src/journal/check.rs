//! What the lines of a journal have to keep, whoever wrote them: names become folders, sizes are
//! multiplied, times divide. The same is checked of a line that is written and of one that is read.

use crate::files::plain_name;
use crate::journal::record::{End, Header, Line};
use crate::measure::record::{Cold, Energy, Secondary, Trial};
use crate::terminal::text::plain;
use crate::workload::case::Case;
use crate::workload::limits::{MAX_CASES, MAX_ELEMENTS, MAX_TRIALS};
use crate::workload::operation::{Gemm, Operation, Sdpa};
use crate::workload::shape::{GemmShape, SdpaShape};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// A text of a journal, as JSON, is no longer. Texts are laid out in columns and drawn, which takes
/// time by the square of their length.
pub const MAX_TEXT_BYTES: usize = 60_000;

/// Names are shorter still: each stands in titles, tables and plots.
const MAX_NAME_BYTES: usize = 1000;

/// So much of an error is written: it may quote the log of a compiler.
const MAX_ERROR_CHARS: usize = 5000;

pub fn shortened(error: &str) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}...", &error[..end]),
        None => error.to_owned(),
    }
}

pub fn line(line: &Line) -> Result<()> {
    match line {
        Line::Header(header) => self::header(header),
        Line::Trial(trial) => {
            seconds("a trial", trial.wall_s)?;
            samples(trial)
        }
        Line::Secondary(secondary) => {
            seconds("secondary timings", secondary.wall_s)?;
            self::secondary(secondary)
        }
        Line::Energy(energy) => {
            seconds("an energy", energy.wall_s)?;
            self::energy(energy)
        }
        Line::Failure(_) | Line::Start(_) => Ok(()),
        Line::End(End { wall_s, criterion_s, .. }) => {
            seconds("a run", *wall_s)?;
            seconds("Criterion", criterion_s.unwrap_or_default())
        }
    }
}

/// Refuses JSON with a text of more than [`MAX_TEXT_BYTES`].
pub fn texts(json: &[u8]) -> Result<()> {
    let (mut start, mut is_escaped) = (None, false);
    for (at, &byte) in json.iter().enumerate() {
        match (byte, start) {
            _ if is_escaped => is_escaped = false,
            (b'\\', Some(_)) => is_escaped = true,
            (b'"', Some(from)) => {
                let length = at - from - 1;
                ensure!(
                    length <= MAX_TEXT_BYTES,
                    "a text of {length} bytes: allowed are up to {MAX_TEXT_BYTES}"
                );
                start = None;
            }
            (b'"', None) => start = Some(at),
            _ => {}
        }
    }
    Ok(())
}

fn seconds(what: &str, seconds: f64) -> Result<()> {
    ensure!(seconds.is_finite() && seconds >= 0.0, "{what} took {seconds} s");
    Ok(())
}

fn name(what: &str, name: &str) -> Result<()> {
    let length = name.len();
    ensure!(
        length <= MAX_NAME_BYTES,
        "{what}: a name of {length} bytes, allowed are up to {MAX_NAME_BYTES}"
    );
    Ok(())
}

pub fn header(header: &Header) -> Result<()> {
    name("the experiment", &header.experiment)?;
    name("the device", &header.device)?;
    name("the device", &header.device_name())?;
    for (what, value) in [("config", &header.config), ("env", &header.env)] {
        ensure!(value.is_object(), "{what} is no JSON object");
    }
    for (what, name) in [("run id", &header.run_id), ("group", &header.group)] {
        plain_name(name).map_err(|allowed| anyhow!("{what} {name:?}: allowed is {allowed}"))?;
    }
    let trials = header.protocol.trials;
    ensure!((1..=MAX_TRIALS).contains(&trials), "{trials} trials: allowed are 1 to {MAX_TRIALS}");
    // Each case of a spec may have a few variants.
    let (cases, most) = (header.cases.len(), 10 * MAX_CASES);
    ensure!(cases <= most, "{cases} cases: allowed are up to {most}");
    let mut ids = HashSet::new();
    for case in &header.cases {
        ensure!(ids.insert(&case.id), "two cases have the id {}", case.id);
        name("a case", &case.id)?;
        check_case(case).with_context(|| case.id.clone())?;
    }
    Ok(())
}

fn check_case(case: &Case) -> Result<()> {
    let parts: Vec<&str> = case.id.split('/').collect();
    let is_plain = |part: &&str| !part.is_empty() && !part.starts_with('.');
    // Criterion prints it as it is.
    ensure!(
        parts.len() == 3 && parts.iter().all(is_plain) && plain(&case.id) == case.id,
        "an id is group/series/point in at most 200 printable characters, and no part starts with \
         a dot"
    );
    name("its row", &case.row)?;
    name("its curve", &case.curve)?;
    name("its variant", case.variant.as_deref().unwrap_or_default())?;
    for (label, value) in &case.labels {
        name("its label", label)?;
        name("its label", value.as_str().unwrap_or_default())?;
    }
    ensure!((1..MAX_ELEMENTS).contains(&case.dim), "its dim is {}", case.dim);
    check_operation(&case.operation)
}

fn check_operation(operation: &Operation) -> Result<()> {
    match operation {
        Operation::Gemm(gemm) | Operation::GemmBest(gemm) | Operation::GemmOnTheFly(gemm) => {
            check_gemm(gemm)
        }
        Operation::GemmSequence(gemms)
        | Operation::GemmGrouped(gemms)
        | Operation::GemmConcurrent(gemms) => {
            ensure!(!gemms.is_empty(), "a sequence of no GEMMs");
            gemms.iter().try_for_each(check_gemm)?;
            let columns: usize = gemms.iter().map(|gemm| gemm.shape.n).sum();
            ensure!(columns < MAX_ELEMENTS, "{columns} columns in all are too many");
            Ok(())
        }
        Operation::Cold(warm) => match **warm {
            Operation::Cold(_) => bail!("an operation that is cold twice"),
            _ => check_operation(warm),
        },
        Operation::Layer(parts) => {
            ensure!(!parts.is_empty(), "a layer of nothing");
            let is_nested =
                |part: &Operation| matches!(part, Operation::Layer(_) | Operation::Cold(_));
            ensure!(!parts.iter().any(is_nested), "a layer within a layer");
            parts.iter().try_for_each(check_operation)
        }
        Operation::LowRank([first, second]) => {
            check_gemm(first)?;
            check_gemm(second)?;
            let chained =
                |first: GemmShape, second: GemmShape| first.m == second.m && first.n == second.k;
            let fits = chained(first.shape, second.shape) && chained(first.data, second.data);
            ensure!(fits && first.batch * second.batch == 1, "two GEMMs that are no low-rank pair");
            Ok(())
        }
        Operation::Sdpa(sdpa) | Operation::SdpaOnTheFly(sdpa) | Operation::SdpaKernelOnly(sdpa) => {
            check_sdpa(sdpa)
        }
    }
}

fn check_gemm(gemm: &Gemm) -> Result<()> {
    let batch = gemm.batch;
    for GemmShape { m, n, k } in [gemm.shape, gemm.data] {
        let tensors = [[batch, m, k], [batch, k, n], [batch, m, n]];
        tensors.iter().try_for_each(|dims| tensor(dims))?;
    }
    let is_padded = gemm.shape != gemm.data;
    ensure!(batch == 1 || !is_padded, "a batch of GEMMs has no padding");
    Ok(())
}

fn check_sdpa(sdpa: &Sdpa) -> Result<()> {
    let SdpaShape { batch, seq_len, n_heads, head_dim, .. } = sdpa.shape;
    let (heads, kv_len) = (sdpa.shape.kv_heads(), sdpa.shape.kv_len());
    for tokens in [seq_len, kv_len] {
        tensor(&[batch, n_heads, tokens, head_dim])?;
        tensor(&[batch, n_heads, tokens, sdpa.data_head_dim])?;
    }
    ensure!(
        !sdpa.causal || kv_len == seq_len,
        "a causal mask over {kv_len} keys and {seq_len} queries"
    );
    ensure!(
        heads > 0 && n_heads.is_multiple_of(heads),
        "{n_heads} heads cannot share {heads} KV heads"
    );
    Ok(())
}

/// Refuses what `spec` refuses of a tensor.
fn tensor(dims: &[usize]) -> Result<()> {
    let elements = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    let fits = elements.is_some_and(|elements| (1..MAX_ELEMENTS).contains(&elements));
    ensure!(fits, "a tensor of {dims:?} is none that can be measured");
    Ok(())
}

fn secondary(secondary: &Secondary) -> Result<()> {
    let cold = match &secondary.cold {
        Cold::Samples { samples_ms, .. } => &samples_ms[..],
        Cold::NotApplicable { .. } => &[],
    };
    let mut times = [&secondary.isolated_ms, &secondary.per_call_ms, cold].into_iter().flatten();
    let is_broken = |ms: &&f64| !(ms.is_finite() && **ms > 0.0);
    match times.find(is_broken) {
        None => Ok(()),
        Some(ms) => bail!("{}: a secondary time of {ms} ms", secondary.case_id),
    }
}

/// Of these there are ratios, which have to be numbers too.
fn energy(energy: &Energy) -> Result<()> {
    const SOUND: RangeInclusive<f64> = 1e-9..=1e15;
    let Energy { case_id, joules, seconds, launches, uncertainty_pct, polled_watts, .. } = energy;
    for (what, value) in [("J", joules), ("s", seconds), ("launches", launches)] {
        ensure!(SOUND.contains(value), "{case_id}: an energy of {value} {what}");
    }
    let polled_watts = polled_watts.unwrap_or_default();
    for (what, value) in [("uncertainty in %", *uncertainty_pct), ("power in W", polled_watts)] {
        let is_sound = (0.0..=*SOUND.end()).contains(&value);
        ensure!(is_sound, "{case_id}: an energy with a {what} of {value}");
    }
    Ok(())
}

/// A time of zero, a negative one, an infinity or NaN is a broken clock, and no statistics should
/// hide it.
fn samples(trial: &Trial) -> Result<()> {
    ensure!(!trial.samples_ms.is_empty(), "{} has no sample", trial.case_id);
    for (index, &sample) in trial.samples_ms.iter().enumerate() {
        ensure!(
            sample.is_finite() && sample > 0.0,
            "{}: sample {index} of trial {} is {sample} ms",
            trial.case_id,
            trial.trial
        );
    }
    Ok(())
}
