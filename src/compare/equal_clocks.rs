//! Stored runs as they would be at one SM clock.

use super::clock::{Difference, Elasticities};
use super::side::{Case, Run};
use crate::stats::mean;

/// What is known of the clocks of two sides.
pub struct Clocks {
    pub elasticities: Elasticities,
    /// `ln` of the clock at which all are compared.
    common: f64,
}

impl Clocks {
    /// By the trials of these cases, each against the mean of its case in its run. Nothing is made
    /// of the clock where a case has none.
    pub fn of(cases: &[(&Case, &Case)]) -> Clocks {
        let all = || cases.iter().flat_map(|(base, cand)| [*base, *cand]);
        let clocks: Option<Vec<f64>> = all().map(Case::clock).collect();
        let Some(common) = clocks.and_then(|clocks| mean(&clocks)) else {
            return Clocks { elasticities: Elasticities::default(), common: 0.0 };
        };
        let within = all().flat_map(|case| {
            let differences = case.runs.iter().flat_map(within);
            differences.map(|difference| (&case.kernels, difference))
        });
        Clocks { elasticities: Elasticities::of(within), common }
    }

    pub fn equal(&self, cases: &[(&Case, &Case)]) -> Vec<(Case, Case)> {
        cases.iter().map(|(base, cand)| (self.case(base), self.case(cand))).collect()
    }

    fn case(&self, case: &Case) -> Case {
        let elasticity = self.elasticities.of_kind(&case.kernels);
        let run = |run: &Run| {
            let trials = run.trials.iter().zip(&run.clocks);
            let corrected = trials.map(|(time, clock)| time + elasticity * (clock - self.common));
            match run.clocks.is_empty() {
                true => run.clone(),
                false => Run { trials: corrected.collect(), ..run.clone() },
            }
        };
        Case { runs: case.runs.iter().map(run).collect(), ..case.clone() }
    }
}

fn within(run: &Run) -> Vec<Difference> {
    let (Some(time), Some(clock)) = (mean(&run.trials), mean(&run.clocks)) else {
        return Vec::new();
    };
    run.trials.iter().zip(&run.clocks).map(|(own, mhz)| [own - time, mhz - clock]).collect()
}

/// `ln` of time and of SM clock, candidate over base; none where a clock is not known.
pub fn uncorrected((base, cand): (&Case, &Case)) -> Option<Difference> {
    let level = |case: &Case| mean(&case.runs.iter().map(Run::level).collect::<Vec<_>>());
    Some([level(cand)? - level(base)?, cand.clock()? - base.clock()?])
}
