//! How the numbers of a case are stored, multiplied and returned.

use serde::{Deserialize, Serialize};

/// A 16-bit floating-point element type: attention has no other. It accumulates in float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE 754 binary16.
    #[serde(alias = "float16")]
    Fp16,
    /// bfloat16: the upper half of a float32.
    #[serde(alias = "bfloat16")]
    Bf16,
}

impl DType {
    /// Both of them.
    pub const ALL: [DType; 2] = [DType::Fp16, DType::Bf16];

    /// Size of one element in bytes.
    pub const SIZE_BYTES: usize = 2;

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            DType::Fp16 => "fp16",
            DType::Bf16 => "bf16",
        }
    }
}

/// What a spec calls the dtype of a GEMM. Each adds up in float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// IEEE 754 binary16, in and out.
    #[serde(rename = "fp16", alias = "float16")]
    Fp16,
    /// bfloat16, in and out.
    #[serde(rename = "bf16", alias = "bfloat16")]
    Bf16,
    /// float32, in and out; tensor cores multiply its first 10 bits after the point.
    #[serde(rename = "tf32")]
    Tf32,
    /// float32, in and out, multiplied whole.
    #[serde(rename = "fp32", alias = "float32")]
    Fp32,
    /// 8 bits, 3 of them after the point, with one scale for each operand; the result is bfloat16.
    #[serde(rename = "fp8_e4m3", alias = "float8_e4m3fn")]
    Fp8E4m3,
}

/// How one number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE 754 binary16.
    Fp16,
    /// bfloat16.
    Bf16,
    /// IEEE 754 binary32.
    Fp32,
    /// OCP FP8 E4M3, times [`E4M3_SCALE`].
    E4m3,
}

/// What every E4M3 number of ours is multiplied by. Seeded normal numbers then use the range up to
/// 448: one beyond 7 standard deviations is cut, and none is below the normal numbers that is above
/// 1/4096 of one.
pub const E4M3_SCALE: f32 = 1.0 / 64.0;

/// What an fp8 GEMM needs K and N to be multiples of: 16 bytes.
pub const FP8_ALIGNMENT: usize = 16;

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 5] =
        [Precision::Fp16, Precision::Bf16, Precision::Tf32, Precision::Fp32, Precision::Fp8E4m3];

    /// The name used in specs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp16 => "fp16",
            Precision::Bf16 => "bf16",
            Precision::Tf32 => "tf32",
            Precision::Fp32 => "fp32",
            Precision::Fp8E4m3 => "fp8_e4m3",
        }
    }

    /// How A and B are stored.
    pub fn operand(self) -> Element {
        match self {
            Precision::Fp16 => Element::Fp16,
            Precision::Bf16 => Element::Bf16,
            Precision::Tf32 | Precision::Fp32 => Element::Fp32,
            Precision::Fp8E4m3 => Element::E4m3,
        }
    }

    /// How C is stored.
    pub fn result(self) -> Element {
        match self {
            Precision::Fp8E4m3 => Element::Bf16,
            _ => self.operand(),
        }
    }

    /// The type of all tensors where it is one of 16 bits, as attention has it.
    pub fn half(self) -> Option<DType> {
        match self {
            Precision::Fp16 => Some(DType::Fp16),
            Precision::Bf16 => Some(DType::Bf16),
            Precision::Tf32 | Precision::Fp32 | Precision::Fp8E4m3 => None,
        }
    }
}

impl From<DType> for Precision {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::Fp16 => Precision::Fp16,
            DType::Bf16 => Precision::Bf16,
        }
    }
}

impl Element {
    /// Size of one in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Element::Fp16 | Element::Bf16 => 2,
            Element::Fp32 => 4,
            Element::E4m3 => 1,
        }
    }
}

impl From<DType> for Element {
    fn from(dtype: DType) -> Self {
        Precision::from(dtype).operand()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_specs_are_read_and_written() {
        for precision in Precision::ALL {
            assert_eq!(serde_json::to_value(precision).unwrap(), precision.name());
            assert_eq!(serde_yaml::from_str::<Precision>(precision.name()).unwrap(), precision);
        }
        for (text, precision) in [
            ("float16", Precision::Fp16),
            ("bfloat16", Precision::Bf16),
            ("float32", Precision::Fp32),
            ("float8_e4m3fn", Precision::Fp8E4m3),
        ] {
            assert_eq!(serde_yaml::from_str::<Precision>(text).unwrap(), precision);
        }
    }

    #[test]
    fn those_of_16_bits_are_the_ones_of_attention() {
        let halves: Vec<DType> = Precision::ALL.into_iter().filter_map(Precision::half).collect();
        assert_eq!(halves, DType::ALL);
        for dtype in DType::ALL {
            let precision = Precision::from(dtype);
            assert_eq!((precision.half(), precision.name()), (Some(dtype), dtype.name()));
            assert_eq!(precision.operand(), precision.result());
            assert_eq!(precision.operand().bytes(), DType::SIZE_BYTES);
        }
    }

    #[test]
    fn the_published_names_of_a_dtype_are_read() {
        for (text, dtype) in
            [("fp16", DType::Fp16), ("float16", DType::Fp16), ("bf16", DType::Bf16)]
        {
            assert_eq!(serde_yaml::from_str::<DType>(text).unwrap(), dtype);
        }
    }
}
