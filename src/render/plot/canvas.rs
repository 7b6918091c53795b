//! The sheet that every plot is drawn on: size, fonts, colours, title and caption.

use crate::measure::record::{Protocol, ProtocolKind};
use crate::results::raw::{Point, Raw, Shape};
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, register_font};
use resvg::{tiny_skia, usvg};
use std::sync::Arc;

/// Width of a PNG in pixels: twice that of the layout, for screens of high density.
pub const WIDTH: u32 = 2200;
pub const HEIGHT: u32 = 1240;

/// Left edge of title, legend and caption, and the right margin, in pixels.
pub const MARGIN: i32 = 64;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Okabe and Ito's colours, which the colour-blind can tell apart, but for their yellow: too pale
/// for a line.
pub const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(128, 77, 26),
];
pub const INK: RGBColor = RGBColor(34, 34, 34);
pub const MUTED: RGBColor = RGBColor(105, 105, 105);
pub const GRID: RGBColor = RGBColor(228, 228, 228);

/// Roboto, and for viewers of the SVG that lack it, what they have.
const FAMILY: &str = "Roboto, Helvetica, Arial, sans-serif";
const REGULAR: &[u8] = include_bytes!("../../../assets/Roboto-Regular.ttf");
const MEDIUM: &[u8] = include_bytes!("../../../assets/Roboto-Medium.ttf");

#[derive(Debug)]
pub struct Plot {
    pub name: &'static str,
    /// For the web, and to zoom into.
    pub svg: String,
    pub png: Vec<u8>,
}

