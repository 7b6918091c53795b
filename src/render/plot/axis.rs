//! Axes: units, ticks and scales.

use crate::units::three_digits;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        start + (share * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// A unit for an axis of times: factor from milliseconds, and name.
pub fn time_unit(max_ms: f64) -> (f64, &'static str) {
    if max_ms < 1.0 { (1e3, "µs") } else { (1.0, "ms") }
}

/// A unit for an axis of energies: factor from joules, and name.
pub fn energy_unit(max_joules: f64) -> (f64, &'static str) {
    match max_joules {
        ..1e-3 => (1e6, "µJ"),
        ..1.0 => (1e3, "mJ"),
        _ => (1.0, "J"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

impl Scale {
    pub fn height(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }

    pub fn label(self, height: f64) -> String {
        let value = match self {
            Scale::Linear => height,
            Scale::Log => 10f64.powf(height),
        };
        if value == 0.0 { "0".to_owned() } else { short(value) }
    }

    pub fn ticks(self, low: f64, high: f64) -> Vec<f64> {
        match self {
            Scale::Linear => {
                let step = round_step(high, 6);
                (0..).map(|i| f64::from(i) * step).take_while(|&tick| tick <= high).collect()
            }
            Scale::Log => {
                let decades = low.floor() as i32..=high.ceil() as i32;
                let ticks = decades
                    .flat_map(|decade| [1.0f64, 2.0, 5.0].map(|m| m.log10() + f64::from(decade)));
                ticks.filter(|&tick| low <= tick && tick <= high).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that it fits into `max` at most `count` times.
pub fn round_step(max: f64, count: u32) -> f64 {
    let least = max / f64::from(count);
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|m| m * power)
        .into_iter()
        .find(|&step| step >= least)
        .unwrap_or(10.0 * power)
}

fn short(value: f64) -> String {
    let text = three_digits(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Up to this many dimensions, each has a tick.
pub const SPARSE: usize = 8;

/// Where to put ticks under dimensions: at each if they are few, else at multiples of 8 or of a
/// larger power of 2.
pub fn dim_ticks(dims: &[usize]) -> Vec<f64> {
    let mut dims = dims.to_vec();
    dims.sort_unstable();
    dims.dedup();
    let (Some(&first), Some(&last)) = (dims.first(), dims.last()) else { return Vec::new() };
    let few = dims.len() <= SPARSE;
    let step = (3..).map(|i| 1usize << i).find(|step| (last - first) / step < 16).unwrap_or(8);
    let grid: Vec<usize> = (first.next_multiple_of(step)..=last).step_by(step).collect();
    let mut ticks = if few || grid.len() < 2 { dims } else { grid };
    // Of dimensions that lie close together in a wide list, the first has its number.
    let mut labelled = None;
    ticks.retain(|&dim| {
        let is_free = labelled.is_none_or(|before| dim - before >= (last - first) / 24);
        labelled = if is_free { Some(dim) } else { labelled };
        is_free
    });
    ticks.into_iter().map(|dim| dim as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let labels = |scale: Scale, low, high| -> Vec<String> {
            scale.ticks(low, high).into_iter().map(|tick| scale.label(tick)).collect()
        };
        assert_eq!(labels(Scale::Linear, 0.0, 2.3), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(labels(Scale::Linear, 0.0, 48.0), ["0", "10", "20", "30", "40"]);
        assert_eq!(
            labels(Scale::Linear, 0.0, 0.012),
            ["0", "0.002", "0.004", "0.006", "0.008", "0.01", "0.012"]
        );
        assert_eq!(
            labels(Scale::Log, 4f64.log10(), 120f64.log10()),
            ["5", "10", "20", "50", "100"]
        );
    }

    #[test]
    fn dimensions_have_ticks_at_multiples_of_8_unless_they_are_few() {
        let sweep: Vec<usize> = (64..=160).collect();
        assert_eq!(dim_ticks(&sweep).len(), 13);
        assert!(dim_ticks(&sweep).iter().all(|tick| tick % 8.0 == 0.0));
        assert_eq!(dim_ticks(&[96, 104, 107]), [96.0, 104.0, 107.0]);
        let wide: Vec<usize> = (1..=4096).collect();
        assert!(dim_ticks(&wide).len() <= 17);
        // No integer between them is looked at.
        let far: Vec<usize> = (0..10).map(|i| (i << 36) + 1).collect();
        assert!((2..=17).contains(&dim_ticks(&far).len()));
        assert!(dim_ticks(&[]).is_empty());
        assert_eq!(dim_ticks(&[4096, 64, 107, 112, 304]), [64.0, 304.0, 4096.0]);
        let far_apart: Vec<usize> = (1..20).map(|i| i << 35).collect();
        assert!(dim_ticks(&far_apart).len() >= 2);
    }
}
