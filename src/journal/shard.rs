//! A part of a sweep, so that several GPUs share it: `NIGHT_SWEEP_SHARD=i/n`.
//!
//! Of every `n` neighbouring rows each shard gets one, so that each spans the whole range; which
//! one, a seeded hash of their ids says, so that no shard gets all the multiples of 8. A row and
//! its variants stay together.

use crate::workload::case::Case;
use crate::workload::philox::philox4x32;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

pub const ALLOWED: &str = "i/n with 1 <= i <= n <= 1000, like 1/4";

const MOST: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    pub index: usize,
    pub count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|number| plain && (1..=MOST).contains(number))
        };
        text.split_once('/')
            .and_then(|(index, count)| Some(Shard { index: number(index)?, count: number(count)? }))
            .filter(|shard| shard.index <= shard.count)
            .ok_or_else(|| ALLOWED.to_owned())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    pub fn of(self, cases: &[Case], seed: u64) -> Vec<Case> {
        let mut rows: Vec<&str> = Vec::new();
        let mut seen = HashMap::new();
        for case in cases {
            seen.entry(&*case.row).or_insert_with(|| rows.push(&case.row));
        }
        let mut shard_of = HashMap::new();
        for neighbours in rows.chunks_mut(self.count) {
            neighbours.sort_unstable_by_key(|row| (hash(row, seed), *row));
            // The last few may be fewer than the shards: their turn begins at a shard that the hash
            // names too.
            let first = hash(neighbours[0], seed) as usize % self.count;
            for (place, row) in neighbours.iter().enumerate() {
                shard_of.insert(*row, (first + place) % self.count + 1);
            }
        }
        cases.iter().filter(|case| shard_of.get(&*case.row) == Some(&self.index)).cloned().collect()
    }
}

/// The same on every machine and in every version, unlike the standard library's: FNV-1a, then
/// Philox keyed by the seed.
fn hash(text: &str, seed: u64) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let counter = [fnv as u32, (fnv >> 32) as u32, 0, 0];
    let [low, high, ..] = philox4x32(counter, [seed as u32, (seed >> 32) as u32]);
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::operation::{Gemm, Operation};
    use crate::workload::shape::{DType, GemmShape};
    use proptest::prelude::*;

    fn cases(dims: usize) -> Vec<Case> {
        let case = |dim: usize, variant: Option<&str>| {
            let row = format!("G4/M1024_fp16/N{dim}");
            Case {
                id: variant.map_or_else(|| row.clone(), |variant| format!("{row}_{variant}")),
                row,
                variant: variant.map(str::to_owned),
                curve: "M=1024 fp16".to_owned(),
                dim,
                dtype: DType::Fp16.into(),
                operation: Operation::Gemm(Gemm::dense(GemmShape { m: 8, n: dim, k: 8 })),
                labels: serde_json::Map::new(),
            }
        };
        (1..=dims).flat_map(|dim| [case(dim, None), case(dim, Some("grouped"))]).collect()
    }

    fn dims(cases: &[Case]) -> Vec<usize> {
        cases.iter().filter(|case| case.variant.is_none()).map(|case| case.dim).collect()
    }

    #[test]
    fn a_shard_is_read_and_what_is_none_is_not() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, count: 4 }));
        assert_eq!("1/1".parse::<Shard>().unwrap().to_string(), "1/1");
        for wrong in [
            "", "2", "0/4", "5/4", "-1/4", "+1/4", "1/0", "1/1001", "1/2/3", " 1/2", "1 / 2", "a/b",
        ] {
            assert_eq!(wrong.parse::<Shard>(), Err(ALLOWED.to_owned()), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_case_is_in_one_shard_with_its_row(
            rows in 0_usize..200, count in 1_usize..12, seed: u64,
        ) {
            let all = cases(rows);
            let mut together = Vec::new();
            for index in 1..=count {
                let shard = Shard { index, count }.of(&all, seed);
                prop_assert!((rows / count..=rows.div_ceil(count)).contains(&dims(&shard).len()));
                for pair in shard.chunks(2) {
                    prop_assert_eq!(&pair[0].row, &pair[1].row);
                }
                together.extend(shard);
            }
            together.sort_by_key(|case| (case.dim, case.variant.is_some()));
            prop_assert_eq!(together, all);
        }

        #[test]
        fn each_shard_spans_the_range_and_mixes_alignments(seed: u64) {
            for index in 1..=4 {
                let dims = dims(&Shard { index, count: 4 }.of(&cases(160), seed));
                prop_assert!(dims[0] <= 4 && dims[39] > 156);
                prop_assert!(dims.windows(2).all(|pair| pair[1] - pair[0] <= 7));
                // 20 of the 160 are multiples of 8: dealt out in turn, all would be one shard's. By
                // chance 18 are, once in a billion shards.
                prop_assert!(dims.iter().filter(|dim| **dim % 8 == 0).count() < 18);
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let shard = Shard { index: 1, count: 4 };
        assert_ne!(shard.of(&cases(40), 42), shard.of(&cases(40), 43));
    }
}
