//! The same file with other dimensions.
//!
//! Each number of the file is replaced by a number of its own, and that file is read: so the reader
//! itself says which of them are the dimensions, whatever the form.

use super::forms::delimiter;
use super::reader::read;
use anyhow::{Context, Result, ensure};
use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use serde_json::Value;

/// The file `text` with `dims` in place of its own dimensions, in their order.
pub fn replaced(text: &str, dims: &[usize]) -> Result<String> {
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().starts_with(['[', '{']) {
        true => json(text, dims),
        false => csv(text, dims),
    }
}

/// At which of its numbers the dimensions of a file lie, counted from 1.
fn places(numbered: &str, dims: &[usize]) -> Result<Vec<usize>> {
    let places: Vec<usize> = read(numbered)?.items.iter().map(|item| item.dim).collect();
    ensure!(places.len() == dims.len(), "the file has {} dimensions", places.len());
    Ok(places)
}

fn json(text: &str, dims: &[usize]) -> Result<String> {
    let mut value: Value = serde_json::from_str(text).context("no valid JSON")?;
    let original = value.clone();
    let mut count = 0;
    each_number(&mut value, &mut |number| {
        count += 1;
        *number = Value::from(count);
    });
    let places = places(&value.to_string(), dims)?;
    let mut value = original;
    let mut at = 0;
    each_number(&mut value, &mut |number| {
        at += 1;
        if let Some(of) = places.iter().position(|place| *place == at) {
            *number = Value::from(dims[of]);
        }
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn each_number(value: &mut Value, work: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Number(_) => work(value),
        Value::Array(items) => items.iter_mut().for_each(|item| each_number(item, work)),
        Value::Object(keys) => keys.values_mut().for_each(|item| each_number(item, work)),
        _ => {}
    }
}

fn csv(text: &str, dims: &[usize]) -> Result<String> {
    let delimiter = delimiter(text.lines().next().unwrap_or_default());
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let records: Vec<StringRecord> = reader.records().collect::<Result<_, _>>()?;
    let with = |of: &mut dyn FnMut(&str) -> Option<String>| -> Result<String> {
        let mut writer =
            WriterBuilder::new().flexible(true).delimiter(delimiter).from_writer(Vec::new());
        for record in &records {
            let is_number = |cell: &str| cell.trim().parse::<f64>().is_ok();
            let cells = record.iter().map(|cell| match is_number(cell) {
                true => of(cell).unwrap_or_else(|| cell.to_owned()),
                false => cell.to_owned(),
            });
            writer.write_record(cells.collect::<Vec<String>>())?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    };
    let mut count = 0;
    let numbered = with(&mut |_| {
        count += 1;
        Some(count.to_string())
    })?;
    let places = places(&numbered, dims)?;
    let mut at = 0;
    with(&mut |_| {
        at += 1;
        let of = places.iter().position(|place| *place == at)?;
        Some(dims[of].to_string())
    })
}
