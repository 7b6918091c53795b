//! The answer on a terminal.

use super::Interference;
use super::gpu::{Conditions, Gpu};
use crate::render::table::{table, with_header, wrapped};
use crate::terminal::width;

pub fn text(found: &Interference) -> String {
    let title = format!(
        "interference: {} cases on each GPU alone, then on all {} at once (two values: alone, at \
         once)",
        found.cases.len(),
        found.gpus.len()
    );
    let header = [
        "",
        "alone vs median",
        "side by side (95 %)",
        "SM MHz",
        "TFLOP/s",
        "power W",
        "°C",
        "enqueue µs",
    ];
    let width = width();
    let rows = with_header(header, found.gpus.iter().map(row));
    let mut paragraphs = vec![wrapped("", &title, width), table(1, &rows, width)];
    paragraphs.extend(found.findings.iter().map(|finding| wrapped("- ", finding, width)));
    paragraphs.join("\n") + "\n"
}

fn row(gpu: &Gpu) -> [String; 8] {
    let dash = || "-".to_owned();
    let both = |of: fn(&Conditions) -> Option<f64>, digits: usize| {
        let (alone, together) = (of(&gpu.alone), of(&gpu.together));
        let pair = alone.zip(together);
        pair.map_or_else(dash, |(alone, together)| format!("{alone:.digits$}, {together:.digits$}"))
    };
    let interval = |[low, high]: [f64; 2]| format!(" ({low:.3} to {high:.3})");
    let interval = gpu.slowdown_ci95.map(interval).unwrap_or_default();
    [
        gpu.name.clone(),
        gpu.alone_vs_median_pct.map_or_else(dash, |pct| format!("{pct:+.1} %")),
        gpu.slowdown.map_or_else(dash, |slowdown| format!("{slowdown:.3}×{interval}")),
        both(|of| of.sm_mhz, 0),
        both(|of| of.fp16_tflops, 0),
        both(|of| of.power_w.map(f64::from), 0),
        both(|of| of.temperature_c.map(f64::from), 0),
        both(|of| of.enqueue_us, 1),
    ]
}
