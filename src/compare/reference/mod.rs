//! A card against others of its model: its runs against those of a published night.
//!
//! ```text
//! runs -> night --+-> matching: pairs of a case -> classes -> verdict -> CardComparison
//! published night-+
//! ```
//!
//! No two cards of a model are equal, and one card is not equal to itself: its clock depends on how
//! warm it is. So nothing is said of single cases, and of classes of them only what is beyond that.

pub mod answer;
mod class;
mod finding;
mod matching;
mod night;
pub mod published;
mod verdict;

pub use class::{Class, Operation};
pub use verdict::Verdict;

use crate::journal::record::SCHEMA_VERSION;
use crate::stats::{median, median_ci95};
use answer::{Card, CardComparison, CaseRow, ClassRow, Outcome, Side, State};
use matching::{Matched, Pair};
use night::Night;
use std::collections::{BTreeMap, BTreeSet};
use verdict::{allowance, judge};

/// Judges the runs of a card by those of another, all of this model.
pub fn compare(model: &str, card: &Night, reference: &Night) -> CardComparison {
    let Matched { pairs, fails_here, left_out } = matching::of(card, reference);
    let mut classes: BTreeMap<Class, Vec<&Pair>> = BTreeMap::new();
    for pair in &pairs {
        classes.entry(pair.class).or_default().push(pair);
    }
    let mut classes: Vec<ClassRow> =
        classes.into_iter().filter_map(|(class, pairs)| class_row(class, &pairs)).collect();
    classes.sort_by_key(|row| !row.verdict.fails());
    let sides = [side(card, &pairs, 0), side(reference, &pairs, 1)];
    let of_clock = note_of_clock(&classes);
    let notes = notes([card, reference], &pairs, &sides).into_iter().chain(of_clock).collect();
    let [card, reference] = sides;
    CardComparison {
        schema_version: SCHEMA_VERSION.to_owned(),
        outcome: match () {
            () if !fails_here.is_empty() => Outcome::Worse,
            () if classes.is_empty() => Outcome::Inconclusive,
            () if classes.iter().any(|row| row.verdict.fails()) => Outcome::Worse,
            () => Outcome::AsExpected,
        },
        model: model.to_owned(),
        card,
        reference,
        findings: classes.iter().filter_map(finding::sentence).collect(),
        classes,
        fails_here,
        left_out,
        notes,
        rows: pairs.iter().map(case_row).collect(),
    }
}

fn case_row(pair: &Pair) -> CaseRow {
    CaseRow {
        case_id: pair.case_id.to_owned(),
        class: pair.class,
        p50_ms: pair.timed[0].p50_ms,
        reference_p50_ms: pair.timed[1].p50_ms,
        time_ratio: pair.time_ratio(),
        clock_ratio: pair.clock_ratio(),
        cycles_ratio: pair.cycles_ratio(),
    }
}

fn class_row(class: Class, pairs: &[&Pair]) -> Option<ClassRow> {
    let each = |of: fn(&Pair) -> f64| pairs.iter().map(|pair| of(pair)).collect::<Vec<_>>();
    let times = each(|pair| pair.time_ratio());
    let time_ratio = median(&times)?;
    let clock_ratio = median(&each(|pair| pair.clock_ratio()))?;
    let cycles_ratio = median(&each(|pair| pair.cycles_ratio()))?;
    let allowance = allowance(pairs.len());
    Some(ClassRow {
        class,
        verdict: judge(time_ratio, cycles_ratio, clock_ratio, allowance),
        cases: pairs.len(),
        time_ratio,
        time_ci95: median_ci95(&times),
        clock_ratio,
        cycles_ratio,
        allowance_pct: allowance * 100.0,
        card: state(pairs, 0)?,
        reference: state(pairs, 1)?,
    })
}

fn state(pairs: &[&Pair], side: usize) -> Option<State> {
    let mhz: Vec<f64> =
        pairs.iter().map(|pair| pair.cycles[side] / pair.timed[side].p50_ms * 1e-3).collect();
    let clocks: Vec<_> = pairs.iter().filter_map(|pair| pair.timed[side].clocks.as_ref()).collect();
    let power: Vec<f64> = clocks.iter().map(|clocks| f64::from(clocks.power_w)).collect();
    let warmth: Vec<f64> = clocks.iter().map(|clocks| f64::from(clocks.temperature_c)).collect();
    let throttle: BTreeSet<&String> = clocks.iter().flat_map(|clocks| &clocks.throttle).collect();
    Some(State {
        sm_mhz: median(&mhz)?,
        power_w: median(&power),
        temperature_c: median(&warmth),
        throttle: throttle.into_iter().cloned().collect(),
    })
}

