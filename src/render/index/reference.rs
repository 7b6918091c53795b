//! Published points of other suites and machines: to look at beside a run, never to judge one by.

use crate::files;
use crate::render::page::escape::visible;
use crate::results::possible;
use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Dimension, median in ms and TFLOP/s; null where there is no time.
pub type OverlaidPoint = (usize, Option<f64>, Option<f64>);

type Published = (String, String, IndexMap<String, Vec<OverlaidPoint>>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    #[serde(rename = "source")]
    _source: String,
    device: String,
    software: String,
    method: String,
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    group: String,
    /// As the runs of that group name it.
    curve: String,
    /// Milliseconds by dimension.
    points_ms: BTreeMap<usize, f64>,
}

pub fn read(path: &Path) -> Result<Reference> {
    let context = || format!("cannot read the reference {}", path.display());
    let text = files::read_text(path, files::SMALL_BYTES).with_context(context)?;
    let reference: Reference = serde_yaml::from_str(&text).with_context(context)?;
    for (&dim, &ms) in reference.series.iter().flat_map(|series| &series.points_ms) {
        let possible = possible::dim(dim).and_then(|()| possible::time("points_ms", ms));
        possible.with_context(context)?;
    }
    Ok(reference)
}

impl Reference {
    /// The device, how to call the points, and the curves of a group; none if it has none.
    pub fn of_group(&self, group: &str) -> Option<Published> {
        let series = self.series.iter().filter(|series| series.group == group);
        let points = |series: &Series| {
            series.points_ms.iter().map(|(&dim, &ms)| (dim, Some(ms), None)).collect()
        };
        let curves: IndexMap<_, _> =
            series.map(|series| (visible(&series.curve), points(series))).collect();
        let label =
            visible(&format!("published: {}, {}, {}", self.device, self.software, self.method));
        (!curves.is_empty()).then_some((visible(&self.device), label, curves))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_points_are_read_and_found_by_group() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/reference/a100_published.yaml");
        let reference = read(&path).unwrap();
        let (device, label, curves) = reference.of_group("S1").unwrap();
        assert_eq!(device, "NVIDIA A100-80GB");
        assert!(label.starts_with("published: NVIDIA A100-80GB, PyTorch 2.9.1"), "{label}");
        let points = &curves["batch 4, seq 2048, 32 heads, AUTO"];
        assert!(points.contains(&(107, Some(2.147), None)), "{points:?}");
        assert_eq!(reference.of_group("HET1"), None);
    }
}
