//! Whole layers, timed as single graphs, against the sums of their parts.

use super::times::Times;
use crate::experiments::model_layers::entry::Plan;
use crate::experiments::model_layers::layer::LayerDims;
use crate::results::model::WholeLayer;

/// A layer and the sum of its parts should agree so far.
const AGREE_PCT: f64 = 5.0;

impl Times<'_> {
    pub fn whole_layers(&self, layers: &[LayerDims]) -> Vec<WholeLayer> {
        let (of, at) = (self.of, self.of.whole_layer());
        let is_cpu = self.raw.metadata.device == "cpu";
        let mut found = Vec::new();
        for step in of.steps() {
            for plan in Plan::ALL {
                let id = of.layer_case(&self.raw.metadata.group, plan, step).id;
                let mut rows = self.raw.measured();
                let Some(row) = rows.find(|row| row.point.case_id == id) else { continue };
                let parts = of.setting().layer(&of.planned(plan, &layers[at]), step);
                let parts_ms: Option<f64> =
                    parts.iter().map(|(_, part)| self.p50_ms.get(part)).sum();
                let Some(parts_ms) = parts_ms else { continue };
                let graph_ms = row.timing.p50;
                let difference_pct = (parts_ms / graph_ms - 1.0) * 100.0;
                let differs = difference_pct.abs() > AGREE_PCT;
                found.push(WholeLayer {
                    plan: plan.name().to_owned(),
                    phase: step.phase.name().to_owned(),
                    tokens: step.tokens,
                    layer: at,
                    graph_ms,
                    parts_ms,
                    difference_pct,
                    note: differs.then(|| difference(difference_pct, is_cpu).to_owned()),
                });
            }
        }
        found
    }
}

/// What may be the reason.
fn difference(pct: f64, is_cpu: bool) -> &'static str {
    match (pct > 0.0, is_cpu) {
        (true, false) => {
            "operations of a layer may find the results of those before in the L2 cache; timed \
             apart, their operands come from memory"
        }
        (false, false) => {
            "timed apart, launches of one kernel follow each other; in a layer the clock, the \
             caches and the gaps between kernels may be others"
        }
        (false, true) => {
            "timed apart, an operation's operands may stay in the processor's caches; in a layer \
             those of all others come in between"
        }
        (true, true) => "why, is not known",
    }
}
