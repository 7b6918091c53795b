//! P1 and HET1 draw bars: what they are called, and what is said beside them.

use super::data::View;
use super::escape::visible;
use crate::results::findings::pattern;
use crate::results::raw::{Point, Row};
use crate::results::summary::{Padding, Summary};
use crate::units::{percent, ratio};
use std::collections::BTreeMap;

/// What is said of a row and its variants beside their bars.
pub enum Words<'a> {
    /// There are no bars.
    None,
    /// P1.
    Padding {
        point: &'a Point,
        found: Option<&'a Padding>,
    },
    Pattern {
        penalty: Option<f64>,
        variants: Option<&'a BTreeMap<String, f64>>,
    },
}

impl<'a> Words<'a> {
    /// What the summary says of a row.
    pub fn of(view: View, row: &'a Row, summary: &'a Summary) -> Words<'a> {
        let point = row.point();
        match view {
            View::Sweep | View::Backends => Words::None,
            View::Padding => Words::Padding {
                point,
                found: summary
                    .padding
                    .iter()
                    .find(|p| p.curve == point.curve && p.physical_dim == point.dim),
            },
            View::Patterns => {
                let found = summary.heterogeneity.iter().find(|h| h.pattern == pattern(row));
                Words::Pattern {
                    penalty: found.map(|h| h.penalty),
                    variants: found.map(|h| &h.variants),
                }
            }
        }
    }

    /// The name of the bar of a row, or of a variant of it; none where there are no bars.
    pub fn bar(&self, variant: Option<&str>) -> Option<String> {
        match (self, variant) {
            (Words::None, _) => None,
            (Words::Padding { point, .. }, None) => {
                let is_padded = point.number("logical_dim") != Some(point.dim as f64);
                Some(format!(
                    "{} {}",
                    point.dim,
                    if is_padded { "kept padded" } else { "as it is" }
                ))
            }
            (Words::Padding { point, .. }, Some("on_the_fly")) => {
                Some(format!("{} padded on the fly", point.dim))
            }
            (Words::Padding { point, .. }, Some(name)) => {
                Some(visible(&format!("{} {}", point.dim, name.replace('_', " "))))
            }
            (Words::Pattern { .. }, None) => Some("one after the other".to_owned()),
            (Words::Pattern { .. }, Some(name)) => Some(match name {
                "sum_of_parts" => "parts timed apart, added up".to_owned(),
                "grouped" => "one grouped call".to_owned(),
                "padded" => "padded to the largest".to_owned(),
                "concurrent" => "parts side by side".to_owned(),
                other => visible(&other.replace('_', " ")),
            }),
        }
    }

    /// What it gains or costs against the rest.
    pub fn verdict(&self, variant: Option<&str>) -> Option<String> {
        match self {
            Words::None => None,
            Words::Padding { found, .. } => {
                let found = (*found)?;
                let memory = found.memory_overhead_pct.filter(|_| variant.is_none());
                let memory = memory.map(|pct| format!(", +{} memory", percent(pct)));
                let gain = match variant {
                    None => found.gain,
                    Some("on_the_fly") => found.on_the_fly_gain?,
                    Some(_) => return None,
                };
                Some(format!("{} as fast{}", ratio(gain), memory.unwrap_or_default()))
            }
            Words::Pattern { penalty, variants } => {
                let penalty = match variant {
                    None => (*penalty)?,
                    Some(name) => *(*variants)?.get(name)?,
                };
                Some(format!("{} uniform", ratio(penalty)))
            }
        }
    }
}
