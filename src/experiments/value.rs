//! The values of a spec that check themselves as they are read, so that an error has its line and
//! column.

use crate::workload::limits::MAX_ELEMENTS;
use crate::workload::shape::DType;
use indexmap::IndexSet;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, SeqAccess, Unexpected,
    Visitor,
};
use serde::{Serialize, Serializer};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Deref;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Integer<const MIN: usize, const MAX: usize>(usize);

pub type Size = Integer<1, { MAX_ELEMENTS - 1 }>;

impl<const MIN: usize, const MAX: usize> Integer<MIN, MAX> {
    pub(crate) const fn new(value: usize) -> Self {
        assert!(MIN <= value && value <= MAX);
        Integer(value)
    }

    pub fn get(self) -> usize {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Integer<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Integer<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Range<const MIN: usize, const MAX: usize>;
        impl<const MIN: usize, const MAX: usize> Visitor<'_> for Range<MIN, MAX> {
            type Value = Integer<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "an integer from {MIN} to {MAX}")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                match usize::try_from(value) {
                    Ok(value) if (MIN..=MAX).contains(&value) => Ok(Integer(value)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(Range)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    pub(super) fn of_one(item: T) -> Self {
        List(vec![item])
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// An item that is none of these: an error of its own, so that it has the place of the item.
struct Another<'a, T>(&'a IndexSet<T>);

impl<'de, T: Deserialize<'de> + Eq + Hash> DeserializeSeed<'de> for Another<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let item = T::deserialize(deserializer)?;
        match self.0.get_index_of(&item) {
            None => Ok(item),
            Some(first) => Err(D::Error::custom(format!(
                "item {} is the same as item {}: each may stand once",
                self.0.len() + 1,
                first + 1
            ))),
        }
    }
}

impl<'de, T: Deserialize<'de> + Eq + Hash> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Eq + Hash> Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = IndexSet::new();
                while let Some(item) = seq.next_element_seed(Another(&items))? {
                    items.insert(item);
                }
                if items.is_empty() {
                    return Err(Error::custom("the list is empty: it needs at least one item"));
                }
                Ok(List(items.into_iter().collect()))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A name, or a list of distinct ones; written as it is read but for a list of one, a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrList<T>(List<T>);

impl<T> OneOrList<T> {
    pub(super) fn of_one(item: T) -> Self {
        OneOrList(List::of_one(item))
    }
}

impl<T> Deref for OneOrList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Serialize> Serialize for OneOrList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &**self {
            [one] => one.serialize(serializer),
            list => list.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de> + Eq + Hash> Deserialize<'de> for OneOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Eq + Hash> Visitor<'de> for Either<T> {
            type Value = OneOrList<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<OneOrList<T>, E> {
                T::deserialize(name.into_deserializer()).map(OneOrList::of_one)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrList<T>, A::Error> {
                List::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrList)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

// What the published suite takes where a key is absent.

pub(crate) fn one() -> Size {
    Size::new(1)
}

pub(super) fn fp16<T: From<DType>>() -> T {
    DType::Fp16.into()
}
