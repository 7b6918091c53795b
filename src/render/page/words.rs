//! What bars are called, and what is said beside them.

use super::escape::visible;
use crate::results::compared::Compared;
use crate::results::raw::Point;
use crate::results::view::Bars;
use crate::units::ratio;

/// The title of a panel of the curve, or of a row.
pub fn panel(bars: &Bars, point: &Point, curve: &str) -> String {
    if bars.by_curve { curve.to_owned() } else { visible(&bars.name_of(point)) }
}

/// The name of the bar of a row, or of a variant of it; in a panel of several rows with the row's.
pub fn bar(bars: &Bars, point: &Point, variant: Option<&str>) -> String {
    let way = match variant {
        None => bars.base.filter(|_| (bars.is_base)(point)).unwrap_or(bars.row.name).to_owned(),
        Some(name) => {
            let known = bars.variants.iter().find(|bar| bar.variant == name);
            known.map_or_else(|| name.replace('_', " "), |bar| bar.name.to_owned())
        }
    };
    visible(&if bars.by_curve { format!("{} {way}", bars.name_of(point)) } else { way })
}

/// What it gains or costs against the base, and for the row itself its note.
pub fn verdict(bars: &Bars, found: &Compared, variant: Option<&str>) -> Option<String> {
    let words = bars.ratio.words;
    match variant {
        Some(name) => Some(format!("{} {words}", ratio(*found.variants.get(name)?))),
        None => {
            let note = bars.note_of(&found.row.point).map(|note| format!(", {note}"));
            Some(format!("{} {words}{}", ratio(found.ratio), note.unwrap_or_default()))
        }
    }
}
