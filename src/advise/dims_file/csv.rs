//! CSV: columns with names, or nothing but dimensions.

use super::super::input::Item;
use super::forms::{DIM, DimsFile, FORMS, NAME, delimiter, integer};
use anyhow::{Context, Result, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};
use indexmap::IndexSet;

pub fn read(text: &str) -> Result<DimsFile> {
    let first = text.lines().next().unwrap_or_default();
    let is_headed = first.contains(|c: char| c.is_alphabetic());
    let mut reader = ReaderBuilder::new()
        .has_headers(is_headed)
        .flexible(!is_headed)
        .delimiter(delimiter(first))
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let columns = is_headed.then(|| Columns::of(reader.headers()?)).transpose()?;
    let mut file = DimsFile { items: Vec::new(), left_out: IndexSet::new() };
    let mut without = 0;
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        match &columns {
            Some(columns) => match columns.item(&record).with_context(|| format!("line {line}"))? {
                Some(item) => file.items.push(item),
                None => without += 1,
            },
            None => {
                let items = record.iter().map(|cell| Item::of(None, dim(cell)?, None));
                let items: Result<Vec<Item>> = items.collect();
                file.items.extend(items.with_context(|| format!("line {line}"))?);
            }
        }
    }
    file.left_out.extend(columns.map(|columns| columns.unknown).unwrap_or_default());
    if without > 0 {
        file.left_out.insert(format!("{without} rows without a dimension"));
    }
    Ok(file)
}

struct Columns {
    dim: usize,
    name: Option<usize>,
    layer: Option<usize>,
    importance: Option<usize>,
    unknown: Vec<String>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Columns> {
        let names: Vec<&str> = header.iter().collect();
        let place = |known: &[&str]| names.iter().position(|name| known.contains(name));
        let shown = names.join(", ");
        let dims = names.iter().filter(|name| DIM.contains(name)).count();
        ensure!(dims > 0, "its columns are {shown}; one has to be dim: {FORMS}");
        ensure!(dims == 1, "its columns are {shown}; only one can be the dimension");
        let mut columns = Columns {
            dim: place(&DIM).context("a column of dimensions")?,
            name: place(&NAME),
            layer: place(&["layer"]),
            importance: place(&["importance"]),
            unknown: Vec::new(),
        };
        let is_read = |at: &usize| {
            *at == columns.dim
                || [columns.name, columns.layer, columns.importance].contains(&Some(*at))
        };
        // pandas writes its index as a column without a name.
        let others = names.iter().enumerate().filter(|(at, name)| !is_read(at) && !name.is_empty());
        columns.unknown = others.map(|(_, name)| format!("column {name}")).collect();
        Ok(columns)
    }

    /// None of a row without a dimension: a module that was left as it is.
    fn item(&self, record: &StringRecord) -> Result<Option<Item>> {
        let cell = |at: usize| record.get(at).filter(|cell| !cell.is_empty());
        let Some(found) = cell(self.dim) else { return Ok(None) };
        let importance = self.importance.and_then(cell);
        let importance = importance.map(|cell| {
            cell.parse::<f64>().with_context(|| format!("importance {cell:?}: a number from 0 up"))
        });
        let layer =
            self.layer.and_then(cell).map(|layer| match layer.parse().ok().and_then(integer) {
                Some(number) => format!("layers.{number}"),
                None => layer.to_owned(),
            });
        let name = self.name.and_then(cell).map(str::to_owned);
        let name: Vec<String> = layer.into_iter().chain(name).collect();
        let name = (!name.is_empty()).then(|| name.join("."));
        Item::of(name, dim(found)?, importance.transpose()?).map(Some)
    }
}

fn dim(cell: &str) -> Result<usize> {
    cell.parse().ok().and_then(integer).with_context(|| format!("{cell:?} is no dimension"))
}
