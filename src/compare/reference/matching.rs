//! The cases that both sides have, and those that cannot be judged.

use super::answer::{FailsHere, LeftOut, OtherKernels};
use super::class::Class;
use super::night::{Entry, Night, Timed};
use crate::results::curve::kernel::KernelChange;
use crate::results::raw::Shape;
use crate::workload::ErrorKind;
use crate::workload::provider::Provider;
use std::collections::BTreeMap;

/// A case that both sides measured with the same kernels; what is of both has this card first.
pub struct Pair<'a> {
    pub case_id: &'a str,
    pub class: Class,
    pub runs: [usize; 2],
    pub timed: [&'a Timed; 2],
    pub cycles: [f64; 2],
}

impl Pair<'_> {
    pub fn time_ratio(&self) -> f64 {
        let [card, reference] = self.timed;
        card.p50_ms / reference.p50_ms
    }

    pub fn cycles_ratio(&self) -> f64 {
        self.cycles[0] / self.cycles[1]
    }

    /// Of the clocks at which those cycles take those times.
    pub fn clock_ratio(&self) -> f64 {
        self.cycles_ratio() / self.time_ratio()
    }
}

/// What both sides have, of each case of `card`.
#[derive(Default)]
pub struct Matched<'a> {
    pub pairs: Vec<Pair<'a>>,
    pub fails_here: Vec<FailsHere>,
    pub left_out: LeftOut,
}

pub fn of<'a>(card: &'a Night, reference: &'a Night) -> Matched<'a> {
    let mut matched = Matched::default();
    let Matched { pairs, fails_here, left_out } = &mut matched;
    for (id, entries) in &card.cases {
        let others = reference.cases.get(id).map_or(&[][..], Vec::as_slice);
        for own in by_provider(card, entries) {
            // Sizes of a user's spec may have the id of another case.
            let alike = |other: &&Entry| other.shape == own.shape && other.dtype == own.dtype;
            let others: Vec<&Entry> = others.iter().filter(alike).collect();
            match pair(id, own, &others, reference) {
                Ok(pair) => pairs.push(pair),
                Err(Reason::FailsHere(error_kind)) => {
                    fails_here.push(FailsHere { case_id: id.clone(), error_kind });
                }
                Err(Reason::Failed) => left_out.failed.push(id.clone()),
                Err(Reason::NotInReference) => left_out.not_in_reference.push(id.clone()),
                Err(Reason::NotCounted) => left_out.not_counted.push(id.clone()),
                Err(Reason::OtherKernels(change)) => {
                    left_out.other_kernels.push(OtherKernels { case_id: id.clone(), change });
                }
            }
        }
    }
    matched
}

/// The newest complete entry of each provider; a failure alone where no run timed it.
fn by_provider<'a>(night: &Night, entries: &'a [Entry]) -> Vec<&'a Entry> {
    let mut timed: BTreeMap<Provider, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        if let Ok(found) = &entry.timed {
            timed.entry(found.provider).or_default().push(entry);
        }
    }
    match timed.is_empty() {
        true => night.newest(entries.iter()).into_iter().collect(),
        false => timed.into_values().filter_map(|own| night.newest(own.into_iter())).collect(),
    }
}

enum Reason {
    FailsHere(ErrorKind),
    Failed,
    NotInReference,
    NotCounted,
    OtherKernels(KernelChange),
}

