//! Two plots: every case by its time on both sides, and every case by how much it changed.

use super::words::{answer, title};
use crate::compare::comparison::{Comparison, Row, Verdict};
use crate::render::plot::Plot;
use crate::render::plot::axis::{Axis, Scale, round_step, time_unit};
use crate::render::plot::canvas::{
    Area, GRID, HEIGHT, INK, MARGIN, MUTED, PALETTE, WIDTH, fitted, font, header, plot, text_width,
};
use anyhow::Result;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

const NAMED: usize = 6;

const LEFT: i32 = 210;
const RIGHT: i32 = WIDTH as i32 - MARGIN;
const TOP: i32 = 260;
const BOTTOM: i32 = HEIGHT as i32 - 170;

pub fn draw(comparison: &Comparison) -> Result<Vec<Plot>> {
    let is_timed = |row: &&Row| row.base.is_some() && row.cand.is_some() && row.ratio.is_some();
    let rows: Vec<&Row> = comparison.rows.iter().filter(is_timed).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![
        plot("scatter", |area| scatter(area, comparison, &rows))?,
        plot("ratios", |area| ratios(area, comparison, &rows))?,
    ])
}

fn look(row: &Row) -> (RGBColor, i32) {
    match row.verdict {
        Verdict::Regressed | Verdict::NowFails => (PALETTE[1], 11),
        Verdict::Improved | Verdict::NowRuns => (PALETTE[2], 11),
        Verdict::Ambiguous => (PALETTE[4], 9),
        Verdict::OnlyInBase | Verdict::OnlyInCand | Verdict::Same => (PALETTE[0], 7),
    }
}

fn scatter(area: &Area, comparison: &Comparison, rows: &[&Row]) -> Result<()> {
    head(area, comparison, "Median time: candidate over base. On the line nothing changed.")?;
    let times = rows.iter().flat_map(|row| [row.base, row.cand]).flatten();
    let times_ms: Vec<f64> = times.map(|times| times.p50_ms).collect();
    let (low, high) = bounds(&times_ms);
    let (factor, unit) = time_unit(high);
    let height = |ms: f64| Scale::Log.height(ms * factor);
    // Some room around the data, also where all are equal.
    let (low, high) = (height(low) - 0.05, height(high) + 0.05);
    let axis = || Axis { low, high, ticks: Scale::Log.ticks(low, high) };
    let ticks = axis().ticks.into_iter();
    let labels: Vec<_> = ticks.map(|tick| (tick, Scale::Log.label(tick))).collect();
    let sheet = Sheet { area, x: axis(), y: axis() };
    sheet.grid(&labels, &labels)?;
    sheet.name(&format!("base, {unit}"), &format!("candidate, {unit}"))?;
    sheet.line([(low, low), (high, high)], MUTED.stroke_width(2))?;
    for row in rows.iter().rev() {
        let (Some(base), Some(cand)) = (row.base, row.cand) else { continue };
        let (color, size) = look(row);
        let at = sheet.at(height(base.p50_ms), height(cand.p50_ms));
        area.draw(&Circle::new(at, size, color.filled()))?;
    }
    Ok(())
}

fn ratios(area: &Area, comparison: &Comparison, rows: &[&Row]) -> Result<()> {
    head(
        area,
        comparison,
        "Change of each case in per cent, sorted, with its 95 % interval. Above 0: slower.",
    )?;
    let mut rows: Vec<&Row> = rows.to_vec();
    let ratio = |row: &Row| row.ratio.unwrap_or(1.0);
    rows.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)));
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let threshold = comparison.threshold_pct;
    // Intervals may be wide beyond use: the axis is made for the changes.
    let mut shown: Vec<f64> = rows.iter().map(|row| percent(ratio(row))).collect();
    shown.extend([threshold * 1.5, -threshold * 1.5]);
    let (low, high) = bounds(&shown);
    let room = (high - low) * 0.06;
    let (low, high) = (low - room, high + room);
    let y = Axis { low, high, ticks: ticks(low, high) };
    let label = |tick: f64| if tick == 0.0 { "0".to_owned() } else { format!("{tick:+}") };
    let labels: Vec<_> = y.ticks.iter().map(|tick| (*tick, label(*tick))).collect();
    let x = Axis { low: -0.5, high: rows.len() as f64 - 0.5, ticks: vec![] };
    let sheet = Sheet { area, x, y };
    sheet.grid(&[], &labels)?;
    sheet.name(&format!("{} cases", rows.len()), "change, %")?;
    for (level, color) in [(0.0, INK), (threshold, PALETTE[1])] {
        let ends = [(sheet.x.low, level), (sheet.x.high, level)];
        sheet.line(ends, color.stroke_width(2))?;
    }
    let mut named = 0;
    for (at, row) in rows.iter().enumerate() {
        let (color, size) = look(row);
        let x = at as f64;
        if let Some([low, high]) = row.ci95 {
            let [low, high] = [low, high].map(|end| percent(end).clamp(sheet.y.low, sheet.y.high));
            sheet.line([(x, low), (x, high)], color.mix(0.5).stroke_width(3))?;
        }
        let (px, py) = sheet.at(x, percent(ratio(row)));
        area.draw(&Circle::new((px, py), size, color.filled()))?;
        if row.fails && named < NAMED {
            let style = font(24, INK, HPos::Left, VPos::Center);
            let name = fitted(area, &row.case_id, &style, RIGHT - px - 30)?;
            area.draw_text(&name, &style, (px + 20, py))?;
            named += 1;
        }
    }
    Ok(())
}

