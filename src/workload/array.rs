//! Matrices in host memory, of any element type.

use super::convert::{e4m3_from_f32, e4m3_to_f32, from_f32, to_f32, widen};
use super::philox;
use super::precision::{E4M3_SCALE, Element};
use super::shape::DType;

/// Numbers of one element type.
#[derive(Clone, Debug, PartialEq)]
pub enum HostArray {
    /// Bits of 16-bit numbers.
    Half(DType, Vec<u16>),
    /// float32.
    Single(Vec<f32>),
    /// Bits of E4M3 numbers.
    E4m3(Vec<u8>),
}

impl HostArray {
    /// Zeros.
    pub fn zeros(element: Element, len: usize) -> Self {
        match element {
            Element::Fp16 => HostArray::Half(DType::Fp16, vec![0; len]),
            Element::Bf16 => HostArray::Half(DType::Bf16, vec![0; len]),
            Element::Fp32 => HostArray::Single(vec![0.0; len]),
            Element::E4m3 => HostArray::E4m3(vec![0; len]),
        }
    }

    /// A matrix as [`philox::fill_with`] fills it.
    pub fn normal(
        element: Element,
        (seed, tensor): (u64, u32),
        size: [usize; 2],
        data: [usize; 2],
    ) -> Self {
        let mut array = HostArray::zeros(element, size[0] * size[1]);
        match &mut array {
            HostArray::Half(dtype, bits) => philox::fill(bits, *dtype, seed, tensor, size, data),
            HostArray::Single(values) => {
                philox::fill_with(values, (seed, tensor), size, data, |value| value);
            }
            HostArray::E4m3(bits) => {
                philox::fill_with(bits, (seed, tensor), size, data, to_e4m3);
            }
        }
        array
    }

    /// Numbers rounded to `element`.
    pub fn rounded(element: Element, values: impl IntoIterator<Item = f32>) -> Self {
        let values: Vec<f32> = values.into_iter().collect();
        let mut array = HostArray::zeros(element, values.len());
        values.into_iter().enumerate().for_each(|(at, value)| array.set(at, value));
        array
    }

    /// How each is stored.
    pub fn element(&self) -> Element {
        match self {
            HostArray::Half(dtype, _) => (*dtype).into(),
            HostArray::Single(_) => Element::Fp32,
            HostArray::E4m3(_) => Element::E4m3,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            HostArray::Half(_, bits) => bits.len(),
            HostArray::Single(values) => values.len(),
            HostArray::E4m3(bits) => bits.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at an index.
    pub fn get(&self, at: usize) -> f32 {
        match self {
            HostArray::Half(dtype, bits) => to_f32(*dtype, bits[at]),
            HostArray::Single(values) => values[at],
            HostArray::E4m3(bits) => E4M3_SCALE * e4m3_to_f32(bits[at]),
        }
    }

    /// Replaces a number, rounded to nearest.
    pub fn set(&mut self, at: usize, value: f32) {
        match self {
            HostArray::Half(dtype, bits) => bits[at] = from_f32(*dtype, value),
            HostArray::Single(values) => values[at] = value,
            HostArray::E4m3(bits) => bits[at] = to_e4m3(value),
        }
    }

    /// All of them.
    pub fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values);
        values
    }

    /// As many as `values` holds, from an index on.
    pub fn read(&self, from: usize, values: &mut [f32]) {
        let of = from..from + values.len();
        match self {
            HostArray::Half(dtype, bits) => widen(*dtype, &bits[of], values),
            HostArray::Single(numbers) => values.copy_from_slice(&numbers[of]),
            HostArray::E4m3(_) => of.zip(values).for_each(|(at, value)| *value = self.get(at)),
        }
    }
}

fn to_e4m3(value: f32) -> u8 {
    e4m3_from_f32(value / E4M3_SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Precision;

    #[test]
    fn numbers_come_back_as_they_were_rounded() {
        for element in Precision::ALL.map(Precision::operand) {
            let array = HostArray::normal(element, (7, 1), [13, 112], [13, 107]);
            assert_eq!((array.element(), array.len()), (element, 13 * 112));
            assert_eq!(HostArray::rounded(element, array.values()), array);
            let largest_error = match element {
                Element::Fp16 => 2f32.powi(-11),
                Element::Bf16 => 2f32.powi(-8),
                Element::Fp32 => 0.0,
                Element::E4m3 => 2f32.powi(-4),
            };
            for (at, value) in array.values().into_iter().enumerate() {
                let (row, column) = (at / 112, at % 112);
                let index = (row * 107 + column) as u64;
                let exact = if column < 107 { philox::normal(7, 1, index) } else { 0.0 };
                // Half of the smallest number of all, 2^-9 · 2^-6, where there are none between.
                let bound = (largest_error * exact.abs()).max(2f32.powi(-16));
                assert!((value - exact).abs() <= bound, "{element:?} {at}: {value} {exact}");
            }
        }
    }
}
