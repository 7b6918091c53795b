//! How near a point comes to what its device can do.

use super::raw::{Bound, Share};
use crate::measure::record::Peaks;
use crate::workload::Precision;
use serde::{Deserialize, Serialize};

/// What the maker says of a GPU: dense GEMMs of 16-bit numbers with float32 accumulation, and
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datasheet {
    /// In TFLOP/s.
    pub tflops: f64,
    /// In GB/s.
    pub memory_gbs: f64,
}

/// NVIDIA's datasheets of the A100 (2021), H100 (2023) and H200 (2024), by what the driver calls
/// the card; the first name that fits.
const DATASHEETS: [(&str, f64, f64); 8] = [
    ("A100-SXM4-80GB", 312.0, 2039.0),
    ("A100 80GB PCIe", 312.0, 1935.0),
    ("A100-SXM4-40GB", 312.0, 1555.0),
    ("A100-PCIE-40GB", 312.0, 1555.0),
    ("H100 80GB HBM3", 989.4, 3350.0),
    ("H100 NVL", 835.5, 3938.0),
    ("H100 PCIe", 756.5, 2039.0),
    ("H200", 989.4, 4800.0),
];

pub fn datasheet(gpu: &str) -> Option<Datasheet> {
    let (_, tflops, memory_gbs) = DATASHEETS.into_iter().find(|(name, ..)| gpu.contains(name))?;
    Some(Datasheet { tflops, memory_gbs })
}

/// The shares of both peaks that a launch of `ms` reaches, and which of them bounds it: the one
/// that would take longer at its peak. None where no peak of that precision was measured.
pub fn share(peaks: &Peaks, dtype: Precision, flops: f64, bytes: f64, ms: f64) -> Option<Share> {
    let peak_tflops = peaks.tflops(dtype)?;
    let compute = flops / (ms * 1e-3) / (peak_tflops * 1e12);
    let bandwidth = bytes / (ms * 1e-3) / (peaks.copy_gbs * 1e9);
    let bound = if compute >= bandwidth { Bound::Compute } else { Bound::Bandwidth };
    Some(Share { compute, bandwidth, bound })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_is_bounded_by_what_would_take_longer() {
        let peaks = Peaks {
            fp16_tflops: 500.0,
            bf16_tflops: 800.0,
            tf32_tflops: None,
            fp32_tflops: None,
            fp8_e4m3_tflops: Some(1000.0),
            copy_gbs: 4000.0,
        };
        let share = |dtype, flops, bytes, ms| share(&peaks, dtype, flops, bytes, ms);
        // 1 TFLOP in 4 ms is half of 500 TFLOP/s; 4 GB in 4 ms a quarter of 4 TB/s.
        let half = share(Precision::Fp16, 1e12, 4e9, 4.0).unwrap();
        assert!((half.compute - 0.5).abs() < 1e-12 && (half.bandwidth - 0.25).abs() < 1e-12);
        assert_eq!(half.bound, Bound::Compute);
        assert_eq!(share(Precision::Bf16, 1e9, 4e9, 4.0).unwrap().bound, Bound::Bandwidth);
        let quarter = share(Precision::Fp8E4m3, 1e12, 4e9, 4.0).unwrap();
        assert!((quarter.compute - 0.25).abs() < 1e-12);
        assert_eq!(share(Precision::Tf32, 1e12, 4e9, 4.0), None);
    }

    #[test]
    fn known_cards_have_a_datasheet() {
        assert_eq!(datasheet("NVIDIA H200").unwrap().memory_gbs, 4800.0);
        assert_eq!(datasheet("NVIDIA A100-SXM4-80GB").unwrap().tflops, 312.0);
        assert_eq!(datasheet("NVIDIA H100 80GB HBM3").unwrap().tflops, 989.4);
        assert_eq!(datasheet("Synthetic GPU"), None);
    }
}