fn pair<'a>(
    id: &'a str,
    own: &'a Entry,
    others: &[&'a Entry],
    reference: &Night,
) -> Result<Pair<'a>, Reason> {
    let timed = own.timed.as_ref().map_err(|kind| {
        let is_measured = others.iter().any(|other| other.timed.is_ok());
        let is_wrong = matches!(kind, ErrorKind::WrongResult | ErrorKind::Cuda);
        if is_measured && is_wrong { Reason::FailsHere(*kind) } else { Reason::Failed }
    })?;
    let is_of_provider =
        |other: &&Entry| other.timed.as_ref().is_ok_and(|found| found.provider == timed.provider);
    let Some(other) = reference.newest(others.iter().copied().filter(is_of_provider)) else {
        let has_failed = others.iter().any(|other| other.timed.is_err());
        return Err(if has_failed { Reason::Failed } else { Reason::NotInReference });
    };
    let by = other.timed.as_ref().map_err(|_| Reason::Failed)?;
    // A GPU runs some kernel: where none is named, they are not known to be the same.
    if by.kernels.is_empty() || by.kernels != timed.kernels {
        let (from, to) = (by.kernels.clone(), timed.kernels.clone());
        return Err(Reason::OtherKernels(KernelChange { from, to }));
    }
    // The shape of a layer says nothing of its widths, which another model has as well.
    if matches!(own.shape, Shape::Layer { .. }) && by.grids != timed.grids {
        return Err(Reason::NotInReference);
    }
    let counted = |timed: &Timed| timed.cycles.filter(|cycles| *cycles > 0.0);
    let cycles = [counted(timed), counted(by)];
    let [Some(own_cycles), Some(cycles)] = cycles else { return Err(Reason::NotCounted) };
    Ok(Pair {
        case_id: id,
        class: Class::of(own.shape, by.bound),
        runs: [own.run, other.run],
        timed: [timed, by],
        cycles: [own_cycles, cycles],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::reference::night::Run;
    use crate::results::raw::Bound;
    use crate::workload::Precision;
    use crate::workload::shape::GemmShape;

    fn entry(ms: f64, k: usize) -> Entry {
        Entry {
            run: 0,
            shape: Shape::Gemm(GemmShape { m: 64, n: 64, k }),
            dtype: Precision::Fp16,
            timed: Ok(Timed {
                provider: Provider::CublasLt,
                p50_ms: ms,
                cycles: Some(ms * 1.7e6),
                bound: Some(Bound::Compute),
                kernels: vec!["a".to_owned()],
                grids: vec![[1, 1, 1]],
                clocks: None,
            }),
        }
    }

    fn changed(change: impl Fn(&mut Timed)) -> Entry {
        let mut entry = entry(2.0, 64);
        change(entry.timed.as_mut().unwrap());
        entry
    }

    /// Whether a run is complete, when it started, and its rows.
    type Told = (bool, &'static str, Vec<(&'static str, Entry)>);

    fn night(runs: Vec<Told>) -> Night {
        let run = |(is_complete, started, rows): Told| {
            let rank = (is_complete, Some(started.parse().unwrap()));
            let rows = rows.into_iter().map(|(id, entry)| (id.to_owned(), entry)).collect();
            (Run { rank, ..Run::default() }, rows)
        };
        Night::of("night".to_owned(), runs.into_iter().map(run).collect())
    }

    #[test]
    fn only_the_same_case_on_the_same_kernels_is_compared() {
        let day = "2026-01-01T00:00:00Z";
        let failed = |kind| Entry { timed: Err(kind), ..entry(1.0, 64) };
        let ids = [
            "failed here",
            "failed there",
            "kernels",
            "ok",
            "provider",
            "refused",
            "shape",
            "uncounted",
        ];
        let card = [
            failed(ErrorKind::WrongResult),
            entry(2.0, 64),
            changed(|timed| timed.kernels.push("b".to_owned())),
            entry(2.0, 64),
            changed(|timed| timed.provider = Provider::NightSweep),
            failed(ErrorKind::Unsupported),
            entry(2.0, 65),
            changed(|timed| timed.cycles = None),
        ];
        let mut reference = vec![entry(1.0, 64); 8];
        reference[1] = failed(ErrorKind::Cuda);
        let side = |entries: Vec<Entry>| {
            let mut rows: Vec<_> = ids.into_iter().zip(entries).collect();
            rows.push(("here only", entry(1.0, 64)));
            rows
        };
        let card = night(vec![(true, day, side(card.into()))]);
        let mut reference = side(reference);
        reference.pop();
        reference.push(("there only", entry(1.0, 64)));
        let reference = night(vec![(true, day, reference)]);
        let Matched { pairs, fails_here, left_out } = of(&card, &reference);
        let [pair] = &pairs[..] else { panic!("{}", pairs.len()) };
        assert_eq!((pair.case_id, pair.time_ratio(), pair.clock_ratio()), ("ok", 2.0, 1.0));
        assert_eq!(pair.class.to_string(), "compute-bound GEMM");
        let [failed] = &fails_here[..] else { panic!("{fails_here:?}") };
        assert_eq!((&*failed.case_id, failed.error_kind), ("failed here", ErrorKind::WrongResult));
        assert_eq!(left_out.failed, ["failed there", "refused"]);
        assert_eq!(left_out.not_in_reference, ["here only", "provider", "shape"]);
        assert_eq!(left_out.not_counted, ["uncounted"]);
        let [kernels] = &left_out.other_kernels[..] else { panic!("{left_out:?}") };
        assert_eq!(kernels.case_id, "kernels");
        assert_eq!((&kernels.change.from[..], kernels.change.to.len()), (&["a".to_owned()][..], 2));
    }

    #[test]
    fn a_layer_of_another_model_is_another_case() {
        let layer = |columns: u32| {
            let shape = Shape::Layer { operations: 12 };
            let entry = changed(|timed| timed.grids = vec![[2, columns, 1]]);
            let rows = vec![("layer", Entry { shape, ..entry })];
            night(vec![(true, "2026-01-01T00:00:00Z", rows)])
        };
        let (judged, reference) = (layer(64), layer(64));
        assert_eq!(of(&judged, &reference).pairs.len(), 1);
        assert_eq!(of(&layer(66), &reference).left_out.not_in_reference, ["layer"]);
    }

    #[test]
    fn of_several_runs_the_newest_complete_one_counts() {
        let row = |ms: f64| vec![("a", entry(ms, 64))];
        // The newest in time, and not in the order of their names or texts.
        let reference = night(vec![
            (true, "2026-01-02T00:00:00.5Z", row(1.0)),
            (true, "2026-01-02T00:00:00Z", row(4.0)),
            (false, "2026-01-03T00:00:00Z", row(8.0)),
        ]);
        let card = night(vec![
            (true, "2026-01-01T00:00:00Z", row(3.0)),
            (true, "2026-01-01T12:00:00Z", row(2.0)),
        ]);
        let pairs = of(&card, &reference).pairs;
        assert_eq!((pairs.len(), pairs[0].time_ratio(), pairs[0].runs), (1, 2.0, [1, 0]));
    }
}
