//! Which backend AUTO runs where, and what it costs where that changes.

use crate::results::curve::NOTABLE_RATIO;
use crate::results::raw::{Raw, Row};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::units::{list, ratio};
use indexmap::IndexMap;

/// Up to so many dimensions are listed; of more, the first few.
const LISTED: usize = 6;
const FIRST: usize = 5;

/// What AUTO runs on each curve of it; and of all the changes along them, the one that costs most.
pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    let curves: Vec<(&str, Vec<Point>)> = raw
        .curves()
        .into_iter()
        .map(|((_, curve), rows)| (curve, points(&rows)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    // The sentences begin with AUTO themselves.
    let of = |curve: &str| match curve.strip_suffix(AUTO) {
        Some("") => String::new(),
        Some(rest) => format!("{}: ", rest.trim_end_matches(", ")),
        None => format!("{curve}: "),
    };
    for (curve, points) in &curves {
        summary.findings.push(of(curve) + &taken(points, view.dim));
    }
    let changes = curves.iter().filter_map(|(curve, points)| Some((*curve, dearest(points)?)));
    let dearest = changes.max_by(|(_, a), (_, b)| a.costs().total_cmp(&b.costs()));
    if let Some((curve, change)) = dearest.filter(|(_, change)| change.costs() >= NOTABLE_RATIO) {
        let of = if curves.len() > 1 { of(curve) } else { String::new() };
        summary.findings.push(of + &change.sentence(view.dim));
    }
}

const AUTO: &str = "AUTO";

/// What AUTO ran at a dimension.
#[derive(Clone, Debug)]
struct Point {
    dim: usize,
    p50_ms: f64,
    backend: String,
    padded_to: Option<usize>,
    /// How many kernels are one launch; none where they are not known.
    kernels: usize,
}

/// Those of the rows that asked for AUTO, in ascending order.
fn points(rows: &[&Row]) -> Vec<Point> {
    let of_auto = rows.iter().filter(|row| row.backend() == AUTO);
    let mut points: Vec<Point> = of_auto
        .filter_map(|row| {
            let measured = row.measured()?;
            Some(Point {
                dim: measured.point.dim,
                p50_ms: measured.timing.p50,
                backend: row.backend_that_ran().to_owned(),
                padded_to: measured.padded_to,
                kernels: measured.kernels.len(),
            })
        })
        .collect();
    points.sort_by_key(|point| point.dim);
    points
}

/// What runs, wherever: the backend, whether on padded copies, by how many kernels.
type Way<'a> = (&'a str, bool, usize);

impl Point {
    fn way(&self) -> Way<'_> {
        (&self.backend, self.padded_to.is_some(), self.kernels)
    }

    /// Whether it is another backend that runs, or the same one on copies.
    fn differs(&self, other: &Point) -> bool {
        (&self.backend, self.padded_to.is_some()) != (&other.backend, other.padded_to.is_some())
    }

    fn words(&self) -> String {
        let copies = self.padded_to.map(|head_dim| format!(" on copies padded to {head_dim}"));
        format!("{}{}{}", self.backend, copies.unwrap_or_default(), kernels(self.kernels))
    }
}

fn kernels(count: usize) -> String {
    if count > 1 { format!(", {count} kernels") } else { String::new() }
}

fn taken(points: &[Point], dim: &str) -> String {
    let mut taken: IndexMap<Way, Vec<usize>> = IndexMap::new();
    for point in points {
        taken.entry(point.way()).or_default().push(point.dim);
    }
    let way = |(backend, is_padded, count): Way| {
        let copies = if is_padded { " on padded copies" } else { "" };
        // An insertion ends as it begins: `FLASH, 7 kernels, at 107`.
        let kernels = kernels(count);
        let end = if kernels.is_empty() { "" } else { "," };
        format!("{backend}{copies}{kernels}{end}")
    };
    if let (1, Some((only, dims))) = (taken.len(), taken.first()) {
        return match dims[..] {
            [one] => format!("AUTO runs {} at {dim} {one}.", way(*only)),
            _ => format!("AUTO runs {} at all {} {dim}s.", way(*only), dims.len()),
        };
    }
    taken.sort_by(|_, a, _, b| a.len().cmp(&b.len()));
    let last = taken.len() - 1;
    let parts: Vec<String> = taken
        .iter()
        .enumerate()
        .map(|(index, (taken, dims))| {
            let at = match dims.len() {
                ..=LISTED => list(dims),
                // The rest of all, which need no list.
                count if index == last => format!("{count} others"),
                count => {
                    let first: Vec<String> = dims[..FIRST].iter().map(usize::to_string).collect();
                    format!("{} and {} others", first.join(", "), count - FIRST)
                }
            };
            format!("{} at {at}", way(*taken))
        })
        .collect();
    format!("AUTO runs {}.", parts.join("; "))
}

