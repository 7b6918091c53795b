//! Curves over a swept dimension: a line through the medians, a band around it, a cross where there
//! is no result.

use super::axis::{SPARSE, Scale};
use super::canvas::*;
use super::panel::{Band, Curve, Look, Panel, draw_line};
use crate::ops::sdpa;
use crate::results::raw::{Measured, Raw, Row, Variant, marked};
use crate::results::summary::Summary;
use crate::results::view::{Layout, Plot, Quantity, View};
use crate::stats::{percentile, sorted};
use anyhow::Result;
use indexmap::IndexMap;
use plotters::prelude::*;
use std::collections::BTreeSet;

/// Curves whose medians differ by more than this factor do not share a linear axis.
const SAME_SCALE: f64 = 6.0;

/// Height in pixels that only the lowest of several panels needs.
const LABELS: i32 = 98;

pub fn draw(area: &Area, raw: &Raw, summary: &Summary, plot: &Plot, view: &View) -> Result<()> {
    let mut panels = panels(raw, summary, plot, view);
    let by_dtype = panels.len() > 1 && panels.iter().all(|panel| unique_dtypes(&panel.curves));
    let mut names: Vec<&str> = Vec::new();
    for curve in panels.iter_mut().flat_map(|panel| &mut panel.curves) {
        if by_dtype && !curve.is_variant {
            curve.name = curve.dtype;
        }
        if !names.contains(&curve.name) {
            names.push(curve.name);
        }
        (curve.color, curve.is_dashed) = look(curve, &names);
    }
    let labels: Vec<String> = names.iter().map(|name| label(name, &panels)).collect();

    let (group, device) = (&raw.metadata.group, raw.metadata.device_title());
    let title = format!("{group}: {} — {device}", plot.title);
    header(area, &title, &common_shape(raw))?;
    let any_failed =
        panels.iter().flat_map(|panel| &panel.curves).any(|curve| !curve.failed.is_empty());
    let line = |(name, label): (&str, _)| -> (&str, Key) {
        let mut curves = panels.iter().flat_map(|panel| &panel.curves);
        let of_name = curves.find(|curve| curve.name == name);
        let (color, is_dashed) = of_name.map_or((INK, false), |it| (it.color, it.is_dashed));
        let key = move |x, y| {
            draw_line(area, vec![(x, y), (x + 52, y)], color.stroke_width(6), is_dashed)?;
            Ok(area.draw(&Circle::new((x + 26, y), 10, color.filled()))?)
        };
        (label, Box::new(key))
    };
    let cross: Key =
        Box::new(|x, y| Ok(area.draw(&Cross::new((x + 26, y), 9, MUTED.stroke_width(5)))?));
    let cross = any_failed.then_some(("no result", cross));
    let named = names.iter().copied().zip(labels.iter().map(String::as_str));
    let top = legend(area, [66, 50], named.map(line).chain(cross))?;
    let dims: BTreeSet<usize> = raw.measurements.iter().map(|row| row.point().dim).collect();
    let is_sparse = dims.len() <= SPARSE;
    let lines = match plot.quantity {
        Quantity::Energy => {
            "Line: by the GPU's counter, over 1.5 s of launches. Band: how far off that may be."
                .to_owned()
        }
        Quantity::Latency | Quantity::Throughput | Quantity::Bandwidth => format!(
            "Line: median of {}. Bands: another run's median, 19 times in 20; 10th to 90th \
             percentile.",
            trials(&raw.metadata.protocol),
        ),
    };
    let dots = if is_sparse { "Filled" } else { "Large" };
    caption(area, raw, &format!("{lines} {dots} dots: multiples of 8."))?;

    // The lowest panel is taller by the labels of the axis that all share.
    let labels = if panels.len() > 1 { LABELS } else { 0 };
    let height = (HEIGHT as i32 - 80 - top - labels) / panels.len().max(1) as i32;
    for (index, panel) in panels.iter().enumerate() {
        let corner = (20, top + height * index as i32);
        let is_log = plot.is_log || spread(&panel.curves) > SAME_SCALE;
        let scale = if is_log { Scale::Log } else { Scale::Linear };
        let is_last = index + 1 == panels.len();
        let size = (WIDTH - MARGIN as u32, (height + if is_last { labels } else { 0 }) as u32);
        let sheet = area.clone().shrink(corner, size);
        let look = Look {
            quantity: plot.quantity,
            has_peak: raw.measured().any(|row| row.derived.of_peak.is_some()),
            scale,
            is_sparse,
            x_name: if is_last { view.dim } else { "" },
        };
        panel.draw(area, &sheet, look)?;
    }
    Ok(())
}

