//! The dimensions of a layer: ranks and a width, as a compression left them or rounded.

use super::architecture::{Architecture, Linear};
use std::collections::BTreeMap;

/// A layer's dimensions. A linear layer without ranks is dense.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerDims {
    /// The ranks of a linear layer: one, or one for each of several equal groups of its outputs.
    pub ranks: BTreeMap<Linear, Vec<usize>>,
    pub mlp_width: usize,
}

/// A dimension is rounded up to a multiple of these, as candidates for a better one.
pub const MULTIPLES: [usize; 6] = [1, 8, 16, 32, 64, 128];

/// What of a layer is rounded by itself: each linear layer that is a low-rank pair; the MLP as a
/// whole where its width was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    Pair(Linear),
    Mlp,
}

impl LayerDims {
    pub fn dense(model: &Architecture) -> Self {
        LayerDims { ranks: BTreeMap::new(), mlp_width: model.intermediate_size.get() }
    }

    /// The units that a compression changed.
    pub fn units(&self, model: &Architecture) -> Vec<Unit> {
        let is_cut = self.mlp_width != model.intermediate_size.get();
        let pairs = self.ranks.keys().filter(|linear| !is_cut || !linear.is_mlp());
        let mlp = is_cut.then_some(Unit::Mlp);
        pairs.map(|linear| Unit::Pair(*linear)).chain(mlp).collect()
    }

    /// All units rounded up to a multiple of a number, no further than to the dense dimension. A
    /// width is rounded where each of `tp` GPUs has its part.
    pub fn rounded(&self, multiple: usize, model: &Architecture, tp: usize) -> Self {
        let dense_width = model.intermediate_size.get();
        let mlp_width = self.mlp_width.next_multiple_of(multiple * tp).min(dense_width);
        let round = |(&linear, ranks): (&Linear, &Vec<usize>)| {
            let [into, out] = model.features(linear, dense_width);
            let most = into.min(out / ranks.len());
            let round = |rank: &usize| rank.next_multiple_of(multiple).min(most).max(*rank);
            (linear, ranks.iter().map(round).collect())
        };
        LayerDims { ranks: self.ranks.iter().map(round).collect(), mlp_width }
    }

    /// This layer with one unit taken from another.
    pub fn with(&self, unit: Unit, other: &LayerDims) -> Self {
        let mut own = self.clone();
        let mut take = |linear| match other.ranks.get(&linear) {
            Some(ranks) => drop(own.ranks.insert(linear, ranks.clone())),
            None => drop(own.ranks.remove(&linear)),
        };
        match unit {
            Unit::Pair(linear) => take(linear),
            Unit::Mlp => {
                Linear::ALL.into_iter().filter(|linear| linear.is_mlp()).for_each(&mut take);
                own.mlp_width = other.mlp_width;
            }
        }
        own
    }

    /// Weights of its linear layers.
    pub fn parameters(&self, model: &Architecture) -> usize {
        let of = |linear| {
            let [into, out] = model.features(linear, self.mlp_width);
            match self.ranks.get(&linear) {
                None => into * out,
                Some(ranks) => ranks.iter().map(|rank| rank * (into + out / ranks.len())).sum(),
            }
        };
        Linear::ALL.into_iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::llama;
    use super::*;

    fn compressed() -> LayerDims {
        let ranks = BTreeMap::from([(Linear::KProj, vec![157, 157]), (Linear::UpProj, vec![4090])]);
        LayerDims { ranks, mlp_width: 10245 }
    }

    #[test]
    fn rounding_goes_up_but_not_beyond_the_dense_layer() {
        let model = llama();
        let rounded = compressed().rounded(64, &model, 1);
        assert_eq!(rounded.ranks[&Linear::KProj], [192, 192]);
        assert_eq!((&*rounded.ranks[&Linear::UpProj], rounded.mlp_width), (&[4096][..], 10304));
        assert_eq!(compressed().rounded(64, &model, 8).mlp_width, 10752);
        let narrow = LayerDims { mlp_width: 14330, ..compressed() };
        assert_eq!(narrow.rounded(128, &model, 1).mlp_width, 14336);
        assert_eq!(compressed().rounded(1, &model, 1), compressed());
    }

    #[test]
    fn parameters_are_those_of_the_weights() {
        let model = llama();
        let (hidden, kv, mlp) = (4096, 1024, 14336);
        let attention = 2 * hidden * hidden + 2 * hidden * kv;
        let dense = LayerDims::dense(&model);
        assert_eq!(dense.parameters(&model), attention + 3 * hidden * mlp);
        let pair = LayerDims { ranks: [(Linear::KProj, vec![157, 157])].into(), ..dense.clone() };
        let saved = hidden * kv - (314 * hidden + 2 * 157 * 512);
        assert_eq!(pair.parameters(&model), dense.parameters(&model) - saved);
    }

    #[test]
    fn a_unit_changes_alone() {
        let model = llama();
        let (own, dense) = (compressed(), LayerDims::dense(&model));
        assert_eq!(own.units(&model), [Unit::Pair(Linear::KProj), Unit::Mlp]);
        let with_k = own.with(Unit::Pair(Linear::KProj), &dense);
        assert_eq!((with_k.ranks.len(), with_k.mlp_width), (1, 10245));
        let with_mlp = own.with(Unit::Mlp, &dense);
        assert_eq!((with_mlp.ranks.len(), with_mlp.mlp_width), (1, 14336));
    }
}
