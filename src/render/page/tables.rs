//! The tables of a page that depend on its layout: what to pad to, what alignment costs, backends
//! side by side.

use super::escape::{self, html};
use super::model;
use crate::results::curve::cliff::Cliff;
use crate::results::curve::tier::{Class, Tier};
use crate::results::raw::{Raw, Row, marked};
use crate::results::summary::{Curve, Summary};
use crate::results::view::{Layout, View};
use crate::units::{list, percent, ratio, time};
use indexmap::IndexSet;
use std::collections::HashMap;

pub fn of(raw: &Raw, summary: &Summary, view: &View) -> String {
    match view.layout {
        Layout::Sweep => format!("{}{}", padding_advice(summary, view.dim), tiers(summary)),
        Layout::Columns => columns(raw, summary, view.dim),
        Layout::Bars(_) => String::new(),
        Layout::Model => model::of(summary, view.title),
    }
}

/// Cliffs next to each other that are best padded to the same dimension, as one row.
fn padding_advice(summary: &Summary, dim: &str) -> String {
    let mut rows = String::new();
    for curve in &summary.curves {
        for group in curve.cliffs.chunk_by(|a, b| a.pad_to == b.pad_to) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            let dims: Vec<usize> = group.iter().map(|cliff| cliff.dim).collect();
            let dims = match group.len() {
                0..=3 => list(&dims),
                n => format!("{n} dims from {} to {}", first.dim, last.dim),
            };
            rows.push_str(&row(
                &curve.marked(),
                [
                    number(&dims),
                    number(&first.pad_to.to_string()),
                    number(&range(group.iter().map(|cliff| cliff.ratio))),
                    number(&format!("+{}", percent(first.overhead_pct))),
                    number(&range(
                        group
                            .iter()
                            .filter(|c| c.dim % 8 != 0)
                            .filter_map(|c| c.ratio_next_multiple_of_8),
                    )),
                    lines(&change(group)),
                ],
            ));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let head = header(
        "Curve",
        &[
            (dim, true),
            ("Pad to", true),
            ("Faster", true),
            ("Larger by, at most", true),
            ("To next of 8, faster", true),
            ("Kernels", false),
        ],
    );
    section(
        "padding",
        "What to pad to",
        "Dimensions that are slower than a larger one within 16, with 99 % confidence over the \
         whole curve.",
        &head,
        &rows,
    )
}

fn range(ratios: impl Iterator<Item = f64> + Clone) -> String {
    let low = ratios.clone().fold(f64::INFINITY, f64::min);
    let high = ratios.fold(0.0, f64::max);
    match (ratio(low), ratio(high)) {
        _ if low > high => "–".to_owned(),
        (low, high) if low == high => high,
        (low, high) => format!("{low} to {high}"),
    }
}

/// What runs at the first of these cliffs and not where it is padded to, and the other way round.
fn change(group: &[Cliff]) -> [String; 2] {
    let Some(change) = group.iter().find_map(|cliff| cliff.kernel_change.as_ref()) else {
        return ["the same".to_owned(), String::new()];
    };
    let only = |these: &[String], others: &[String]| {
        let mut these: IndexSet<String> =
            these.iter().filter(|name| !others.contains(name)).cloned().collect();
        // There is room for one: PyTorch's fills and copies say least.
        these.sort_by_key(|name| name.starts_with("at::native::"));
        these.iter().map(|name| escape::kernel(name)).collect::<Vec<_>>().join(" + ")
    };
    let (from, to) = (only(&change.from, &change.to), only(&change.to, &change.from));
    // All that is left out may be how often one runs.
    let or_fewer =
        |names: String| if names.is_empty() { "fewer of them".to_owned() } else { names };
    [or_fewer(from), format!("→ {}", or_fewer(to))]
}

fn tiers(summary: &Summary) -> String {
    const CLASSES: [(Class, &str); 5] = [
        (Class::Mod16, "multiple of 16"),
        (Class::Mod8, "of 8"),
        (Class::Mod4, "of 4"),
        (Class::Mod2, "of 2"),
        (Class::Odd, "odd"),
    ];
    if summary.curves.iter().all(|curve| curve.tiers.is_empty()) {
        return String::new();
    }
    let cell = |curve: &Curve, class: Class| {
        let tier: Option<&Tier> = curve.tiers.iter().find(|tier| tier.class == class);
        number(&tier.map_or_else(|| "–".to_owned(), |tier| ratio(tier.multiplier)))
    };
    let rows: String = summary
        .curves
        .iter()
        .map(|curve| {
            let cells = CLASSES.iter().map(|(class, _)| cell(curve, *class));
            row(&curve.marked(), cells)
        })
        .collect();
    let head = header("Curve", &CLASSES.map(|(_, name)| (name, true)));
    section(
        "tiers",
        "What alignment costs",
        "Median time of each class of dimensions over that at the next multiple of 16.",
        &head,
        &rows,
    )
}

fn columns(raw: &Raw, summary: &Summary, dim_name: &str) -> String {
    let ratios: HashMap<(usize, &str), f64> =
        summary.backends.iter().map(|r| ((r.dim, &*r.backend), r.ratio)).collect();
    let cell = |row: Option<&Row>| match row {
        None => number("–"),
        Some(Row::Failed(failed)) => number(&failed.error_kind.words()),
        Some(row @ Row::Measured(measured)) => {
            let ratio = ratios.get(&(measured.point.dim, row.backend()));
            compared(measured.timing.p50, ratio.copied())
        }
    };
    let (backends, by_dim) = raw.by_backend();
    let stand_ins = raw.stand_ins();
    let names = backends.into_iter().map(|name| marked(name, stand_ins.contains(name)));
    let (names, dims): (Vec<String>, Vec<_>) = (names.collect(), by_dim.keys().collect());
    let dims: Vec<String> = dims.into_iter().map(usize::to_string).collect();
    let by_dim: Vec<Vec<Option<&Row>>> = by_dim.into_values().collect();
    let line =
        |name: &String, cells: &mut dyn Iterator<Item = Option<&Row>>| row(name, cells.map(cell));
    // The longer of the two goes downwards.
    let (heads, rows): (_, String) = if names.len() > dims.len() {
        let column = |at: usize| by_dim.iter().map(move |cells| cells[at]);
        let rows = names.iter().enumerate();
        (dims, rows.map(|(at, name)| line(name, &mut column(at))).collect())
    } else {
        let rows = dims.iter().zip(&by_dim);
        (names, rows.map(|(dim, cells)| line(dim, &mut cells.iter().copied())).collect())
    };
    let heads: Vec<(&str, bool)> = heads.iter().map(|name| (&**name, true)).collect();
    let head = header(dim_name, &heads);
    section(
        "backends",
        &format!("Backends by {dim_name}"),
        &format!("Median, and how many times that of the fastest backend at this {dim_name}."),
        &head,
        &rows,
    )
}

/// A line each, cut where the column ends; the whole of it on hovering.
fn lines(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| {
        let line = html(line);
        format!("<div class=\"mono\" title=\"{line}\">{line}</div>")
    });
    format!("<td class=\"names\">{}</td>", lines.collect::<String>())
}

