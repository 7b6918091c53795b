//! A panel of curves: bands, lines and dots over one pair of axes.

use super::axis::{Axis, Scale, dim_ticks, energy_unit, time_unit};
use super::canvas::*;
use crate::results::curve::cliff::Cliff;
use crate::results::view::Quantity;
use crate::units::ratio;
use anyhow::Result;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

pub struct Curve<'a> {
    pub name: &'a str,
    pub dtype: &'static str,
    pub points: Vec<(usize, Band)>,
    pub failed: Vec<usize>,
    pub worst: Option<&'a Cliff>,
    pub color: RGBColor,
    pub is_dashed: bool,
    pub is_stand_in: bool,
    /// Whether it is of a variant of the rows of another curve.
    pub is_variant: bool,
}

/// A median, and how far samples and the median itself may lie from it.
#[derive(Clone, Copy, Debug)]
pub struct Band {
    /// 10th and 90th percentile of the samples.
    pub samples: [f64; 2],
    pub interval: [f64; 2],
    pub median: f64,
}

/// A line, of our own backends and of variants a dashed one.
pub fn draw_line(
    area: &Area,
    line: Vec<(i32, i32)>,
    style: ShapeStyle,
    is_dashed: bool,
) -> Result<()> {
    const DASH: i32 = 12;
    const GAP: i32 = 8;
    match is_dashed {
        true => area.draw(&DashedPathElement::new(line, DASH, GAP, style))?,
        false => area.draw(&PathElement::new(line, style))?,
    }
    Ok(())
}

/// One of the bands.
type Edges = fn(&Band) -> [f64; 2];

pub struct Panel<'a> {
    pub title: String,
    pub curves: Vec<Curve<'a>>,
}

#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub quantity: Quantity,
    /// Whether bandwidth is a share of the measured peak.
    pub has_peak: bool,
    pub scale: Scale,
    /// Few enough dimensions that each has its tick and a dot of full size.
    pub is_sparse: bool,
    /// Below the horizontal axis; empty on all but the lowest panel.
    pub x_name: &'a str,
}

/// The name of an axis that is so many pixels long: its unit alone where both would run into the
/// axis of the next panel.
fn y_label(name: &str, unit: &str, height: u32) -> String {
    /// Of a letter of the axes' names, on average.
    const WIDTH: usize = 14;
    let label = format!("{name} ({unit})");
    if label.len() * WIDTH > height as usize { unit.to_owned() } else { label }
}

type Place<'a> = &'a dyn Fn(usize, f64) -> (i32, i32);

impl Panel<'_> {
    /// Draws it onto `sheet`, and its curves onto `area`, of which that is a part.
    pub fn draw(&self, area: &Area, sheet: &Area, look: Look) -> Result<()> {
        let Look { quantity, scale, x_name, .. } = look;
        let (factor, unit) = match quantity {
            Quantity::Latency => time_unit(self.values().fold(0.0, f64::max)),
            Quantity::Throughput => (1.0, "TFLOP/s"),
            Quantity::Bandwidth if look.has_peak => (1.0, "% of a copy's"),
            Quantity::Bandwidth => (1.0, "GB/s"),
            Quantity::Energy => energy_unit(self.values().fold(0.0, f64::max)),
        };
        let (low, high) = self.heights(scale, factor);
        let dims = self.dims();
        let first = dims.iter().min().copied().unwrap_or(0) as f64;
        let last = dims.iter().max().copied().unwrap_or(1) as f64;
        let side = ((last - first) * 0.02).max(0.5);
        let y_name = match quantity {
            Quantity::Latency => "latency",
            Quantity::Throughput => "throughput",
            Quantity::Bandwidth => "bandwidth",
            Quantity::Energy => "energy",
        };

        let is_lowest = !x_name.is_empty();
        let mut builder = ChartBuilder::on(sheet);
        builder.margin(24).y_label_area_size(128).x_label_area_size(if is_lowest {
            86
        } else {
            12
        });
        if !self.title.is_empty() {
            builder.caption(&self.title, bold(28, INK, HPos::Left, VPos::Top));
        }
        if !is_lowest {
            builder.margin_bottom(0);
        }
        let mut chart = builder.build_cartesian_2d(
            Axis { low: first - side, high: last + side, ticks: dim_ticks(&dims) },
            Axis { low, high, ticks: scale.ticks(low, high) },
        )?;
        let (_, height) = chart.plotting_area().dim_in_pixel();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(MUTED.stroke_width(2))
            .x_labels(40)
            .y_labels(40)
            .x_label_formatter(&|x| if is_lowest { format!("{x:.0}") } else { String::new() })
            .y_label_formatter(&|y| scale.label(*y))
            .label_style(font(26, INK, HPos::Center, VPos::Center))
            .axis_desc_style(font(28, INK, HPos::Center, VPos::Center))
            .x_desc(x_name)
            .y_desc(y_label(y_name, unit, height))
            .draw()?;

        let place = |dim: usize, value: f64| {
            chart.backend_coord(&(dim as f64, scale.height(value * factor)))
        };
        if quantity == Quantity::Latency {
            self.name_worst_cliff(area, (first, last), &place)?;
        }
        // Below all lines: a noisy host's bands are wide.
        self.curves.iter().try_for_each(|curve| curve.draw_bands(area, &place))?;
        for (index, curve) in self.curves.iter().enumerate() {
            curve.draw(area, index == 0, look.is_sparse, &place)?;
        }
        let failing = self.curves.iter().filter(|curve| !curve.failed.is_empty());
        for (row, curve) in failing.enumerate() {
            for &dim in &curve.failed {
                let (x, y) = chart.backend_coord(&(dim as f64, low));
                let center = (x, y - 22 - 30 * row as i32);
                area.draw(&Cross::new(center, 9, curve.color.stroke_width(5)))?;
            }
        }
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let bands = self.curves.iter().flat_map(|curve| &curve.points).map(|(_, band)| band);
        bands.flat_map(|band| [band.samples, band.interval].concat())
    }

    fn dims(&self) -> Vec<usize> {
        let of = |curve: &Curve| -> Vec<usize> {
            curve.points.iter().map(|(dim, _)| *dim).chain(curve.failed.iter().copied()).collect()
        };
        self.curves.iter().flat_map(of).collect()
    }

    fn heights(&self, scale: Scale, factor: f64) -> (f64, f64) {
        let max = self.values().fold(0.0, f64::max);
        let min = self.values().fold(f64::INFINITY, f64::min);
        match scale {
            _ if max == 0.0 => (0.0, 1.0),
            // Room above for the name of the worst cliff.
            Scale::Linear => (0.0, max * factor * 1.18),
            Scale::Log => {
                // Room below the curves for a row of crosses per curve with failures.
                let failing = self.curves.iter().filter(|curve| !curve.failed.is_empty());
                let rows = failing.count() as f64;
                let (low, high) = ((min * factor).log10(), (max * factor).log10());
                let height = (high - low).max(0.3);
                (low - height * (0.08 + 0.05 * rows), high + height * 0.12)
            }
        }
    }

    /// One cliff a panel: a curve may have dozens, and the table of the page has them all.
    fn name_worst_cliff(&self, area: &Area, (first, last): (f64, f64), place: Place) -> Result<()> {
        let worst = self.curves.iter().filter_map(|curve| Some((curve, curve.worst?)));
        let worst = worst.max_by(|(_, a), (_, b)| a.ratio.total_cmp(&b.ratio));
        if let Some((curve, cliff)) = worst
            && let Some((dim, band)) = curve.points.iter().find(|(dim, _)| *dim == cliff.dim)
        {
            let text = format!("{dim} takes {} of {}", ratio(cliff.ratio), cliff.pad_to);
            let side = match (*dim as f64 - first) / (last - first).max(1.0) {
                left if left < 0.15 => HPos::Left,
                right if right > 0.85 => HPos::Right,
                _ => HPos::Center,
            };
            let (x, y) = place(*dim, band.samples[1]);
            area.draw_text(&text, &bold(26, INK, side, VPos::Bottom), (x, y - 14))?;
        }
        Ok(())
    }
}

