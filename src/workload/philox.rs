//! Seeded normal data, the same on the host and on the device: element `i` depends on `i` alone.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC'11)
//! turns a counter into four random words without any state, so that each thread makes its own
//! elements.

use crate::workload::{DType, convert::from_f32};
use rayon::prelude::*;

/// Four random words for a counter: ten rounds of Philox, word for word as in Random123.
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let even = u64::from(counter[0]) * 0xd251_1f53;
        let odd = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (odd >> 32) as u32 ^ counter[1] ^ key[0],
            odd as u32,
            (even >> 32) as u32 ^ counter[3] ^ key[1],
            even as u32,
        ];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    counter
}

/// A standard normal number: element `index` of tensor number `tensor`.
///
/// A kernel has to compute exactly this, in float32, rounding to nearest:
/// ```text
/// x  = philox4x32({lo(index/4), hi(index/4), 0, tensor}, {lo(seed), hi(seed)})    lo, hi: halves
/// (a, b) = index%4 < 2 ? (x[0], x[1]) : (x[2], x[3])
/// u1 = (float(a) + 1) · 2⁻³²        in (0, 1]: the logarithm is finite
/// u2 = float(b) · 2⁻³²              in [0, 1]
/// r  = sqrt(-2 · ln(u1))
/// normal = r · (index%2 == 0 ? cos(2π·u2) : sin(2π·u2))
/// ```
/// Logarithm, sine and cosine differ by some units in the last place between libraries, about 1e-6
/// here; rounded to 16 bits, about one element in a thousand then differs in its last place.
pub fn normal(seed: u64, tensor: u32, index: u64) -> f32 {
    four_normals(seed, tensor, index / 4)[(index % 4) as usize]
}

/// The elements `4 · group ..= 4 · group + 3`, by Box and Muller's transform.
fn four_normals(seed: u64, tensor: u32, group: u64) -> [f32; 4] {
    let counter = [group as u32, (group >> 32) as u32, 0, tensor];
    let [a, b, c, d] = philox4x32(counter, [seed as u32, (seed >> 32) as u32]);
    let pair = |a: u32, b: u32| {
        const UNIT: f32 = 1.0 / 4_294_967_296.0;
        let radius = (-2.0 * ((a as f32 + 1.0) * UNIT).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * (b as f32 * UNIT)).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([n0, n1], [n2, n3]) = (pair(a, b), pair(c, d));
    [n0, n1, n2, n3]
}

/// Fills a row-major matrix of `size` rows and columns whose top left `data` rows and columns hold
/// normal numbers and whose rest is zero.
///
/// Element `(r, c)` is [`normal`] at index `r · data columns + c`, so a padded tensor holds the
/// numbers of the unpadded one. The rows of an attention tensor are batch · heads · seq_len, its
/// columns head_dim.
pub fn fill(
    out: &mut [u16],
    dtype: DType,
    seed: u64,
    tensor: u32,
    size: [usize; 2],
    data: [usize; 2],
) {
    fill_with(out, (seed, tensor), size, data, |value| from_f32(dtype, value));
}

/// [`fill`] with numbers of any type, to which `round` rounds.
pub fn fill_with<T: Copy + Default + Send>(
    out: &mut [T],
    (seed, tensor): (u64, u32),
    size: [usize; 2],
    data: [usize; 2],
    round: impl Fn(f32) -> T + Sync,
) {
    let [rows, columns] = size;
    let [data_rows, data_columns] = data;
    assert_eq!(out.len(), rows * columns);
    out.par_chunks_mut(columns).enumerate().for_each(|(r, row)| {
        let held = if r < data_rows { data_columns.min(columns) } else { 0 };
        let (data, padding) = row.split_at_mut(held);
        let (mut group, mut four) = (u64::MAX, [0.0; 4]);
        for (index, element) in (r as u64 * data_columns as u64..).zip(data) {
            if index / 4 != group {
                group = index / 4;
                four = four_normals(seed, tensor, group);
            }
            *element = round(four[(index % 4) as usize]);
        }
        padding.fill(T::default());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_known_answers() {
        // tests/kat_vectors of Random123, lines `philox4x32 10`.
        let zeros = philox4x32([0; 4], [0; 2]);
        assert_eq!(zeros, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        let ones = philox4x32([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi_counter = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        let pi = philox4x32(pi_counter, [0xa4093822, 0x299f31d0]);
        assert_eq!(pi, [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    #[test]
    fn a_million_draws_look_normal() {
        let draws: Vec<f64> =
            (0..250_000).flat_map(|group| four_normals(42, 1, group)).map(f64::from).collect();
        let moment = |power| draws.iter().map(|x| x.powi(power)).sum::<f64>() / draws.len() as f64;
        // Five standard errors of each moment: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n).
        assert!(moment(1).abs() < 5e-3, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 7.1e-3, "variance {}", moment(2));
        assert!(moment(3).abs() < 19.4e-3, "skewness {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 49e-3, "kurtosis {}", moment(4));
        // Neighbours come from one pair or one counter: they have to be independent nevertheless.
        for lag in 1..=4 {
            let products: f64 = draws.iter().zip(&draws[lag..]).map(|(x, y)| x * y).sum();
            assert!((products / draws.len() as f64).abs() < 5e-3, "correlation at lag {lag}");
        }
        assert!(draws.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn seed_tensor_and_high_words_all_count() {
        let indices = [(1, 0, 0), (2, 0, 0), (1 << 32 | 1, 0, 0), (1, 1, 0), (1, 0, 1 << 34)];
        let numbers = indices.map(|(seed, tensor, index)| normal(seed, tensor, index));
        for (i, x) in numbers.iter().enumerate() {
            assert!(numbers[..i].iter().all(|y| y != x));
        }
    }

    #[test]
    fn padding_surrounds_the_same_numbers() {
        let (data_rows, data_columns) = (13, 107);
        for dtype in DType::ALL {
            for [rows, columns] in [[13, 107], [13, 112], [16, 107], [16, 128]] {
                let mut matrix = vec![1; rows * columns];
                fill(&mut matrix, dtype, 7, 2, [rows, columns], [data_rows, data_columns]);
                for (at, &element) in matrix.iter().enumerate() {
                    let (r, c) = (at / columns, at % columns);
                    let expected = if r < data_rows && c < data_columns {
                        from_f32(dtype, normal(7, 2, (r * data_columns + c) as u64))
                    } else {
                        0
                    };
                    assert_eq!(element, expected, "row {r}, column {c}");
                }
            }
        }
    }
}
