//! Reads the entries of a spec, each straight into the struct of its type, so that errors keep their location.
//!
//! Serde's own ways to choose a struct by a `type` key, or to share keys between structs, buffer the values and
//! lose where they stood. So the types are read first ([`Types`]), and the keys that every type has are taken out
//! of the map on the way ([`OwnKeys`]).

use super::Entry;
use super::error::nearest;
use super::experiment::{Experiment, Kind};
use super::value::Integer;
use crate::measure::record::{Protocol, ProtocolKind};
use crate::workload::limits::MAX_TRIALS;
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor,
};
use std::fmt;

/// The file as far as the type of each entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {experiments: {NAME: {type, ...}}}")]
pub(super) struct Types {
    experiments: IndexMap<String, TypeOnly>,
}

#[derive(Deserialize)]
#[serde(expecting = "a map {type, ...}")]
struct TypeOnly {
    #[serde(rename = "type")]
    name: String,
}

/// The keys that an entry of any type may have.
pub(super) struct Common {
    pub(super) description: Option<String>,
    pub(super) protocol: Protocol,
}

impl Common {
    const KEYS: [&str; 6] = ["type", "description", "protocol", "warmup", "measure", "trials"];

    /// The published defaults.
    fn new() -> Self {
        let protocol =
            Protocol { kind: ProtocolKind::Standard, warmup: 50, measure: 200, trials: 3 };
        Common { description: None, protocol }
    }

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "description" => self.description = Some(map.next_value()?),
            "protocol" => self.protocol.kind = map.next_value()?,
            "warmup" => self.protocol.warmup = map.next_value::<Integer<0, 1_000_000>>()?.get(),
            "measure" => self.protocol.measure = map.next_value::<Integer<1, 1_000_000>>()?.get(),
            "trials" => self.protocol.trials = map.next_value::<Integer<1, MAX_TRIALS>>()?.get(),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// Reads a map with the visitor `V`.
struct Map<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Map<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

impl Types {
    /// Reads the entries of the file whose types these are.
    pub(super) fn entries<'de, D: Deserializer<'de>>(
        &self,
        file: D,
    ) -> Result<IndexMap<String, Entry>, D::Error> {
        file.deserialize_map(Document(&self.experiments))
    }
}

/// `experiments: {...}`, which is all that [`Types`] lets a file hold.
struct Document<'a>(&'a IndexMap<String, TypeOnly>);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = IndexMap<String, Entry>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map {experiments: ...}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        match map.next_key::<IgnoredAny>()? {
            Some(_) => map.next_value_seed(Map(Experiments(self.0))),
            None => Err(A::Error::missing_field("experiments")),
        }
    }
}

struct Experiments<'a>(&'a IndexMap<String, TypeOnly>);

impl<'de> Visitor<'de> for Experiments<'_> {
    type Value = IndexMap<String, Entry>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map {NAME: {type, ...}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = IndexMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let type_name = self.0.get(&name).map_or("", |entry| &entry.name);
            let entry = map.next_value_seed(Map(OneEntry { name: &name, type_name }))?;
            entries.insert(name, entry);
        }
        if entries.is_empty() {
            return Err(A::Error::custom("there is no experiment"));
        }
        Ok(entries)
    }
}

struct OneEntry<'a> {
    name: &'a str,
    type_name: &'a str,
}

impl<'de> Visitor<'de> for OneEntry<'_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map {type, ...}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        if nearest(self.type_name, &Kind::TYPES).is_none() {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Entry::OtherType(self.type_name.to_owned()));
        }
        let mut common = Common::new();
        let keys = OwnKeys { map, common: &mut common };
        match Kind::read(self.type_name, MapAccessDeserializer::new(keys))? {
            Some(kind) => Experiment::new(self.name, kind, common)
                .map(|experiment| Entry::Experiment(Box::new(experiment)))
                .map_err(A::Error::custom),
            None => Err(A::Error::unknown_variant(self.type_name, &Kind::TYPES)),
        }
    }
}

/// The keys of a type, with those of [`Common`] taken out.
struct OwnKeys<'a, A> {
    map: A,
    common: &'a mut Common,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for OwnKeys<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        mut seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(KeySeed(seed))? {
                None => return Ok(None),
                Some(Key::Own(key)) => return Ok(Some(key)),
                Some(Key::Common(key, unused)) => {
                    self.common.read(key, &mut self.map)?;
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<V, S> {
    Own(V),
    Common(&'static str, S),
}

struct KeySeed<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<S> {
    type Value = Key<S::Value, S>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for KeySeed<S> {
    type Value = Key<S::Value, S>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if let Some(common) = Common::KEYS.iter().find(|common| **common == key) {
            return Ok(Key::Common(common, self.0));
        }
        // The only error there is here is of an unknown key, and serde's text of it ends in the keys of the type.
        self.0.deserialize(key.into_deserializer()).map(Key::Own).map_err(|error: E| {
            let common: Vec<String> = Common::KEYS.iter().map(|key| format!("`{key}`")).collect();
            E::custom(format!("{error}, {}", common.join(", ")))
        })
    }
}