impl Curve<'_> {
    fn draw_bands(&self, area: &Area, place: Place) -> Result<()> {
        let bands: [(Edges, f64); 2] = [(|band| band.samples, 0.15), (|band| band.interval, 0.3)];
        for stretch in self.stretches() {
            for (edges, opacity) in bands {
                let lower = stretch.iter().map(|(dim, band)| place(*dim, edges(band)[0]));
                let upper = stretch.iter().rev().map(|(dim, band)| place(*dim, edges(band)[1]));
                let outline: Vec<_> = lower.chain(upper).collect();
                area.draw(&Polygon::new(outline, self.color.mix(opacity).filled()))?;
            }
        }
        Ok(())
    }

    /// Line and dots. Later curves have smaller dots: one that lies on the first (another
    /// dtype, the backend that AUTO took) leaves a ring of it visible.
    fn draw(&self, area: &Area, is_first: bool, is_sparse: bool, place: Place) -> Result<()> {
        let color = self.color;
        for stretch in self.stretches() {
            let line: Vec<_> = stretch.iter().map(|(dim, band)| place(*dim, band.median)).collect();
            let stroke = if is_sparse { 6 } else { 3 };
            let style = color.mix(0.75).stroke_width(stroke);
            draw_line(area, line, style, self.is_dashed)?;
        }
        let size = |radius: i32| if is_first { radius } else { radius * 2 / 3 };
        for (dim, band) in &self.points {
            let center = place(*dim, band.median);
            match (dim % 8 == 0, is_sparse) {
                (true, _) => area.draw(&Circle::new(center, size(13), color.filled()))?,
                (false, false) => area.draw(&Circle::new(center, size(7), color.filled()))?,
                (false, true) => {
                    area.draw(&Circle::new(center, size(13), WHITE.filled()))?;
                    area.draw(&Circle::new(center, size(13), color.stroke_width(4)))?;
                }
            }
        }
        Ok(())
    }

    /// The points between failures: a line across a failure would claim a value there.
    fn stretches(&self) -> Vec<&[(usize, Band)]> {
        let fails_between = |a: usize, b: usize| self.failed.iter().any(|&dim| a < dim && dim < b);
        self.points.chunk_by(|(a, _), (b, _)| !fails_between(*a, *b)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::y_label;

    #[test]
    fn a_short_axis_is_named_by_its_unit() {
        assert_eq!(y_label("latency", "ms", 180), "latency (ms)");
        assert_eq!(y_label("bandwidth", "% of a copy's", 180), "% of a copy's");
        assert_eq!(y_label("bandwidth", "% of a copy's", 800), "bandwidth (% of a copy's)");
    }
}
