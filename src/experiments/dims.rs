//! The dimension that an entry sweeps: a range with steps, or a list.

use super::check::{self, Problem, problem};
use super::value::{List, Size};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// How a type calls the keys of its dimension.
#[derive(Debug)]
pub struct DimKeys {
    pub range: &'static str,
    pub list: &'static str,
    /// The value where the step changes.
    pub boundary: &'static str,
    pub steps: [&'static str; 2],
}

/// What an entry gives of the keys of its dimension.
#[derive(Clone, Copy, Debug)]
pub struct Dims<'a> {
    pub keys: &'static DimKeys,
    pub range: Option<DimRange>,
    pub list: Option<&'a List<Size>>,
    pub boundary: Option<Size>,
    pub steps: [Option<Size>; 2],
}

/// The last value of a range that is the first step from the one before, where the entry says
/// nothing else, as in the published suite.
const BOUNDARY: Size = Size::new(128);
const STEP_1: Size = Size::new(1);
const STEP_2: Size = Size::new(2);

impl<'a> Dims<'a> {
    /// Refuses what is not one range or one list, and more cases than anyone would wait for; a case
    /// for each point on each of the `curves`.
    pub fn check(self, curves: usize) -> Result<(), Problem> {
        let DimKeys { range, list, .. } = self.keys;
        match (self.range, self.list) {
            (None, None) => {
                Err(format!("the key {range:?} is missing; {list:?}, a list, may stand for it"))
            }
            (Some(_), Some(_)) => Err(problem(list, format!("{range} is given too: give one"))),
            (Some(_), None) => check::cases(range, self.points(), curves),
            (None, Some(_)) => match self.given().next() {
                Some((key, _)) => {
                    Err(problem(key, format!("it is for {range}: {list} names each value")))
                }
                None => check::cases(list, self.points(), curves),
            },
        }
    }

    /// The values, those of a list in its order.
    pub fn points(self) -> impl Iterator<Item = usize> + use<'a> {
        let Dims { range, list, boundary, steps, .. } = self;
        let stepped = move |range: DimRange| range.stepped(boundary.unwrap_or(BOUNDARY), steps);
        let listed = list.into_iter().flatten().map(|dim| dim.get());
        listed.chain(range.into_iter().flat_map(stepped))
    }

    pub fn largest(self) -> usize {
        let of_list = self.list.into_iter().flatten().map(|dim| dim.get());
        of_list.chain(self.range.map(|range| range.hi.get())).max().unwrap_or(1)
    }

    /// The keys beside the range with what counts where they are absent.
    pub fn filled(self) -> Map<String, Value> {
        let Some(range) = self.range else { return Map::new() };
        let boundary = self.boundary.unwrap_or(BOUNDARY);
        let DimKeys { boundary: key, steps: [step_1, step_2], .. } = *self.keys;
        let mut keys = vec![(key, boundary)];
        // A step that does not count stays absent: see `stepped`.
        if range.lo <= boundary {
            keys.extend([(step_1, STEP_1), (step_2, STEP_2)]);
        } else if self.steps[1].is_none() {
            keys.push((step_1, STEP_1));
        }
        keys.extend(self.given());
        keys.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value.get()))).collect()
    }

    fn given(self) -> impl Iterator<Item = (&'static str, Size)> + use<> {
        let DimKeys { boundary, steps: [step_1, step_2], .. } = *self.keys;
        let values = [self.boundary, self.steps[0], self.steps[1]];
        let keys = [boundary, step_1, step_2].into_iter().zip(values);
        keys.filter_map(|(key, value)| Some((key, value?)))
    }
}

/// `[lo, hi]`, both included, with `lo <= hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DimRange {
    lo: Size,
    hi: Size,
}

impl DimRange {
    /// The values the first step apart from `lo` up to `boundary`, then those the second step apart
    /// above it.
    ///
    /// As in the published suite the second part counts from `boundary`, whatever the last value of
    /// the first: `boundary + step`, `boundary + 2 * step`, ... A range that lies above `boundary`
    /// has one part, from `lo` on: the second step apart if it is given, else the first.
    fn stepped(self, boundary: Size, steps: [Option<Size>; 2]) -> impl Iterator<Item = usize> {
        let (lo, hi, boundary) = (self.lo.get(), self.hi.get(), boundary.get());
        let step_2 = steps[1].unwrap_or(STEP_2).get();
        let (step, last) = match lo > boundary {
            true => (steps[1].or(steps[0]), hi),
            false => (steps[0], hi.min(boundary)),
        };
        let first = (lo..=last).step_by(step.unwrap_or(STEP_1).get());
        first.chain((last.max(boundary) + step_2..=hi).step_by(step_2))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: DimKeys =
        DimKeys { range: "range", list: "list", boundary: "at", steps: ["step_1", "step_2"] };

    fn points(range: [usize; 2], boundary: usize, steps: [usize; 2]) -> Vec<usize> {
        let range = serde_yaml::from_str(&format!("{range:?}")).unwrap();
        let step = |step| (step > 0).then(|| Size::new(step));
        let (boundary, steps) = (Some(Size::new(boundary)), steps.map(step));
        Dims { keys: &KEYS, range: Some(range), list: None, boundary, steps }.points().collect()
    }

    #[test]
    fn the_published_steps() {
        let s1 = points([64, 160], 128, [1, 2]);
        assert_eq!(s1, (64..=128).chain((130..=160).step_by(2)).collect::<Vec<_>>());
        assert_eq!(s1, points([64, 160], 128, [0, 0]));
        assert_eq!(s1.len(), 81);
        let extended = points([129, 256], 160, [1, 2]);
        assert_eq!(extended, (129..=160).chain((162..=256).step_by(2)).collect::<Vec<_>>());
        assert_eq!(extended.len(), 80);
    }

    #[test]
    fn the_second_part_counts_from_the_boundary() {
        assert_eq!(points([64, 140], 128, [50, 4]), [64, 114, 132, 136, 140]);
        assert_eq!(points([128, 131], 128, [0, 0]), [128, 130]);
    }

    #[test]
    fn a_boundary_below_the_range_does_not_thin_it() {
        assert_eq!(points([5637, 5637], 128, [0, 0]), [5637]);
        assert_eq!(points([5637, 5641], 128, [0, 0]), [5637, 5638, 5639, 5640, 5641]);
        assert_eq!(points([5637, 5649], 128, [4, 0]), [5637, 5641, 5645, 5649]);
        assert_eq!(points([133, 150], 128, [1, 8]), [133, 141, 149]);
        assert_eq!(points([129, 129], 128, [1, 2]), [129]);
        assert_eq!(points([64, 70], 100, [3, 1]), [64, 67, 70]);
    }

    proptest! {
        #[test]
        fn steps_are_sorted_unique_and_in_range(
            lo in 1..500usize, length in 0..500usize, boundary in 1..1000usize,
            step_1 in 0..40usize, step_2 in 0..40usize,
        ) {
            let hi = lo + length;
            let dims = points([lo, hi], boundary, [step_1, step_2]);
            prop_assert!(dims.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(dims.first(), Some(&lo));
            prop_assert!(dims.last().is_some_and(|&last| last <= hi));
            prop_assert!(dims.last().is_some_and(|last| last + step_1.max(1) + step_2.max(2) > hi));
        }
    }
}
