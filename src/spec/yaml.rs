//! Reads YAML text into a value, merge keys resolved, and finds the line of a place in it.
//!
//! A few lines of YAML may stand for gigabytes once aliases are followed, so reading has a budget.

use super::merge::{NOT_MERGED, merged};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Mapping, Value};
use std::cell::Cell;
use std::fmt;

const MAX_BYTES: usize = 16_000_000;
/// What a value counts beside its text: about what it takes in memory.
const VALUE_BYTES: usize = 64;

pub(super) const TOO_LARGE: &str = "more than 16 MB once its aliases are followed";
const TOO_DEEP: &str = "brackets within brackets, over a thousand deep";
const TWICE: &str = "stands twice";
const TAGGED: &str = "a tag (!name) is not known here";
/// What [`read`] refuses of valid YAML: how the messages end.
pub(super) const REFUSALS: [&str; 5] = [TOO_LARGE, TOO_DEEP, TWICE, TAGGED, NOT_MERGED];

/// The value of a text. All its keys are strings; none stands twice.
pub(super) fn read(text: &str) -> Result<Value, serde_yaml::Error> {
    if is_too_deep(text) {
        return Err(serde_yaml::Error::custom(TOO_DEEP));
    }
    visit(text, None, false)
}

/// In the parser below yaml_serde, time is the length times the depth of brackets. A bracket within
/// quotes or a comment closes none.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut quote, mut in_comment) = (0usize, None, false);
    let (mut before, mut is_escaped) = (b'\n', false);
    for byte in text.bytes() {
        // Within a word an apostrophe is one.
        let begins = before.is_ascii_whitespace() || b"[{,:".contains(&before);
        match (byte, quote) {
            (b'\n', _) if in_comment => in_comment = false,
            _ if in_comment => {}
            _ if is_escaped => is_escaped = false,
            (b'\\', Some(b'"')) => is_escaped = true,
            (b'[' | b'{', _) => depth += 1,
            (_, Some(open)) if byte == open => quote = None,
            (b']' | b'}', None) => depth = depth.saturating_sub(1),
            (b'\'' | b'"', None) if begins => quote = Some(byte),
            (b'#', None) if before.is_ascii_whitespace() => in_comment = true,
            _ => {}
        }
        if depth > 1000 {
            return true;
        }
        before = byte;
    }
    false
}

/// Line and column of the value at `place`, keys and indices, in a text that [`read`] accepts; or
/// of its key. Of a place that a merge filled, this is the nearest map around it in the text.
pub(super) fn locate(text: &str, place: &[Value], is_key: bool) -> (usize, usize) {
    let failure = visit(text, Some(place), is_key).err();
    failure.and_then(|error| error.location()).map_or((1, 1), |at| (at.line(), at.column()))
}

fn visit(text: &str, target: Option<&[Value]>, is_key: bool) -> Result<Value, serde_yaml::Error> {
    let reader = Reader { left: &Cell::new(MAX_BYTES), before: None, target, is_key };
    reader.deserialize(serde_yaml::Deserializer::from_str(text))
}

/// Reads a value, or a key. Where there is a target at or below it, fails there: yaml_serde gives
/// every error its line and column.
#[derive(Clone, Copy)]
struct Reader<'a> {
    left: &'a Cell<usize>,
    /// The map so far, where a key is read.
    before: Option<&'a Mapping>,
    target: Option<&'a [Value]>,
    is_key: bool,
}

impl Reader<'_> {
    fn at(self, step: &Value) -> Self {
        let rest = self.target.and_then(<[_]>::split_first).filter(|(first, _)| *first == step);
        Reader { target: rest.map(|(_, rest)| rest), ..self }
    }

    fn done<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        let value = value.into();
        let bytes = VALUE_BYTES + value.as_str().map_or(0, str::len);
        self.left.set(self.left.get().checked_sub(bytes).ok_or_else(|| E::custom(TOO_LARGE))?);
        let is_target = match self.before {
            Some(before) if before.contains_key(&value) => {
                let name = value.as_str().unwrap_or_default();
                return Err(E::custom(format!("the key {name:?} {TWICE}")));
            }
            Some(_) => self.is_key && self.at(&value).target.is_some_and(<[_]>::is_empty),
            // A target below that was not met on the way is not in the text.
            None => self.target.is_some(),
        };
        if is_target { Err(E::custom("here")) } else { Ok(value) }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.before {
            Some(_) => deserializer.deserialize_str(self),
            None => deserializer.deserialize_any(self),
        }
    }
}

macro_rules! scalars {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E: Error>(self, value: $type) -> Result<Value, E> {
            self.done(value)
        })*
    };
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    /// What is not visited below: a key that is no word, and integers of more than 64 bits.
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if self.before.is_some() { "a key" } else { "a number of at most 64 bits" })
    }

    scalars! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.done(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.done(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.at(&items.len().into()))? {
            items.push(item);
        }
        self.done(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut mapping = Mapping::new();
        while let Some(key) = map.next_key_seed(Reader { before: Some(&mapping), ..self })? {
            let value = map.next_value_seed(self.at(&key))?;
            mapping.insert(key, value);
        }
        self.done(merged(mapping)?)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom(TAGGED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_closes_no_bracket_hides_no_depth() {
        for deep in ["[", "[']', ", "[\"]\", ", "[\"\\\"]\", ", "[ # ]\n", "{a: '}',\nb: "] {
            assert!(is_too_deep(&deep.repeat(1001)), "{deep}");
        }
        for flat in ["[a], ", "[']'], ", "a: it's [x]\n", "# 'tis [\na: [1]\n", "[\"\\\"\"], "] {
            assert!(!is_too_deep(&flat.repeat(5000)), "{flat}");
        }
    }
}