fn head(area: &Area, comparison: &Comparison, caption: &str) -> Result<()> {
    header(area, &title(comparison), &answer(comparison))?;
    let style = font(22, MUTED, HPos::Left, VPos::Bottom);
    let caption = fitted(area, caption, &style, WIDTH as i32 - 2 * MARGIN)?;
    area.draw_text(&caption, &style, (MARGIN, HEIGHT as i32 - 30))?;
    let mut x = MARGIN;
    for (verdict, name) in [
        (Verdict::Regressed, "regressed"),
        (Verdict::Improved, "improved"),
        (Verdict::Ambiguous, "ambiguous"),
        (Verdict::Same, "same"),
    ] {
        let style = font(26, INK, HPos::Left, VPos::Center);
        area.draw(&Circle::new((x + 10, 165), 10, look(&Row::new("", verdict)).0.filled()))?;
        area.draw_text(name, &style, (x + 30, 165))?;
        x += 80 + text_width(area, name, &style)?;
    }
    Ok(())
}

struct Sheet<'a, 'b> {
    area: &'a Area<'b>,
    x: Axis,
    y: Axis,
}

impl Sheet<'_, '_> {
    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        (self.x.map(&x, (LEFT, RIGHT)), self.y.map(&y, (BOTTOM, TOP)))
    }

    fn line(&self, ends: [(f64, f64); 2], style: ShapeStyle) -> Result<()> {
        let ends = ends.map(|(x, y)| self.at(x, y));
        Ok(self.area.draw(&PathElement::new(ends, style))?)
    }

    fn grid(&self, x: &[(f64, String)], y: &[(f64, String)]) -> Result<()> {
        let area = self.area;
        for (tick, label) in x {
            let (at, _) = self.at(*tick, self.y.low);
            self.line([(*tick, self.y.low), (*tick, self.y.high)], GRID.stroke_width(2))?;
            let style = font(26, INK, HPos::Center, VPos::Top);
            area.draw_text(label, &style, (at, BOTTOM + 14))?;
        }
        for (tick, label) in y {
            let (_, at) = self.at(self.x.low, *tick);
            self.line([(self.x.low, *tick), (self.x.high, *tick)], GRID.stroke_width(2))?;
            let style = font(26, INK, HPos::Right, VPos::Center);
            area.draw_text(label, &style, (LEFT - 16, at))?;
        }
        Ok(())
    }

    fn name(&self, x: &str, y: &str) -> Result<()> {
        let style = font(28, INK, HPos::Center, VPos::Top);
        self.area.draw_text(x, &style, ((LEFT + RIGHT) / 2, BOTTOM + 54))?;
        let style = font(28, INK, HPos::Left, VPos::Bottom);
        self.area.draw_text(y, &style, (MARGIN, TOP - 12))?;
        Ok(())
    }
}

fn bounds(values: &[f64]) -> (f64, f64) {
    let each = values.iter().copied();
    (each.clone().fold(f64::INFINITY, f64::min), each.fold(f64::NEG_INFINITY, f64::max))
}

fn ticks(low: f64, high: f64) -> Vec<f64> {
    let step = round_step(high - low, 12);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    // Through the decimal text, or 0.30000000000000004 would stand on the axis.
    (first..=last).map(|at| (at as f64 * step * 1e6).round() / 1e6).collect()
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn ticks_are_round_on_both_sides_of_zero() {
        assert_eq!(ticks(-2.2, 3.1), [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(ticks(-0.25, 0.31).len(), 12);
    }
}
