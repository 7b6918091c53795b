//! The same file with other dimensions.
//!
//! Each number of the file is replaced by a number of its own, and that file is read: so the reader
//! itself says which of them are the dimensions, whatever the form.

use super::{delimiter, read};
use anyhow::{Context, Result, ensure};
use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use serde_json::Value;

/// The file `text` with `dims` in place of its own dimensions, in its order.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_replaced(text: &str, dims: &[usize], expected: &str) {
        let found = replaced(text, dims).unwrap();
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&found), plain(expected));
        let again: Vec<usize> = read(&found).unwrap().items.iter().map(|item| item.dim).collect();
        assert_eq!(again, dims);
    }

    #[test]
    fn every_form_keeps_what_is_no_dimension() {
        assert_replaced("[107, 113]", &[112, 128], "[112, 128]");
        assert_replaced(
            r#"[{"name": "L0.k_proj", "importance": 107, "dim": 107}]"#,
            &[112],
            r#"[{"name": "L0.k_proj", "importance": 107, "dim": 112}]"#,
        );
        let palu =
            r#"{"layers": 32, "head_wise_ranks": {"model.layers.0.self_attn.k_proj": [1, 2]}}"#;
        assert_replaced(palu, &[8, 16], &palu.replace("[1, 2]", "[8, 16]"));
        let csv = "layer,name,dim,importance\n3,k_proj,107,107\n4,k_proj,113,1\n";
        assert_replaced(
            csv,
            &[112, 128],
            &csv.replace("k_proj,107", "k_proj,112").replace("113", "128"),
        );
        assert_replaced("107;113\n", &[112, 120], "112;120\n");
    }
}
