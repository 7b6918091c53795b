//! What the user hands over: run folders, dimensions, a percentage.

use crate::files;
use crate::results::raw::Raw;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::path::Path;

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub name: Option<String>,
    pub dim: usize,
    /// What a budget has to pay for making it smaller: at 1, losing 1 % of it weighs as much as 1 %
    /// of its time.
    pub importance: f64,
}

const IMPORTANCE: f64 = 1.0;

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Dim(usize),
    Named(Named),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: Option<String>,
    dim: usize,
    importance: Option<f64>,
}

impl Entry {
    fn check(self) -> Result<Item> {
        let Named { name, dim, importance } = match self {
            Entry::Dim(dim) => Named { name: None, dim, importance: None },
            Entry::Named(named) => named,
        };
        let importance = importance.unwrap_or(IMPORTANCE);
        ensure!((1..=MAX_DIM).contains(&dim), "{dim}: a dimension is from 1 to {MAX_DIM}");
        ensure!(
            importance.is_finite() && importance >= 0.0,
            "importance {importance}: a number from 0 up"
        );
        Ok(Item { name, dim, importance })
    }
}

/// No dimension is larger: sums of many still fit.
const MAX_DIM: usize = 1 << 24;

pub fn read_run(path: &Path) -> Result<Raw> {
    let file = if path.is_dir() { path.join("raw.json") } else { path.to_owned() };
    let bytes = files::read(&file, files::RUN_BYTES)
        .with_context(|| format!("cannot read {}: a run folder has a raw.json", file.display()))?;
    let raw: Raw = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no raw.json of a run", file.display()))?;
    ensure!(
        raw.schema_version.starts_with("2."),
        "{}: schema version {}, this program reads 2.x",
        file.display(),
        raw.schema_version
    );
    Ok(raw)
}

/// `107,113,121`.
pub fn dims(text: &str) -> Result<Vec<Item>> {
    text.split(',')
        .map(|dim| {
            let dim = dim.trim();
            let dim = dim
                .parse()
                .with_context(|| format!("{dim:?} is no dimension; a list is like 107,113,121"))?;
            Entry::Dim(dim).check()
        })
        .collect()
}

/// A JSON list of numbers or of `{name, dim, importance}`, name and importance optional; or CSV
/// with such columns, or with nothing but dimensions.
pub fn dims_file(text: &str) -> Result<Vec<Item>> {
    // A byte-order mark is what spreadsheets put first.
    let text = text.trim_start_matches('\u{feff}');
    let json = text.trim_start().starts_with(['[', '{']);
    let items = if json { from_json(text)? } else { from_csv(text)? };
    ensure!(!items.is_empty(), "there is no dimension in it");
    Ok(items)
}

fn from_json(text: &str) -> Result<Vec<Item>> {
    let entries: Vec<serde_json::Value> = serde_json::from_str(text)
        .context("a JSON list is like [107, {\"name\": \"layer 3\", \"dim\": 113}]")?;
    let item = |(at, value): (usize, serde_json::Value)| {
        let shown = value.to_string();
        let entry = serde_json::from_value::<Entry>(value).ok().with_context(|| {
            format!("entry {} is {shown}, not a dimension or {{name, dim, importance}}", at + 1)
        })?;
        entry.check().with_context(|| format!("entry {}", at + 1))
    };
    entries.into_iter().enumerate().map(item).collect()
}

fn from_csv(text: &str) -> Result<Vec<Item>> {
    let headed = text.lines().next().is_some_and(|line| line.contains(|c: char| c.is_alphabetic()));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(headed)
        .flexible(!headed)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut items = Vec::new();
    if headed {
        let columns = reader.headers()?;
        if !columns.iter().any(|column| column == "dim") {
            let columns: Vec<&str> = columns.iter().collect();
            bail!("its columns are {}; one has to be dim", columns.join(", "));
        }
        for named in reader.deserialize::<Named>() {
            items.push(Entry::Named(named?).check()?);
        }
    } else {
        for line in reader.deserialize::<Vec<usize>>() {
            for dim in line? {
                items.push(Entry::Dim(dim).check()?);
            }
        }
    }
    Ok(items)
}

pub fn percentage(text: &str) -> Result<f64> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => bail!("{text:?} is no percentage from 0% to 100%, like 10%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: Option<&str>, dim: usize, importance: f64) -> Item {
        Item { name: name.map(str::to_owned), dim, importance }
    }

    #[test]
    fn lists_are_read_however_they_are_written() {
        let plain = vec![item(None, 107, 1.0), item(None, 113, 1.0)];
        assert_eq!(dims("107, 113").unwrap(), plain);
        for text in
            ["[107, 113]", "107\n113\n", "\u{feff}107\r\n113\r\n", "dim\n107\n113", "107,113"]
        {
            assert_eq!(dims_file(text).unwrap(), plain, "{text:?}");
        }
        let named = vec![item(Some("q, first"), 107, 2.5), item(Some("v"), 113, 1.0)];
        for text in [
            r#"[{"name": "q, first", "dim": 107, "importance": 2.5}, {"name": "v", "dim": 113}]"#,
            "importance,name,dim\n2.5,\"q, first\",107\n,v,113\n",
        ] {
            assert_eq!(dims_file(text).unwrap(), named, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_dimensions_is_refused() {
        for (text, says) in [
            ("", "no dimension in it"),
            ("[]", "no dimension in it"),
            ("dim\n", "no dimension in it"),
            ("[107, -3]", "entry 2"),
            ("[107, 1.5]", "entry 2 is 1.5"),
            ("[0]", "0: a dimension is from 1"),
            (r#"[{"dim": 8, "importance": -1}]"#, "importance -1"),
            (r#"[{"dim": 8, "importence": 1}]"#, "entry 1"),
            (r#"{"dim": 8}"#, "a JSON list is like"),
            ("name,size\na,3", "one has to be dim"),
            ("107\nx", "line: 2"),
            ("107,\n", "line: 1"),
            ("dim,importance\n8,NaN", "importance NaN"),
        ] {
            let error = format!("{:#}", dims_file(text).unwrap_err());
            assert!(error.contains(says), "{text:?}: {error}");
        }
        for text in ["", "107,", "1e2", "0", "-1", "99999999999999999999"] {
            assert!(dims(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_percentage_has_its_sign() {
        assert_eq!(percentage("10%").unwrap(), 0.1);
        assert_eq!(percentage(" 4.7 % ").unwrap(), 0.047);
        for text in ["0.1", "10", "-1%", "101%", "NaN%", "%", ""] {
            let error = percentage(text).unwrap_err().to_string();
            assert!(error.contains("like 10%"), "{error}");
        }
    }
}
