//! What each module loses, from the dimensions it has to those that are advised.

use super::times::Times;
use crate::experiments::model_layers::entry::Plan;
use crate::experiments::model_layers::layer::{LayerDims, Unit};
use crate::experiments::model_layers::part::Step;
use crate::results::model::ModuleLoss;
use indexmap::IndexMap;

impl Times<'_> {
    /// Equal dimensions of the same module in several layers are one.
    pub fn modules(&self, layers: &[LayerDims], advised: &[LayerDims]) -> Vec<ModuleLoss> {
        let of = self.of;
        type Key = (Unit, LayerDims, LayerDims);
        let mut groups: IndexMap<Key, Vec<usize>> = IndexMap::new();
        let dense = LayerDims::dense(&of.model);
        for (at, (layer, to)) in layers.iter().zip(advised).enumerate() {
            for unit in layer.units(&of.model) {
                // Nothing but the unit itself tells them apart.
                let key = (unit, dense.with(unit, layer), dense.with(unit, to));
                groups.entry(key).or_default().push(at);
            }
        }
        let steps = of.steps();
        let totals: Vec<Option<f64>> =
            steps.iter().map(|step| self.plan(*step, Plan::AsIs.name(), layers).total_ms).collect();
        let mut losses: Vec<ModuleLoss> = groups
            .into_iter()
            .filter_map(|((unit, from, to), layers)| {
                let saved = |step: &Step| {
                    let time = |dims: &LayerDims| -> Option<f64> {
                        let parts = of.setting().layer(dims, *step);
                        parts.iter().map(|(_, part)| self.p50_ms.get(part)).sum()
                    };
                    Some((time(&from)? - time(&to)?) * layers.len() as f64)
                };
                let saved_ms: Vec<f64> = steps.iter().map(saved).collect::<Option<_>>()?;
                let shares = saved_ms.iter().zip(&totals);
                let shares: Vec<f64> =
                    shares.map(|(ms, total)| Some(ms / (*total)?)).collect::<Option<_>>()?;
                let dims = dims_of(unit, &from).unwrap_or_default();
                let advised = dims_of(unit, &to);
                let saved_pct = 100.0 * shares.iter().sum::<f64>() / shares.len().max(1) as f64;
                let module = match unit {
                    Unit::Pair(linear) => linear.path(),
                    Unit::Mlp => "mlp".to_owned(),
                };
                Some(ModuleLoss { module, layers, dims, advised, saved_ms, saved_pct })
            })
            .collect();
        losses.sort_by(|a, b| b.saved_pct.total_cmp(&a.saved_pct));
        losses
    }
}

/// None of a dense layer.
fn dims_of(unit: Unit, dims: &LayerDims) -> Option<Vec<usize>> {
    match unit {
        Unit::Pair(linear) => dims.ranks.get(&linear).cloned(),
        Unit::Mlp => Some(vec![dims.mlp_width]),
    }
}
