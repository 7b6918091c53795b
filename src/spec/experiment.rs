//! An experiment: one entry of a spec, whatever its type.

use super::common::Common;
use crate::experiments::check::Problem;
use crate::experiments::sweep::{Sweep, Type};
use crate::measure::record::Protocol;
use crate::workload::case::Case;
use crate::workload::operation::Operation;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: String,
    pub kind: &'static Type,
    pub sweep: Arc<dyn Sweep>,
    pub description: Option<String>,
    /// Where the sizes come from, in keys of the author's choice.
    pub provenance: Option<Map<String, Value>>,
    pub protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Experiment(Box<Experiment>),
    /// One of a type of the published suite, or of somebody's own, that is not run here.
    OtherType(String),
}

impl Entry {
    pub fn experiment(&self) -> Option<&Experiment> {
        match self {
            Entry::Experiment(experiment) => Some(experiment),
            Entry::OtherType(_) => None,
        }
    }
}

impl PartialEq for Experiment {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.to_json() == other.to_json()
    }
}

impl Experiment {
    pub fn group(&self) -> String {
        self.kind.group.to_owned()
    }

    pub fn bench_target(&self) -> &'static str {
        self.kind.bench
    }

    pub fn cases(&self) -> Vec<Case> {
        self.sweep.cases(self.kind.group)
    }

    /// The entry as run, in the keys of the YAML, defaults filled in.
    pub fn to_json(&self) -> Value {
        let mut keys = Map::from_iter([("type".to_owned(), Value::from(self.kind.name))]);
        let more = json!({ "description": self.description, "provenance": self.provenance });
        let dims = self.sweep.dims().map(|dims| dims.filled()).unwrap_or_default();
        for part in [self.sweep.to_json(), dims.into(), more, json!(self.protocol)] {
            if let Value::Object(part) = part {
                keys.extend(part.into_iter().filter(|(_, value)| !value.is_null()));
            }
        }
        Value::Object(keys)
    }

    pub(super) fn new(
        name: &str,
        kind: &'static Type,
        sweep: Box<dyn Sweep>,
        common: Common,
    ) -> Result<Self, Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let starts_with_a_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_with_a_letter || name.len() > 64 || !name.chars().all(plain) {
            return Err(
                "the name stands in ids and folders; allowed are up to 64 letters, digits \
                        or any of _.-, a letter first"
                    .to_owned(),
            );
        }
        sweep.check()?;
        let (name, sweep, protocol) = (name.to_owned(), sweep.into(), common.protocol());
        let Common { description, provenance, .. } = common;
        Ok(Experiment { name, kind, sweep, description, provenance, protocol })
    }

    /// Refuses ids that an entry before this one has for something else: Criterion would compare
    /// the two.
    pub(super) fn check_ids<'a>(
        &self,
        before: impl Iterator<Item = &'a Experiment>,
    ) -> Result<(), Problem> {
        let alike: Vec<&Experiment> =
            before.filter(|other| other.group() == self.group()).collect();
        if alike.is_empty() {
            return Ok(());
        }
        let cases = self.cases();
        let own: HashMap<&str, &Operation> =
            cases.iter().map(|case| (&*case.id, &case.operation)).collect();
        for other in alike {
            let is_other =
                |case: &Case| own.get(&*case.id).is_some_and(|op| **op != case.operation);
            if let Some(case) = other.cases().into_iter().find(is_other) {
                let (id, other) = (&case.id, &other.name);
                return Err(format!("{other} has the id {id} for something else: rename one"));
            }
        }
        Ok(())
    }
}
