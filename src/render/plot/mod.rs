//! The plots of a run, as SVG and as PNG.

pub(crate) mod axis;
mod bars;
pub(crate) mod canvas;
mod curves;
mod panel;

use crate::results::raw::Raw;
use crate::results::summary::Summary;
use anyhow::Result;
use panel::Quantity;

/// A plot, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// File name without its ending.
    pub name: &'static str,
    /// For the web, and to zoom into.
    pub svg: String,
    /// The same in [`WIDTH`] by [`HEIGHT`] pixels.
    pub png: Vec<u8>,
}

pub use canvas::{HEIGHT, WIDTH, common_fields, common_shape, fields};

/// Draws the plots of the run's experiment; none for a group without any.
///
/// # Errors
/// If a bundled font or the SVG drawn cannot be read back: a defect of this program.
pub fn draw(raw: &Raw, summary: &Summary) -> Result<Vec<Plot>> {
    let names: &[&'static str] = match &*raw.metadata.group {
        "S1" => &["s1_latency_vs_head_dim"],
        "S2" => &["s2_backend_latency"],
        "C21" => &["c21_backend_selection"],
        "G3" => &["g3_latency_vs_K", "g3_tflops_vs_K"],
        "G4" => &["g4_latency_vs_N"],
        "P1" => &["p1_padding_rescue"],
        "HET1" => &["het1_hetero_batching"],
        _ => &[],
    };
    names
        .iter()
        .map(|&name| {
            let draw = |area: &canvas::Area| match name {
                _ if summary.successful == 0 => canvas::nothing(area, raw),
                "p1_padding_rescue" => bars::padding(area, raw, summary),
                "het1_hetero_batching" => bars::patterns(area, raw, summary),
                "g3_tflops_vs_K" => curves::draw(area, raw, summary, Quantity::Throughput),
                _ => curves::draw(area, raw, summary, Quantity::Latency),
            };
            canvas::plot(name, draw)
        })
        .collect()
}