/// The runs that are compared; all of them where none is.
fn used(night: &Night, pairs: &[Pair], side: usize) -> Vec<usize> {
    let used: BTreeSet<usize> = pairs.iter().map(|pair| pair.runs[side]).collect();
    if used.is_empty() { (0..night.runs.len()).collect() } else { used.into_iter().collect() }
}

fn side(night: &Night, pairs: &[Pair], side: usize) -> Side {
    let runs: Vec<_> = used(night, pairs, side).into_iter().map(|run| &night.runs[run]).collect();
    let mut cards: BTreeMap<Option<&String>, Vec<&Card>> = BTreeMap::new();
    for run in &runs {
        cards.entry(run.card.uuid.as_ref()).or_default().push(&run.card);
    }
    let of = |cards: Vec<&Card>| {
        let middle = |of: fn(&Card) -> Option<f64>| {
            median(&cards.iter().filter_map(|card| of(card)).collect::<Vec<_>>())
        };
        Card {
            copy_gbs: middle(|card| card.copy_gbs),
            fp16_tflops: middle(|card| card.fp16_tflops),
            ..cards[0].clone()
        }
    };
    Side {
        name: night.name.clone(),
        runs: runs.iter().map(|run| run.id.clone()).collect(),
        cards: cards.into_values().map(of).collect(),
    }
}

fn notes(nights: [&Night; 2], pairs: &[Pair], sides: &[Side; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    let uuids = sides.each_ref().map(|side| {
        side.cards.iter().filter_map(|card| card.uuid.as_ref()).collect::<BTreeSet<_>>()
    });
    if !uuids[0].is_disjoint(&uuids[1]) {
        notes.push("the reference was measured on this card as well".to_owned());
    }
    let runs = [0, 1].map(|side| {
        used(nights[side], pairs, side).into_iter().map(move |run| &nights[side].runs[run])
    });
    let [card, reference] = runs.map(Iterator::collect::<Vec<_>>);
    for of in ["driver", "PyTorch", "cuBLAS", "cuDNN"] {
        let versions = [&card, &reference].map(|runs| {
            let found: BTreeSet<&str> =
                runs.iter().filter_map(|run| run.versions.get(of)).map(String::as_str).collect();
            found.into_iter().collect::<Vec<_>>().join(", ")
        });
        let [here, there] = &versions;
        if !here.is_empty() && !there.is_empty() && here != there {
            notes.push(format!("{of}: {here} here, {there} in the reference"));
        }
    }
    let limits = sides.each_ref().map(|side| {
        let mut limits: Vec<f64> =
            side.cards.iter().filter_map(|card| card.power_limit_w).collect();
        // Cards are in the order of their uuids.
        limits.sort_by(f64::total_cmp);
        limits.dedup();
        limits
    });
    let [here, there] = &limits;
    if !here.is_empty() && !there.is_empty() && here != there {
        let watts = |limits: &[f64]| {
            limits.iter().map(|limit| format!("{limit} W")).collect::<Vec<_>>().join(", ")
        };
        let (here, there) = (watts(here), watts(there));
        notes.push(format!("power limit: {here} here, {there} in the reference"));
    }
    // A run may be on both sides.
    let of_runs: BTreeSet<&String> =
        card.iter().chain(&reference).flat_map(|run| &run.notes).collect();
    notes.extend(of_runs.into_iter().cloned());
    if pairs.is_empty() {
        notes.push(
            "no case of these runs can be judged: the reference has other cases, they failed, or \
             other kernels ran"
                .to_owned(),
        );
    }
    notes
}

/// What a clock that is too low may come from.
fn note_of_clock(classes: &[ClassRow]) -> Option<String> {
    let slowed = classes.iter().filter(|row| row.verdict == Verdict::SlowerByItsClock);
    let slowed: Vec<&ClassRow> = slowed.collect();
    let reasons: BTreeSet<&str> =
        slowed.iter().flat_map(|row| &row.card.throttle).map(String::as_str).collect();
    let reasons = match reasons.is_empty() {
        true => "none".to_owned(),
        false => reasons.into_iter().collect::<Vec<_>>().join(", "),
    };
    (!slowed.is_empty()).then(|| {
        format!(
            "so low a clock is heat, a lower power limit, a locked clock or a fault; reasons that \
             the driver gave meanwhile: {reasons}"
        )
    })
}
