//! PyTorch's GEMM beside the library's.

use crate::device::torch::Product;
use crate::results::curve::NOTABLE_RATIO;
use crate::results::raw::{Point, Raw, Row};
use crate::results::summary::Summary;
use crate::results::view::View;
use crate::stats::median;
use crate::units::ratio;
use crate::workload::matrix::GemmLayout;
use crate::workload::provider::Provider;
use std::borrow::Cow;

/// For each curve whose rows have the variant `pytorch`: its time over that of the row.
pub fn add(summary: &mut Summary, raw: &Raw, view: &View) {
    for ((_, curve), rows) in raw.curves() {
        let Some(first) = rows.iter().find_map(|row| row.measured()) else { continue };
        let names = (&*call(&first.point), library(first.provider));
        let compared: Vec<Compared> = rows.iter().filter_map(|row| Compared::of(row)).collect();
        summary.findings.extend(sentence(curve, names, &compared, view.dim));
    }
}

/// A point that has both times.
struct Compared {
    dim: usize,
    ratio: f64,
}

impl Compared {
    fn of(row: &Row) -> Option<Self> {
        let (row, pytorchs) = (row.measured()?, row.variants().get("pytorch")?.p50().ok()?);
        Some(Compared { dim: row.point.dim, ratio: pytorchs / row.timing.p50 })
    }

    /// How far the times are from each other, whichever is longer.
    fn apart(&self) -> f64 {
        self.ratio.max(1.0 / self.ratio)
    }
}

fn sentence(
    curve: &str,
    (call, library): (&str, &str),
    compared: &[Compared],
    dim: &str,
) -> Option<String> {
    let ratios: Vec<f64> = compared.iter().map(|point| point.ratio).collect();
    let median = ratio(median(&ratios)?);
    let of = match compared {
        [only] => format!("at {dim}={}", only.dim),
        _ => format!("(median of {})", compared.len()),
    };
    let farthest = compared.iter().max_by(|a, b| a.apart().total_cmp(&b.apart()));
    let is_notable = |point: &&Compared| {
        // What reads as the median is no more than that.
        compared.len() > 1 && point.apart() > NOTABLE_RATIO && ratio(point.ratio) != median
    };
    let farthest = farthest.filter(is_notable);
    let at = farthest.map(|point| format!("; at {dim}={} {}", point.dim, ratio(point.ratio)));
    let at = at.unwrap_or_default();
    Some(format!("{curve}: {call} takes {median} the time of {library} {of}{at}."))
}

/// What PyTorch was called by, for GEMMs stored as the row's.
fn call(point: &Point) -> Cow<'static, str> {
    let named = |name| GemmLayout::ALL.into_iter().find(|layout| layout.name() == name);
    let layout = point.text("layout").and_then(named).unwrap_or_default();
    let batch = point.number("batch").map_or(1, |batch| batch as usize);
    Product::of(layout, batch).name().to_string_lossy()
}

fn library(provider: Provider) -> &'static str {
    match provider {
        Provider::Cpu => "the gemm crate",
        _ => "cuBLASLt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_told_and_what_is_farthest_from_one() {
        let told = |ratios: &[f64]| {
            let compared = ratios.iter().zip(64..).map(|(&ratio, dim)| Compared { dim, ratio });
            let compared: Vec<Compared> = compared.collect();
            sentence("fp16", ("aten::mm", "cuBLASLt"), &compared, "K")
        };
        let says = "fp16: aten::mm takes 1.00× the time of cuBLASLt (median of 5)";
        let slower = told(&[1.0, 0.99, 1.31, 1.0, 0.8]).unwrap();
        assert_eq!(slower, format!("{says}; at K=66 1.31×."));
        let faster = told(&[1.0, 0.99, 1.31, 1.0, 0.7]).unwrap();
        assert_eq!(faster, format!("{says}; at K=68 0.70×."));
        assert_eq!(told(&[1.0, 0.99, 1.04, 1.0, 0.96]).unwrap(), format!("{says}."));
        let all = "fp16: aten::mm takes 0.56× the time of cuBLASLt (median of 3).";
        assert_eq!(told(&[0.56, 0.558, 0.562]).unwrap(), all);
        let alone = "fp16: aten::mm takes 1.31× the time of cuBLASLt at K=64.";
        assert_eq!(told(&[1.31]).unwrap(), alone);
        assert_eq!(told(&[]), None);
    }
}