pub(super) fn number(text: &str) -> String {
    format!("<td class=\"number\">{}</td>", html(text))
}

fn compared(ms: f64, against: Option<f64>) -> String {
    let class = if against == Some(1.0) { "best" } else { "" };
    let against = against.map(ratio).unwrap_or_default();
    let (time, against) = (html(&time(ms)), html(&against));
    format!(
        "<td class=\"number\"><span class=\"{class}\">{time}</span> <span \
         class=\"ratio\">{against}</span></td>"
    )
}

pub(super) fn row(head: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: String = cells.into_iter().collect();
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", html(head))
}

/// The name of the first column; the names of the others, and whether they hold numbers.
pub(super) fn header(first: &str, columns: &[(&str, bool)]) -> String {
    let columns = columns.iter().map(|(name, is_number)| {
        let class = if *is_number { " class=\"number\"" } else { "" };
        format!("<th scope=\"col\"{class}>{}</th>", html(name))
    });
    format!(
        "<thead><tr><th scope=\"col\">{}</th>{}</tr></thead>",
        html(first),
        columns.collect::<String>()
    )
}

pub(super) fn section(id: &str, title: &str, note: &str, head: &str, rows: &str) -> String {
    let table = scrolled(id, head, rows);
    format!(
        "<section aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2><p \
         class=\"note\">{note}</p>{table}</section>"
    )
}

/// A table below the title `{id}-title`.
pub(super) fn scrolled(id: &str, head: &str, rows: &str) -> String {
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-labelledby=\"{id}-title\"><table>{head}<tbody>{rows}</tbody></table></div>"
    )
}