/// One panel, unless there are several shapes whose medians lie far apart.
fn panels<'a>(raw: &'a Raw, summary: &'a Summary, plot: &Plot, view: &View) -> Vec<Panel<'a>> {
    let common = common_fields(raw);
    let quantity = plot.quantity;
    let mut by_shape: Vec<Panel> = Vec::new();
    for ((series, name), rows) in raw.curves() {
        let Some(first) = rows.first().map(|row| row.point()) else { continue };
        let title = match view.layout {
            // Their shapes differ along a curve.
            Layout::Bars(_) => name.to_owned(),
            _ => differing(first, view.dim, &common),
        };
        let at = by_shape.iter().position(|panel| panel.title == title).unwrap_or_else(|| {
            by_shape.push(Panel { title, curves: Vec::new() });
            by_shape.len() - 1
        });
        if plot.by_backend {
            let dtype = first.dtype.name();
            let by_backend = by_backend(&rows).into_iter();
            // By its own name nothing stands in for another.
            let curves = by_backend.map(|(name, rows)| Curve {
                is_stand_in: false,
                ..curve(name, dtype, &rows, quantity)
            });
            by_shape[at].curves.extend(curves);
            continue;
        }
        let mut curve = curve(name, first.dtype.name(), &rows, quantity);
        let known =
            summary.curves.iter().find(|known| known.series == series && known.curve == name);
        let cliffs = known.into_iter().flat_map(|known| &known.cliffs);
        curve.worst = cliffs.max_by(|a, b| a.ratio.total_cmp(&b.ratio));
        by_shape[at].curves.push(curve);
        let variants = plot.variants.iter().map(|&(variant, legend)| {
            variant_curve(legend, first.dtype.name(), &rows, variant, quantity)
        });
        by_shape[at].curves.extend(variants.filter(|curve| !curve.points.is_empty()));
    }
    let medians = by_shape.iter().flat_map(|panel| panel.curves.iter().filter_map(median));
    let (low, high) =
        medians.fold((f64::INFINITY, 0.0f64), |(low, high), m| (low.min(m), high.max(m)));
    if (2..=4).contains(&by_shape.len()) && (plot.by_backend || high > SAME_SCALE * low) {
        return by_shape;
    }
    vec![Panel {
        title: String::new(),
        curves: by_shape.into_iter().flat_map(|panel| panel.curves).collect(),
    }]
}

fn by_backend<'a>(rows: &[&'a Row]) -> IndexMap<&'a str, Vec<&'a Row>> {
    let mut by_backend: IndexMap<&str, Vec<&Row>> = IndexMap::new();
    for &row in rows {
        by_backend.entry(row.backend_that_ran()).or_default().push(row);
    }
    by_backend
}

fn curve<'a>(name: &'a str, dtype: &'static str, rows: &[&Row], quantity: Quantity) -> Curve<'a> {
    let mut curve = Curve {
        name,
        dtype,
        points: Vec::new(),
        failed: Vec::new(),
        worst: None,
        color: INK,
        is_dashed: false,
        is_stand_in: rows.iter().any(|row| row.is_stand_in()),
        is_variant: false,
    };
    for row in rows {
        match row {
            Row::Measured(row) => {
                curve.points.extend(band(row, quantity).map(|band| (row.point.dim, band)));
            }
            Row::Failed(row) => curve.failed.push(row.point.dim),
        }
    }
    curve.points.sort_by_key(|(dim, _)| *dim);
    curve
}