pub fn plot(name: &'static str, draw: impl FnOnce(&Area) -> Result<()>) -> Result<Plot> {
    for (style, font) in [(FontStyle::Normal, REGULAR), (FontStyle::Bold, MEDIUM)] {
        register_font(FAMILY, style, font).map_err(|_| anyhow!("a bundled font is broken"))?;
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    // A driver's message may hold escape sequences and the like, which XML does not allow at all.
    svg.retain(|c| c == '\n' || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')));
    // Plot at twice its size, as coordinates are whole pixels; shown at the size of the layout.
    let size = |scale: u32| format!("width=\"{}\" height=\"{}\"", WIDTH / scale, HEIGHT / scale);
    let svg = svg.replacen(&size(1), &size(2), 1);
    let png = rasterise(&svg).with_context(|| format!("cannot rasterise {name}"))?;
    Ok(Plot { name, svg, png })
}

fn rasterise(svg: &str) -> Result<Vec<u8>> {
    let mut fonts = usvg::fontdb::Database::new();
    for font in [REGULAR, MEDIUM] {
        fonts.load_font_source(usvg::fontdb::Source::Binary(Arc::new(font)));
    }
    let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options)?;
    let mut pixels = tiny_skia::Pixmap::new(WIDTH, HEIGHT).context("a plot without pixels")?;
    let scale = WIDTH as f32 / tree.size().width();
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

pub fn font(size: u32, color: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    // The SVG backend divides by 1.24, what FreeType would make of a size.
    let size = f64::from(size) * 1.24;
    (FontFamily::from(FAMILY), size).into_font().color(&color).pos(Pos::new(h, v))
}

pub fn bold(size: u32, color: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    let size = f64::from(size) * 1.24;
    (FontFamily::from(FAMILY), size, FontStyle::Bold).into_font().color(&color).pos(Pos::new(h, v))
}

pub fn text_width(area: &Area, text: &str, style: &TextStyle) -> Result<i32> {
    // The estimate takes the size to be that of a line, not of an em: a few per cent too wide,
    // never too narrow.
    Ok(area.estimate_text_size(text, style)?.0 as i32)
}

/// `text`, with its end left out where it is wider than `width` pixels.
pub fn fitted(area: &Area, text: &str, style: &TextStyle, width: i32) -> Result<String> {
    if text_width(area, text, style)? <= width {
        return Ok(text.to_owned());
    }
    let mut short: Vec<char> = text.chars().collect();
    while short.pop().is_some() {
        let candidate: String = short.iter().collect::<String>().trim_end().to_owned() + "…";
        if text_width(area, &candidate, style)? <= width {
            return Ok(candidate);
        }
    }
    Ok(String::new())
}

pub fn header(area: &Area, title: &str, subtitle: &str) -> Result<()> {
    let width = WIDTH as i32 - 2 * MARGIN;
    let style = bold(42, INK, HPos::Left, VPos::Top);
    area.draw_text(&fitted(area, title, &style, width)?, &style, (MARGIN, 34))?;
    let style = font(28, MUTED, HPos::Left, VPos::Top);
    area.draw_text(&fitted(area, subtitle, &style, width)?, &style, (MARGIN, 94))?;
    Ok(())
}

/// Draws what stands before a name of the legend, at its left end.
pub type Key<'a> = Box<dyn Fn(i32, i32) -> Result<()> + 'a>;

/// A row of names below the title, or several, each with its key; `before` and `after` a name, in
/// pixels. Hands back where the plot may begin.
pub fn legend<'a>(
    area: &Area,
    [before, after]: [i32; 2],
    entries: impl Iterator<Item = (&'a str, Key<'a>)>,
) -> Result<i32> {
    let style = font(28, INK, HPos::Left, VPos::Center);
    let (mut x, mut y) = (MARGIN, 168);
    for (label, key) in entries {
        let width = before + text_width(area, label, &style)? + after;
        if x > MARGIN && x + width > WIDTH as i32 - MARGIN {
            (x, y) = (MARGIN, y + 46);
        }
        key(x, y)?;
        area.draw_text(label, &style, (x + before, y))?;
        x += width;
    }
    Ok(y + 34)
}

pub fn trials(protocol: &Protocol) -> String {
    let Protocol { kind, trials, measure, .. } = protocol;
    match kind {
        ProtocolKind::Standard | ProtocolKind::Gate => {
            format!("{trials} trials of at least {measure} launches")
        }
        ProtocolKind::Adaptive => format!("{trials} trials or more"),
    }
}

/// The line at the foot, which says how to read the plot; the run's name stands to the right. Below
/// it, what ran in the place of PyTorch's kernels.
pub fn caption(area: &Area, raw: &Raw, text: &str) -> Result<()> {
    let mut y = HEIGHT as i32 - 30;
    let stand_ins: Vec<&str> = raw.stand_ins().into_iter().collect();
    if !stand_ins.is_empty() {
        let style = bold(22, INK, HPos::Left, VPos::Bottom);
        let text = format!("Stand-ins, not PyTorch's kernels: {}.", stand_ins.join(", "));
        let text = fitted(area, &text, &style, WIDTH as i32 - 2 * MARGIN)?;
        area.draw_text(&text, &style, (MARGIN, HEIGHT as i32 - 14))?;
        y -= 14;
    }
    let right = font(22, MUTED, HPos::Right, VPos::Bottom);
    let run = &raw.metadata.run_id;
    area.draw_text(run, &right, (WIDTH as i32 - MARGIN, y))?;
    let left = font(22, MUTED, HPos::Left, VPos::Bottom);
    let width = WIDTH as i32 - 3 * MARGIN - text_width(area, run, &right)?;
    area.draw_text(&fitted(area, text, &left, width)?, &left, (MARGIN, y))?;
    Ok(())
}

pub fn nothing(area: &Area, raw: &Raw) -> Result<()> {
    header(area, &format!("{} — {}", raw.experiment, raw.metadata.device_title()), "")?;
    let center = (WIDTH as i32 / 2, HEIGHT as i32 / 2);
    let style = font(40, MUTED, HPos::Center, VPos::Center);
    area.draw_text("no point was measured", &style, center)?;
    if let Some(failed) = raw.failed().next() {
        let style = font(26, MUTED, HPos::Center, VPos::Center);
        let text = format!("{}: {}", failed.point.case_id, failed.error.replace('\n', " "));
        let text = fitted(area, &text, &style, WIDTH as i32 - 4 * MARGIN)?;
        area.draw_text(&text, &style, (center.0, center.1 + 70))?;
    }
    caption(area, raw, &format!("{} points, all without a result", raw.measurements.len()))
}

pub fn common_shape(raw: &Raw) -> String {
    let mut dtypes: Vec<&str> =
        raw.measurements.iter().map(|row| row.point().dtype.name()).collect();
    dtypes.sort_unstable();
    dtypes.dedup();
    let mut parts = vec![dtypes.join(", ")];
    parts.extend(common_fields(raw).iter().map(|(name, value)| format!("{name} {value}")));
    parts.join(" · ")
}

pub fn common_fields(raw: &Raw) -> Vec<(&'static str, usize)> {
    let mut shapes = raw.measurements.iter().map(|row| fields(&row.point().shape));
    let first = shapes.next().unwrap_or_default();
    shapes.fold(first, |common, shape| {
        common.into_iter().filter(|field| shape.contains(field)).collect()
    })
}

/// What a shape has beside these fields and the swept dimension.
pub fn differing(point: &Point, dim: &str, common: &[(&str, usize)]) -> String {
    let fields = fields(&point.shape).into_iter().filter(|f| f.0 != dim && !common.contains(f));
    fields.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" · ")
}

fn fields(shape: &Shape) -> Vec<(&'static str, usize)> {
    match *shape {
        Shape::Gemm(gemm) => vec![("M", gemm.m), ("N", gemm.n), ("K", gemm.k)],
        Shape::Layer { operations } => vec![("operations", operations)],
        Shape::LowRank(pair) => vec![
            ("M", pair.m),
            ("in", pair.in_features),
            ("out", pair.out_features),
            ("rank", pair.rank),
        ],
        Shape::Sdpa(sdpa) => {
            let mut fields = vec![("batch", sdpa.batch), ("heads", sdpa.n_heads)];
            fields.extend(sdpa.n_kv_heads.map(|heads| ("KV heads", heads)));
            match sdpa.kv_len {
                Some(context) if sdpa.seq_len == 1 => fields.push(("context", context)),
                Some(keys) => fields.extend([("seq_len", sdpa.seq_len), ("keys", keys)]),
                None => fields.push(("seq_len", sdpa.seq_len)),
            }
            fields.push(("head_dim", sdpa.head_dim));
            fields
        }
    }
}
