//! The card's energy counter moves every 100 ms or so, and what it counts is known only when it
//! does. From one such tick to another both the energy and the time are known.

/// The counter moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// When, in seconds: the middle of the gap.
    pub at_s: f64,
    /// It moved between two readings that are so far apart.
    pub gap_s: f64,
    /// What it counts since.
    pub millijoules: u64,
}

/// The last reading of a counter: when it was asked for, and what it was.
#[derive(Default)]
pub struct Counter(Option<(f64, u64)>);

impl Counter {
    /// Takes a reading that was asked for and answered at these seconds. A tick, if the counter has
    /// moved since the reading before.
    pub fn read(&mut self, asked_s: f64, answered_s: f64, millijoules: u64) -> Option<Tick> {
        let (before_s, before) = self.0.replace((asked_s, millijoules))?;
        let gap_s = answered_s - before_s;
        let at_s = before_s + gap_s / 2.0;
        (millijoules != before).then_some(Tick { at_s, gap_s, millijoules })
    }
}

/// What was used from the first of some ticks to the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Used {
    pub joules: f64,
    pub seconds: f64,
    /// How far off their ratio may be, in per cent.
    pub uncertainty_pct: f64,
}

/// None of fewer than two ticks, and of a counter that was set back.
///
/// The first and the last tick may each be off by half their gap, and by twice what the ticks
/// between stray from where those beside them put them: a counter that is late at one of them is
/// late at others. Power that drifts, as it does at a power limit, is no stray. The counter itself
/// is off by its smallest step, at both ends.
pub fn used(ticks: &[Tick]) -> Option<Used> {
    const STEP_J: f64 = 1e-3;
    let (first, last) = (ticks.first()?, ticks.last()?);
    let seconds = last.at_s - first.at_s;
    let since_first = |tick: &Tick| {
        let millijoules = tick.millijoules.checked_sub(first.millijoules)?;
        Some((tick.at_s - first.at_s, millijoules as f64 * 1e-3))
    };
    let points: Vec<(f64, f64)> = ticks.iter().map(since_first).collect::<Option<_>>()?;
    let joules = points.last()?.1;
    let is_set_back = points.windows(2).any(|pair| pair[1].1 <= pair[0].1);
    if seconds <= 0.0 || joules <= 0.0 || is_set_back {
        return None;
    }
    // Of three ticks with errors of their own, the middle one strays by 1.5 times their variance.
    let stray_s = |window: &[(f64, f64)]| {
        let [(begin_s, begin_j), (at_s, joules_then), (end_s, end_j)] = *window else { return 0.0 };
        at_s - begin_s - (joules_then - begin_j) / (end_j - begin_j) * (end_s - begin_s)
    };
    let squares: Vec<f64> = points.windows(3).map(|window| stray_s(window).powi(2)).collect();
    let stray_s = (squares.iter().sum::<f64>() / squares.len().max(1) as f64 / 1.5).sqrt();
    let ends = [first.gap_s / 2.0, last.gap_s / 2.0, 2.0 * stray_s, 2.0 * stray_s];
    let relative = ends.map(|off_s| off_s / seconds);
    let steps = [STEP_J / joules; 2];
    let off = relative.iter().chain(&steps).map(|off| off * off).sum::<f64>().sqrt();
    Some(Used { joules, seconds, uncertainty_pct: 100.0 * off })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of a counter of so many watts that moves every `step_s`, each so late, read every
    /// millisecond for 1.65 s.
    fn ticks(watts: f64, step_s: f64, late_s: impl Fn(usize) -> f64) -> Vec<Tick> {
        let mut counter = Counter::default();
        let reading = |at_s: f64| {
            let moved = (1..).take_while(|&k| k as f64 * step_s + late_s(k) <= at_s).count();
            5_000_000 + (watts * step_s * 1e3 * moved as f64).round() as u64
        };
        let readings = (0..1650).map(|k| f64::from(k) * 1e-3);
        readings.filter_map(|s| counter.read(s, s + 2e-4, reading(s + 1e-4))).collect()
    }

    #[test]
    fn energy_is_what_is_counted_from_tick_to_tick() {
        let ticks = ticks(700.0, 0.1, |_| 0.0);
        assert_eq!(ticks.len(), 16);
        assert!(ticks.iter().all(|tick| (tick.gap_s - 1.2e-3).abs() < 1e-9), "{ticks:?}");
        let used = used(&ticks).unwrap();
        assert!((used.joules - 1050.0).abs() < 1e-9, "{used:?}");
        assert!((used.seconds - 1.5).abs() < 2e-3, "{used:?}");
        let watts = used.joules / used.seconds;
        assert!((watts / 700.0 - 1.0).abs() < used.uncertainty_pct / 100.0, "{used:?}");
        // Two half gaps of 1.2 ms over 1.5 s are 0.06 %; ticks are read to a millisecond.
        assert!((0.05..0.3).contains(&used.uncertainty_pct), "{used:?}");
    }

    #[test]
    fn power_that_drifts_is_no_uncertainty() {
        let of_power = |watts: fn(f64) -> f64| -> Vec<Tick> {
            let (mut joules, step_s) = (0.0, 0.1);
            let tick = |k: i32| {
                let at_s = f64::from(k) * step_s;
                joules += watts(at_s) * step_s;
                Tick { at_s, gap_s: 1e-3, millijoules: 5_000_000 + (joules * 1e3) as u64 }
            };
            (0..=15).map(tick).collect()
        };
        let steady = used(&of_power(|_| 700.0)).unwrap();
        let falls = used(&of_power(|at_s| 730.0 - 40.0 * at_s)).unwrap();
        assert!(falls.uncertainty_pct < steady.uncertainty_pct + 0.2, "{falls:?} {steady:?}");
    }

    #[test]
    fn ticks_that_come_late_make_it_less_certain() {
        let late = |k: usize| if k.is_multiple_of(2) { 0.02 } else { 0.0 };
        let (steady, unsteady) = (ticks(700.0, 0.1, |_| 0.0), ticks(700.0, 0.1, late));
        let (steady, unsteady) = (used(&steady).unwrap(), used(&unsteady).unwrap());
        assert!(unsteady.uncertainty_pct > 5.0 * steady.uncertainty_pct, "{unsteady:?}");
        let watts = unsteady.joules / unsteady.seconds;
        assert!((watts / 700.0 - 1.0).abs() < unsteady.uncertainty_pct / 100.0, "{unsteady:?}");
        // What is read once in 30 ms is known to 1.4 %: half of it at either end.
        let rare = |at_s, millijoules| Tick { at_s, gap_s: 0.03, millijoules };
        let rare = used(&[rare(0.0, 1_000), rare(1.5, 1_051_000)]).unwrap();
        assert!((rare.uncertainty_pct - 1.414).abs() < 1e-3, "{rare:?}");
        assert!((rare.joules - 1050.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_known_without_two_ticks_or_of_a_counter_that_was_set_back() {
        let tick = |at_s, millijoules| Tick { at_s, gap_s: 0.0, millijoules };
        assert_eq!(used(&[]), None);
        assert_eq!(used(&[tick(0.0, 5)]), None);
        assert_eq!(used(&[tick(0.0, 5), tick(1.0, 4)]), None);
        assert_eq!(used(&[tick(1.0, 5), tick(1.0, 7)]), None);
        let mut counter = Counter::default();
        assert_eq!(counter.read(0.0, 0.1, 7), None);
        assert_eq!(counter.read(0.2, 0.3, 7), None);
        assert_eq!(counter.read(0.4, 0.5, 9).map(|tick| tick.millijoules), Some(9));
    }
}
