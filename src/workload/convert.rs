//! 16-bit elements on the host: their bits in memory, float32 in arithmetic.

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

#[cfg(test)]
mod tests {
    use super::*;

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
