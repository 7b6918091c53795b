//! Which module each dimension of a file is for, by its name.

use crate::advise::input::Item;
use crate::experiments::model_layers::architecture::{Architecture, Linear};
use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What dimensions of linear layers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DimsAre {
    /// Ranks of low-rank pairs.
    Ranks,
    /// Widths that are left of the MLP.
    Widths,
}

/// Where a dimension of a file went.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub layer: usize,
    /// None is the width of the MLP.
    pub linear: Option<Linear>,
    pub group: usize,
}

/// The dimensions of a model, layer by layer.
#[derive(Debug, Default)]
pub struct Assigned {
    /// By linear layer, then by layer: the ranks of its groups, none where it is dense.
    pub ranks: BTreeMap<Linear, Vec<Vec<usize>>>,
    /// By layer; dense where the file says nothing.
    pub mlp_widths: Option<Vec<usize>>,
    /// Where each item went: nowhere, or into several layers.
    pub places: Vec<Vec<Place>>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// The number of a layer in a name: `model.layers.3.`, `layer_3`, `L3.`, `h.3.`, `blocks[3]`.
static LAYER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)(?:^|[^a-z])(?:layers?|blocks?|decoder|l|h)[._ \[]*(\d+)(?:[^\d]|$)";
    Regex::new(pattern).expect("a valid pattern")
});
/// The number of a group at the end of a name: `k_proj[1]`.
static GROUP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[(\d+)\]$").expect("a valid pattern"));
static WIDTH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)mlp|ffn|intermediate|width").expect("a valid pattern"));

/// What a name says.
struct Named {
    layer: Option<usize>,
    linears: Vec<Linear>,
    group: usize,
    is_width: bool,
}

fn named(name: &str) -> Named {
    let number = |pattern: &Regex| pattern.captures(name)?.get(1)?.as_str().parse().ok();
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let is_named = |linear: &Linear| {
        let short = linear.name().trim_end_matches("_proj");
        lower.contains(linear.name()) || words.contains(&short)
    };
    let linears: Vec<Linear> = Linear::ALL.into_iter().filter(is_named).collect();
    let is_width = WIDTH.is_match(name) && linears.is_empty();
    Named { layer: number(&LAYER), linears, group: number(&GROUP).unwrap_or(0), is_width }
}

/// Gives every dimension its place. `groups`: how many equal groups a single rank stands for.
pub fn assign(
    model: &Architecture,
    items: &[Item],
    dims_are: Option<DimsAre>,
    groups: usize,
) -> Result<Assigned> {
    let layers = model.n_layers.get();
    let mut ranks: BTreeMap<Linear, Vec<BTreeMap<usize, usize>>> = BTreeMap::new();
    let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
    let mut assigned = Assigned { places: vec![Vec::new(); items.len()], ..Assigned::default() };
    let (mut nowhere, mut in_turn) = (Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        let name = item.name.as_deref().unwrap_or_default();
        let Named { layer, linears, group, is_width } = named(name);
        if let Some(layer) = layer.filter(|layer| *layer >= layers) {
            bail!("{name}: there is no layer {layer}, the model has {layers}");
        }
        let of_mlp = linears.iter().all(|linear| linear.is_mlp());
        let is_width = match dims_are {
            Some(DimsAre::Widths) => {
                ensure!(of_mlp, "{name}: the width of attention is that of its heads");
                true
            }
            Some(DimsAre::Ranks) => false,
            None => is_width,
        };
        let into: Vec<usize> = layer.map_or_else(|| (0..layers).collect(), |layer| vec![layer]);
        if is_width && (layer.is_some() || !linears.is_empty()) {
            for layer in into {
                let known = widths.insert(layer, item.dim);
                let other = known.filter(|known| *known != item.dim);
                ensure!(other.is_none(), "{name}: layer {layer} has another width too");
                assigned.places[at].push(Place { layer, linear: None, group: 0 });
            }
        } else if linears.is_empty() && layer.is_none() && !name.contains('.') {
            in_turn.push((at, is_width));
        } else if linears.is_empty() {
            nowhere.push(name);
        } else {
            for (&linear, &layer) in linears.iter().flat_map(|l| into.iter().map(move |i| (l, i))) {
                let of = &mut ranks.entry(linear).or_insert_with(|| vec![BTreeMap::new(); layers]);
                let first = of[layer].insert(group, item.dim).is_none();
                ensure!(first, "{name}: layer {layer}'s {} has another rank too", linear.name());
                assigned.places[at].push(Place { layer, linear: Some(linear), group });
            }
        }
    }
    let taken = widths.len() + ranks.len();
    if taken > 0 {
        nowhere.extend(in_turn.iter().map(|(at, _)| name_of(&items[*at])));
    } else {
        give_in_turn(model, items, &in_turn, &mut ranks, &mut widths, &mut assigned);
    }
    ensure!(
        !(ranks.is_empty() && widths.is_empty()),
        "none of these names is of a module of the model: {}",
        some_of(&nowhere)
    );
    if !nowhere.is_empty() {
        assigned.notes.push(format!("left out, as they name no module: {}", some_of(&nowhere)));
    }
    let of_layer = |ranks: BTreeMap<usize, usize>| {
        let ranks: Vec<usize> = ranks.into_values().collect();
        if ranks.len() == 1 { ranks.repeat(groups) } else { ranks }
    };
    assigned.ranks = ranks
        .into_iter()
        .map(|(linear, layers)| (linear, layers.into_iter().map(of_layer).collect()))
        .collect();
    let dense = model.intermediate_size.get();
    assigned.mlp_widths = (!widths.is_empty())
        .then(|| (0..layers).map(|layer| *widths.get(&layer).unwrap_or(&dense)).collect());
    Ok(assigned)
}

