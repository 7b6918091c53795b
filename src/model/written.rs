//! The advised dimensions of a run, in the form of the file that the model came with.

use super::assign::Place;
use crate::advise::dims_file;
use crate::advise::input::Item;
use crate::experiments::model_layers::architecture::{Architecture, Linear};
use crate::results::folder;
use crate::results::model::ModuleLoss;
use crate::results::read;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::Path;

/// A file, and what to know of it.
pub struct Written {
    pub text: String,
    pub changed: usize,
    pub notes: Vec<String>,
}

/// What the run of a folder advises, module by module.
pub fn read(dir: &Path) -> Result<Vec<ModuleLoss>> {
    let file = folder::summary(dir);
    let model = read::summary(dir)?.model;
    Ok(model.with_context(|| format!("{} is no run of a model", file.display()))?.modules)
}

/// The file `text`, whose `items` went to `places`, with what the run advises.
pub fn advised(
    modules: &[ModuleLoss],
    text: &str,
    items: &[Item],
    places: &[Vec<Place>],
    model: &Architecture,
) -> Result<Written> {
    let mut advised: HashMap<(usize, &str), &ModuleLoss> = HashMap::new();
    for module in modules {
        advised.extend(module.layers.iter().map(|layer| ((*layer, &*module.module), module)));
    }
    let (mut dense, mut within, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut dims = Vec::new();
    for (item, places) in items.iter().zip(places) {
        let name = item.name.as_deref().unwrap_or("a dimension");
        let mut found: Vec<usize> = Vec::new();
        for place in places {
            let is_dense = item.dim == model.intermediate_size.get();
            if place.linear.is_none() && is_dense {
                continue;
            }
            let named = || match places.len() {
                1 => name.to_owned(),
                _ => format!("{name} in layer {}", place.layer),
            };
            let path = place.linear.map_or_else(|| "mlp".to_owned(), Linear::path);
            let module = advised.get(&(place.layer, &*path));
            let is_within = path.starts_with("mlp.") && advised.contains_key(&(place.layer, "mlp"));
            match module.map(|module| &module.advised) {
                None if is_within => within.push(named()),
                None => bail!(
                    "the run has no advice for {name}: it is of another model, or lacks a time"
                ),
                Some(Some(dims)) => found.push(
                    fitting(dims, place, model)
                        .with_context(|| format!("the run's advice for {name}"))?,
                ),
                Some(None) => dense.push(named()),
            }
        }
        found.sort_unstable();
        found.dedup();
        if found.len() > 1 {
            notes.push(format!("{name}: advised are {found:?}, by layer; the largest is written"));
        }
        dims.push(found.last().copied().unwrap_or(item.dim));
    }
    notes.extend(left("the dense layer is advised", &dense));
    notes.extend(left("the width of the MLP was cut too", &within));
    let changed = items.iter().zip(&dims).filter(|(item, dim)| item.dim != **dim).count();
    Ok(Written { text: dims_file::replaced(text, &dims)?, changed, notes })
}

/// Of the dims that are advised for a module that of a place; the model has to have room for it.
fn fitting(dims: &[usize], place: &Place, model: &Architecture) -> Result<usize> {
    let misfit = match place.linear {
        Some(linear) => model.misfit_of_ranks(linear, dims),
        None => dims.iter().find_map(|width| model.misfit_of_width(*width)),
    };
    match (dims.get(place.group), misfit) {
        (_, Some(misfit)) => bail!("{misfit}: it is of another model"),
        (None | Some(0), None) => bail!("{dims:?} has no dimension for it: it is of another model"),
        (Some(dim), None) => Ok(*dim),
    }
}

/// Ranks that are left as they are: a model has hundreds.
fn left(why: &str, ranks: &[String]) -> Option<String> {
    const NAMED: usize = 5;
    let named = ranks.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if ranks.len() > NAMED { ", ..." } else { "" };
    let count = match ranks.len() {
        0 => return None,
        1 => "1 rank is".to_owned(),
        n => format!("{n} ranks are"),
    };
    Some(format!("{why}: {count} left ({named}{more})"))
}
