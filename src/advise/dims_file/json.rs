//! JSON: a list of dimensions, or what a compression left of each module.

use super::super::input::Item;
use super::forms::{DIM, DimsFile, FORMS, NAME, integer};
use anyhow::{Context, Result, bail, ensure};
use indexmap::IndexSet;
use serde_json::{Map, Value};

/// Keys below which the modules of a file lie, whatever else is in it.
const WRAPPERS: [&str; 9] = [
    "head_wise_ranks",
    "truncation_ranks",
    "rank_config",
    "ranks",
    "layer_ranks",
    "layer_widths",
    "widths",
    "aligned_config",
    "dims",
];

pub fn read(text: &str) -> Result<DimsFile> {
    let mut file = DimsFile { items: Vec::new(), left_out: IndexSet::new() };
    match serde_json::from_str(text).context("no valid JSON")? {
        Value::Array(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                let item = entry_of(entry, &mut file.left_out);
                file.items.push(item.with_context(|| format!("entry {}", at + 1))?);
            }
        }
        Value::Object(map) => modules(&map, &mut file.items)?,
        other => bail!("{} is no list of dimensions; {FORMS}", shown(&other)),
    }
    Ok(file)
}

/// A number, or a map of name, dim and importance.
fn entry_of(entry: &Value, left_out: &mut IndexSet<String>) -> Result<Item> {
    let Value::Object(keys) = entry else { return Item::of(None, dim(entry)?, None) };
    let (mut name, mut found, mut importance) = (None, None, None);
    for (key, value) in keys {
        match key.as_str() {
            key if DIM.contains(&key) => {
                ensure!(found.is_none(), "{} has two dimensions", shown(entry));
                found = Some(dim(value)?);
            }
            key if NAME.contains(&key) => name = value.as_str().map(str::to_owned),
            "importance" => {
                let number = || value.as_f64().with_context(|| format!("importance {value}"));
                importance = (!value.is_null()).then(number).transpose()?;
            }
            _ => drop(left_out.insert(format!("key {key}"))),
        }
    }
    let found = found.with_context(|| format!("{} has no dim; {FORMS}", shown(entry)))?;
    Item::of(name, found, importance)
}

fn modules(map: &Map<String, Value>, items: &mut Vec<Item>) -> Result<()> {
    let is_wrapper =
        |(key, value): &(&String, &Value)| WRAPPERS.contains(&key.as_str()) && value.is_object();
    let wrappers: Vec<(&String, &Value)> = map.iter().filter(is_wrapper).collect();
    match wrappers[..] {
        [(_, below)] => return below_of("", below, items),
        [(one, _), (other, _), ..] => bail!("it has {one} and {other}: leave one of them"),
        [] => {}
    }
    if let Some(Value::Array(blocks)) = map.get("block_configs") {
        return widths(blocks, items);
    }
    ensure!(!map.contains_key("dim"), "one {{name, dim}} stands in a list, [...]; {FORMS}");
    map.iter().try_for_each(|(name, value)| below_of(name, value, items))
}

/// The dimensions of a module, or of the modules of a layer.
fn below_of(name: &str, value: &Value, items: &mut Vec<Item>) -> Result<()> {
    let mut add = |name: String, value: &Value| -> Result<()> {
        let dim = dim(value).with_context(|| name.clone())?;
        items.push(Item::of(Some(name.clone()), dim, None).with_context(|| name)?);
        Ok(())
    };
    match value {
        Value::Object(below) => below.iter().try_for_each(|(key, value)| {
            let dot = if name.is_empty() { "" } else { "." };
            below_of(&format!("{name}{dot}{key}"), value, items)
        }),
        Value::Array(groups) => match &groups[..] {
            [one] => add(name.to_owned(), one),
            groups => {
                let mut groups = groups.iter().enumerate();
                groups.try_for_each(|(at, dim)| add(format!("{name}[{at}]"), dim))
            }
        },
        one => add(name.to_owned(), one),
    }
}

/// The widths of the layers of a Puzzletron, but for those without an MLP.
fn widths(blocks: &[Value], items: &mut Vec<Item>) -> Result<()> {
    for (layer, block) in blocks.iter().enumerate() {
        let width = &block["ffn"]["intermediate_size"];
        if !width.is_null() {
            below_of(&format!("model.layers.{layer}.mlp.intermediate_size"), width, items)?;
        }
    }
    ensure!(!items.is_empty(), "no entry of block_configs has ffn.intermediate_size");
    Ok(())
}

fn dim(value: &Value) -> Result<usize> {
    value
        .as_f64()
        .and_then(integer)
        .with_context(|| format!("{} is no dimension: a rank or a width is; {FORMS}", shown(value)))
}

/// As JSON, bounded.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let cut = if text.chars().nth(60).is_some() { "..." } else { "" };
    text.chars().take(60).collect::<String>() + cut
}
