//! Elements of 16 and 8 bits on the host: their bits in memory, float32 in arithmetic.

use crate::workload::DType;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// The value of one element.
pub fn to_f32(dtype: DType, bits: u16) -> f32 {
    match dtype {
        DType::Fp16 => f16::from_bits(bits).to_f32(),
        DType::Bf16 => bf16::from_bits(bits).to_f32(),
    }
}

/// The element nearest to `value`, ties to even; infinity where `value` is too large.
pub fn from_f32(dtype: DType, value: f32) -> u16 {
    match dtype {
        DType::Fp16 => f16::from_f32(value).to_bits(),
        DType::Bf16 => bf16::from_f32(value).to_bits(),
    }
}

/// [`to_f32`] of each element. Panics if the lengths differ.
pub fn widen(dtype: DType, bits: &[u16], values: &mut [f32]) {
    match dtype {
        DType::Fp16 => bits.reinterpret_cast::<f16>().convert_to_f32_slice(values),
        DType::Bf16 => bits.reinterpret_cast::<bf16>().convert_to_f32_slice(values),
    }
}

/// [`from_f32`] of each value. Panics if the lengths differ.
pub fn narrow(dtype: DType, values: &[f32], bits: &mut [u16]) {
    match dtype {
        DType::Fp16 => bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
        DType::Bf16 => bits.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
    }
}

/// The value of an E4M3 number: 4 bits of exponent, 3 after the point, no infinity.
pub fn e4m3_to_f32(bits: u8) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 3 & 15), bits & 7);
    let magnitude = match (exponent, fraction) {
        (15, 7) => f32::NAN,
        (0, _) => f32::from(fraction) * 2f32.powi(-9),
        _ => f32::from(8 + fraction) * 2f32.powi(exponent - 10),
    };
    magnitude.copysign(if bits & 0x80 == 0 { 1.0 } else { -1.0 })
}

/// The E4M3 number nearest to `value`, ties to even; the largest, 448, where `value` is beyond.
pub fn e4m3_from_f32(value: f32) -> u8 {
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    if value.is_nan() {
        return sign | 0x7f;
    }
    let magnitude = value.abs().min(448.0);
    // Below the normal numbers, all are as far apart as the smallest of those.
    let exponent = ((magnitude.to_bits() >> 23) as i32 - 127).max(-6);
    let eighths = (magnitude * 2f32.powi(3 - exponent)).round_ties_even() as i32;
    // 16 eighths carry into the exponent, and fewer than 8 are the bits of a subnormal number.
    sign | (8 * (exponent + 6) + eighths) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finite numbers from 0 to 448, as a list by hand: 8 below 2^-6, and 8 for each power of
    /// two but for the NaN.
    fn e4m3_numbers() -> Vec<f32> {
        let below = (0..8).map(|eighths| eighths as f32 / 8.0 / 64.0);
        let powers = (-6..=8)
            .flat_map(|power| (8..16).map(move |eighths| eighths as f32 / 8.0 * 2f32.powi(power)));
        below.chain(powers).take(127).collect()
    }

    #[test]
    fn all_e4m3_numbers_come_back() {
        let numbers = e4m3_numbers();
        assert_eq!((numbers.len(), numbers[126]), (127, 448.0));
        for (bits, &number) in (0u8..).zip(&numbers) {
            assert_eq!((e4m3_to_f32(bits), e4m3_to_f32(bits | 0x80)), (number, -number));
            assert_eq!((e4m3_from_f32(number), e4m3_from_f32(-number)), (bits, bits | 0x80));
        }
        for nan in [0x7f, 0xff] {
            assert!(e4m3_to_f32(nan).is_nan());
            assert_eq!(e4m3_from_f32(e4m3_to_f32(nan)) & 0x7f, 0x7f);
        }
    }

    #[test]
    fn e4m3_rounds_to_nearest_and_ties_to_even() {
        for (bits, pair) in (0u8..).zip(e4m3_numbers().windows(2)) {
            let middle = (pair[0] + pair[1]) / 2.0;
            let even = bits + bits % 2;
            assert_eq!(e4m3_from_f32(middle), even, "{middle}");
            assert_eq!(e4m3_from_f32(-middle), even | 0x80, "{middle}");
            assert_eq!(e4m3_from_f32(middle.next_down()), bits, "{middle}");
            assert_eq!(e4m3_from_f32(middle.next_up()), bits + 1, "{middle}");
        }
        for beyond in [449.0, 464.0, 480.0, 1e9, f32::INFINITY] {
            assert_eq!((e4m3_from_f32(beyond), e4m3_from_f32(-beyond)), (0x7e, 0xfe));
        }
        assert_eq!(e4m3_from_f32(f32::MIN_POSITIVE / 2.0), 0);
    }

    #[test]
    fn slices_convert_as_their_elements_do() {
        for dtype in DType::ALL {
            let bits: Vec<u16> =
                (0..=u16::MAX).filter(|&bits| !to_f32(dtype, bits).is_nan()).collect();
            let mut values = vec![0.0; bits.len()];
            widen(dtype, &bits, &mut values);
            let mut back = vec![0; bits.len()];
            narrow(dtype, &values, &mut back);
            assert_eq!(back, bits);
            assert!(bits.iter().zip(&values).all(|(&bits, &value)| to_f32(dtype, bits) == value));
        }
    }

    #[test]
    fn rounding_is_to_nearest_and_ties_to_even() {
        // 1 + 1/2 unit in the last place goes down to 1; 1 + 3/2 units go up to 1 + 2 units.
        for (dtype, unit) in [(DType::Fp16, 2f32.powi(-10)), (DType::Bf16, 2f32.powi(-7))] {
            let rounded = |value| to_f32(dtype, from_f32(dtype, value));
            assert_eq!(rounded(1.0 + 0.5 * unit), 1.0);
            assert_eq!(rounded(1.0 + 1.5 * unit), 1.0 + 2.0 * unit);
            assert_eq!(rounded(1.0 + 0.51 * unit), 1.0 + unit);
        }
        assert_eq!(from_f32(DType::Fp16, 70_000.0), f16::INFINITY.to_bits());
    }
}