/// A dimension, and the next larger one at which another backend runs, or the same one otherwise
/// padded.
struct Change<'a> {
    from: &'a Point,
    to: &'a Point,
}

impl Change<'_> {
    fn costs(&self) -> f64 {
        self.from.p50_ms / self.to.p50_ms
    }

    fn sentence(&self, dim: &str) -> String {
        let Change { from, to } = self;
        let (from_words, to_words) = (from.words(), to.words());
        format!(
            "{dim} {}: AUTO runs {from_words}; {}: {to_words}. The change costs {}.",
            from.dim,
            to.dim,
            ratio(self.costs())
        )
    }
}

/// The change along a curve that costs most.
fn dearest(points: &[Point]) -> Option<Change<'_>> {
    let changes = points.iter().enumerate().filter_map(|(at, from)| {
        let to = points[at..].iter().find(|to| to.differs(from))?;
        Some(Change { from, to })
    });
    changes.max_by(|a, b| a.costs().total_cmp(&b.costs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PyTorch on an H100: cuDNN where the head_dim is a multiple of 8, FLASH on padded copies
    /// elsewhere.
    fn point(dim: usize) -> Point {
        let padded_to = (!dim.is_multiple_of(8)).then(|| dim.next_multiple_of(8));
        let (backend, kernels) = if padded_to.is_some() { ("FLASH", 7) } else { ("CUDNN", 1) };
        let p50_ms = dim as f64 * if padded_to.is_some() { 2.0 } else { 1.0 };
        Point { dim, p50_ms, backend: backend.to_owned(), padded_to, kernels }
    }

    #[test]
    fn what_auto_runs_is_told_by_backend_and_padding() {
        let points: Vec<Point> = (64..=128).chain((130..=160).step_by(2)).map(point).collect();
        assert_eq!(
            taken(&points, "head_dim"),
            "AUTO runs CUDNN at 64, 72, 80, 88, 96 and 8 others; FLASH on padded copies, 7 \
             kernels, at 68 others."
        );
        let points: Vec<Point> = (104..=109).map(point).collect();
        assert_eq!(
            taken(&points, "head_dim"),
            "AUTO runs CUDNN at 104; FLASH on padded copies, 7 kernels, at 105, 106, 107, 108 and \
             109."
        );
        assert_eq!(taken(&points[..1], "head_dim"), "AUTO runs CUDNN at head_dim 104.");
        assert_eq!(
            taken(&points[1..], "head_dim"),
            "AUTO runs FLASH on padded copies, 7 kernels, at all 5 head_dims."
        );
    }

    #[test]
    fn the_dearest_change_is_to_the_next_dimension_with_another_backend() {
        let mut points: Vec<Point> = (104..=112).map(point).collect();
        points[3].p50_ms = 2.3 * 112.0;
        assert_eq!(
            dearest(&points).unwrap().sentence("head_dim"),
            "head_dim 107: AUTO runs FLASH on copies padded to 112, 7 kernels; 112: CUDNN. The \
             change costs 2.30×."
        );
        // The same backend without copies is a change too; to another size of the copies is none.
        points.iter_mut().for_each(|point| point.backend = "FLASH".to_owned());
        assert_eq!(dearest(&points).unwrap().to.dim, 112);
        assert!(dearest(&points[1..8]).is_none());
        assert!(dearest(&[]).is_none());
    }
}
