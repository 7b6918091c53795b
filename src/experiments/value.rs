//! The values of a spec that check themselves as they are read, so that an error has its line and
//! column.

use crate::workload::limits::MAX_ELEMENTS;
use crate::workload::shape::DType;
use indexmap::IndexSet;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{
    Deserialize, Deserializer, Error, IntoDeserializer, SeqAccess, Unexpected, Visitor,
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

/// `[lo, hi]`, both included, with `lo <= hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DimRange {
    lo: Size,
    hi: Size,
}

impl DimRange {
    pub fn hi(self) -> usize {
        self.hi.get()
    }

    /// The values `step_1` apart from `lo` up to `boundary`, then those `step_2` apart above it.
    ///
    /// As in the published suite the second part counts from `boundary`, whatever the last value of
    /// the first: `boundary + step_2`, `boundary + 2 * step_2`, ... A range that starts above
    /// `boundary` has those of them that lie in it, which may be none.
    pub(super) fn stepped(
        self,
        boundary: usize,
        step_1: Size,
        step_2: Size,
    ) -> impl Iterator<Item = usize> {
        let (lo, hi, step_2) = (self.lo.get(), self.hi.get(), step_2.get());
        let second = boundary + step_2;
        let skipped = lo.saturating_sub(second).div_ceil(step_2);
        (lo..=hi.min(boundary))
            .step_by(step_1.get())
            .chain((second + skipped * step_2..=hi).step_by(step_2))
    }
}

impl Serialize for DimRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.lo, self.hi].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DimRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = DimRange;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a range [lo, hi] of two integers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<DimRange, A::Error> {
                let lo: Size =
                    seq.next_element()?.ok_or_else(|| Error::invalid_length(0, &self))?;
                let hi = seq.next_element()?.ok_or_else(|| Error::invalid_length(1, &self))?;
                if lo > hi {
                    return Err(Error::custom(format!(
                        "the range [{lo}, {hi}] is empty: it has to be [lo, hi] with lo <= hi"
                    )));
                }
                Ok(DimRange { lo, hi })
            }
        }
        deserializer.deserialize_seq(Pair)
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
                while let Some(item) = seq.next_element()? {
                    if let (first, false) = items.insert_full(item) {
                        return Err(Error::custom(format!(
                            "item {} is the same as item {}: each may stand once",
                            items.len() + 1,
                            first + 1
                        )));
                    }
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

/// The last value of a range that is `step_1` from the one before.
pub const BOUNDARY: usize = 128;

pub(super) fn boundary() -> Size {
    Size::new(BOUNDARY)
}

pub(super) fn one() -> Size {
    Size::new(1)
}

pub(super) fn two() -> Size {
    Size::new(2)
}

pub(super) fn fp16<T: From<DType>>() -> T {
    DType::Fp16.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(lo: usize, hi: usize) -> DimRange {
        serde_yaml::from_str(&format!("[{lo}, {hi}]")).unwrap()
    }

    #[test]
    fn the_published_steps() {
        let (one, two) = (Size::new(1), Size::new(2));
        let s1: Vec<usize> = range(64, 160).stepped(128, one, two).collect();
        assert_eq!(s1, (64..=128).chain((130..=160).step_by(2)).collect::<Vec<_>>());
        assert_eq!(s1.len(), 81);
        let extended: Vec<usize> = range(129, 256).stepped(160, one, two).collect();
        assert_eq!(extended, (129..=160).chain((162..=256).step_by(2)).collect::<Vec<_>>());
        assert_eq!(extended.len(), 80);
    }

    #[test]
    fn the_second_part_counts_from_the_boundary() {
        let above: Vec<usize> = range(133, 150).stepped(128, Size::new(1), Size::new(8)).collect();
        assert_eq!(above, [136, 144]);
        assert_eq!(range(129, 129).stepped(128, Size::new(1), Size::new(2)).count(), 0);
        let coarse_first: Vec<usize> =
            range(64, 140).stepped(128, Size::new(50), Size::new(4)).collect();
        assert_eq!(coarse_first, [64, 114, 132, 136, 140]);
    }

    proptest! {
        #[test]
        fn steps_are_sorted_unique_and_in_range(
            lo in 1..500usize, length in 0..500usize, boundary in 1..1000usize,
            step_1 in 1..40usize, step_2 in 1..40usize,
        ) {
            let hi = lo + length;
            let dims: Vec<usize> =
                range(lo, hi).stepped(boundary, Size::new(step_1), Size::new(step_2)).collect();
            prop_assert!(dims.is_sorted_by(|a, b| a < b));
            prop_assert!(dims.iter().all(|dim| (lo..=hi).contains(dim)));
            let above = lo.saturating_sub(boundary).next_multiple_of(step_2);
            let first = if lo <= boundary { lo } else { boundary + above };
            prop_assert_eq!(dims.first(), Some(&first).filter(|first| **first <= hi));
            prop_assert!(dims.last().is_none_or(|last| last + step_1 + step_2 > hi));
        }
    }
}