/// Dimensions that name neither layer nor module: widths go to the layers in turn, ranks to the
/// linear layers in which they save parameters.
fn give_in_turn(
    model: &Architecture,
    items: &[Item],
    in_turn: &[(usize, bool)],
    ranks: &mut BTreeMap<Linear, Vec<BTreeMap<usize, usize>>>,
    widths: &mut BTreeMap<usize, usize>,
    assigned: &mut Assigned,
) {
    let layers = model.n_layers.get();
    let of = |is_width| -> Vec<usize> {
        in_turn.iter().filter(|(_, width)| *width == is_width).map(|(at, _)| *at).collect()
    };
    let (as_widths, as_ranks) = (of(true), of(false));
    for (layer, &at) in (0..layers).zip(as_widths.iter().cycle()) {
        widths.insert(layer, items[at].dim);
        assigned.places[at].push(Place { layer, linear: None, group: 0 });
    }
    let mut next = 0;
    let dense = model.intermediate_size.get();
    let slots = (0..layers).flat_map(|layer| Linear::ALL.map(|linear| (layer, linear)));
    for (layer, linear) in slots.filter(|_| !as_ranks.is_empty()) {
        let [into, out] = model.features(linear, dense);
        let saves = |place: &usize| {
            let rank = items[as_ranks[place % as_ranks.len()]].dim;
            rank.saturating_mul(into + out) < into * out
        };
        let Some(place) = (next..next + as_ranks.len()).find(saves) else { continue };
        next = place + 1;
        let at = as_ranks[place % as_ranks.len()];
        let of = ranks.entry(linear).or_insert_with(|| vec![BTreeMap::new(); layers]);
        of[layer].insert(0, items[at].dim);
        assigned.places[at].push(Place { layer, linear: Some(linear), group: 0 });
    }
    let mut note = |places: &[usize], taken: &str| {
        if !places.is_empty() {
            let names: Vec<&str> = places.iter().map(|at| name_of(&items[*at])).collect();
            assigned.notes.push(format!("no module is named by {}: {taken}", some_of(&names)));
        }
    };
    note(&as_widths, "taken as widths of the MLP, given to the layers in turn");
    note(
        &as_ranks,
        "taken as ranks, given in turn to the linear layers in which they save weights",
    );
}

fn name_of(item: &Item) -> &str {
    item.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("one without a name")
}

fn some_of(names: &[&str]) -> String {
    const MOST: usize = 5;
    let more = names.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names[..names.len().min(MOST)].join(", ") + &more
}

/// Refuses what the model has no place for, by its name in the model.
pub fn check(assigned: &Assigned, model: &Architecture) -> Result<()> {
    for (linear, layers) in &assigned.ranks {
        for (layer, ranks) in layers.iter().enumerate() {
            if let Some(what) = model.misfit_of_ranks(*linear, ranks) {
                bail!("layer {layer}, {}: {what}", linear.path());
            }
        }
    }
    for (layer, width) in assigned.mlp_widths.iter().flatten().enumerate() {
        if let Some(what) = model.misfit_of_width(*width) {
            bail!("layer {layer}: {what}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