/// The medians of a variant: what is compared with a row has no interval of its own.
fn variant_curve<'a>(
    name: &'a str,
    dtype: &'static str,
    rows: &[&Row],
    variant: &str,
    quantity: Quantity,
) -> Curve<'a> {
    let point = |row: &&Row| {
        let Variant::Measured { timing, derived, .. } = row.variants().get(variant)? else {
            return None;
        };
        let median = match quantity {
            Quantity::Latency => timing.p50,
            Quantity::Throughput => derived.tflops_stats.p50,
            Quantity::Bandwidth => match derived.of_peak {
                Some(share) => 100.0 * share.bandwidth,
                None => derived.bandwidth_gbs_mean,
            },
            Quantity::Energy => return None,
        };
        Some((row.point().dim, Band { samples: [median; 2], interval: [median; 2], median }))
    };
    let mut points: Vec<_> = rows.iter().filter_map(point).collect();
    points.sort_by_key(|(dim, _)| *dim);
    let base = curve(name, dtype, &[], quantity);
    Curve { points, is_variant: true, ..base }
}

/// None where the row has no such quantity.
fn band(row: &Measured, quantity: Quantity) -> Option<Band> {
    let times = sorted(&row.timing_raw);
    let at = |percent| percentile(&times, percent).unwrap_or(row.timing.p50);
    let times = Band {
        samples: [at(10.0), at(90.0)],
        interval: row.ci95_p50.unwrap_or([row.timing.p50; 2]),
        median: row.timing.p50,
    };
    Some(match quantity {
        Quantity::Latency => times,
        Quantity::Energy => {
            let energy = row.energy?;
            let (median, off) = (energy.joules_per_launch, energy.uncertainty_pct / 100.0);
            // Above 0, whatever the uncertainty is: the axis may be logarithmic.
            let interval = [median / (1.0 + off), median * (1.0 + off)];
            Band { samples: interval, interval, median }
        }
        Quantity::Throughput => rates(times, row.derived.tflops_mean * row.timing.mean),
        Quantity::Bandwidth => rates(
            times,
            match row.derived.of_peak {
                Some(share) => 100.0 * share.bandwidth * row.timing.p50,
                None => row.derived.bandwidth_gbs_mean * row.timing.mean,
            },
        ),
    })
}

/// What is done in each time.
fn rates(times: Band, work: f64) -> Band {
    let rates = |[low, high]: [f64; 2]| [work / high, work / low];
    Band {
        samples: rates(times.samples),
        interval: rates(times.interval),
        median: work / times.median,
    }
}

fn median(curve: &Curve) -> Option<f64> {
    let medians: Vec<f64> = curve.points.iter().map(|(_, band)| band.median).collect();
    percentile(&sorted(&medians), 50.0)
}

fn spread(curves: &[Curve]) -> f64 {
    let medians = sorted(&curves.iter().filter_map(median).collect::<Vec<_>>());
    medians.last().zip(medians.first()).map_or(1.0, |(high, low)| high / low)
}

fn unique_dtypes(curves: &[Curve]) -> bool {
    let mut dtypes = curves.iter().filter(|curve| !curve.is_variant).map(|curve| curve.dtype);
    let mut seen = Vec::new();
    dtypes.all(|dtype| {
        !seen.contains(&dtype) && {
            seen.push(dtype);
            true
        }
    })
}

/// A backend looks the same in every plot; other curves are colored in the order they come.
fn look(curve: &Curve, names: &[&str]) -> (RGBColor, bool) {
    let of_backend = sdpa::look(curve.name);
    let place = || names.iter().position(|known| *known == curve.name);
    let index = of_backend.map(|look| look.color).or_else(place).unwrap_or(0);
    let is_dashed = curve.is_variant || of_backend.is_some_and(|look| look.is_dashed);
    (PALETTE[index % PALETTE.len()], is_dashed)
}

/// A name as the legend has it.
fn label(name: &str, panels: &[Panel]) -> String {
    let curves = panels.iter().flat_map(|panel| &panel.curves);
    marked(name, curves.into_iter().any(|curve| curve.name == name && curve.is_stand_in))
}
