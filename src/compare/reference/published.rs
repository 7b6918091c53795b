//! Which runs a card is judged by: those that the user names, or the published night of its model.

use super::night::{self, Night, Stored};
use crate::compare::side::runs::NO_RUNS;
use anyhow::{Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is judged may be a run folder, or `<group>/<run id>` below it.
const DEPTH: usize = 2;

/// Nights lie in `<gpu>/<group>/<run id>`.
const DEPTH_OF_NIGHTS: usize = 3;

/// The runs that are judged: all of one GPU model, which is returned with them.
pub fn read_judged(path: &Path) -> Result<(String, Night)> {
    let stored = night::read(path, DEPTH, None)?;
    let shown = path.display();
    ensure!(!stored.is_empty(), "{shown}: {NO_RUNS}");
    let models = models(&stored);
    let model = match &models.iter().collect::<Vec<_>>()[..] {
        [] => bail!("{shown} was measured on a CPU; --reference judges a GPU by another"),
        [model] => (*model).clone(),
        _ => bail!("{shown} has runs of several models: {}; judge them apart", listed(&models)),
    };
    let on_cpu = stored.iter().any(|(run, _)| run.model.is_none());
    ensure!(!on_cpu, "{shown} has runs of a CPU beside those of {model}; judge them apart");
    Ok((model, Night::of(shown.to_string(), stored)))
}

/// Runs of `model` that the user named.
pub fn read_named(path: &Path, model: &str) -> Result<Night> {
    let stored = night::read(path, DEPTH_OF_NIGHTS, Some(model))?;
    let shown = path.display();
    of_model(shown.to_string(), stored, model).or_else(|models| {
        bail!("--reference: {shown} has no run of {model}; it has runs of {}", listed(&models))
    })
}

/// The night of `model` in the first of these folders that has one.
pub fn read_published(places: &[PathBuf], model: &str) -> Result<Night> {
    let mut known = BTreeSet::new();
    for place in places.iter().filter(|place| place.is_dir()) {
        let stored = night::read(place, DEPTH_OF_NIGHTS, Some(model))?;
        match of_model(place.display().to_string(), stored, model) {
            Ok(night) => return Ok(night),
            Err(models) => known.extend(models),
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let places = places.join(" or ");
    let advice = "name runs of another card of this model: --reference=RUNS";
    ensure!(!known.is_empty(), "--reference: no night is published in {places}; {advice}");
    bail!(
        "--reference: no night of {model} is published in {places}, but of {}; {advice}",
        listed(&known)
    )
}

/// The runs of `model`, or else the models that there are.
fn of_model(name: String, stored: Vec<Stored>, model: &str) -> Result<Night, BTreeSet<String>> {
    let models = models(&stored);
    let own = stored.into_iter().filter(|(run, _)| run.model.as_deref() == Some(model));
    let own: Vec<Stored> = own.collect();
    if own.is_empty() { Err(models) } else { Ok(Night::of(name, own)) }
}

fn models(stored: &[Stored]) -> BTreeSet<String> {
    stored.iter().filter_map(|(run, _)| run.model.clone()).collect()
}

fn listed(models: &BTreeSet<String>) -> String {
    match models.is_empty() {
        true => "no GPU".to_owned(),
        false => models.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}
