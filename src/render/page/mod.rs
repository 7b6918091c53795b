//! report.html: a run in one file that needs no network, for a browser and for paper.
//!
//! Text is built in Rust (`sections`, `tables`), drawings and the table of points by a script from
//! the points as JSON (`data`). Whatever comes from a run passes `escape` on its way.
//!
//! `report.html`, `style.css` and `js/` hold the page as it is written; each script is a part of
//! one module, so that their names stay among them.

mod data;
pub(crate) mod escape;
mod model;
pub(crate) mod sections;
mod tables;
pub(crate) mod template;
mod words;

use crate::experiments;
use crate::results::raw::Raw;
use crate::results::summary::Summary;
use crate::results::view::Layout;
use anyhow::Result;
use escape::html;
use serde_json::Value;

pub const STYLE: &str = include_str!("style.css");

pub const SHARED: &str = concat!(
    include_str!("js/dom.js"),
    include_str!("js/units.js"),
    include_str!("js/scale.js"),
    include_str!("js/curves.js"),
);

const OWN: &str =
    concat!(include_str!("js/bars.js"), include_str!("js/table.js"), include_str!("js/report.js"));

const INTERVAL: &str =
    "“Another run” holds the median of another run on this device 19 times in 20.";

pub fn of(raw: &Raw, summary: &Summary, env: &Value) -> Result<String> {
    let view = experiments::view(&raw.config);
    let hint = match view.layout {
        Layout::Bars(_) => "Point at a bar, or reach it with the Tab key.",
        Layout::Sweep | Layout::Columns | Layout::Model => {
            "Point at a dot; or reach a drawing with the Tab key, then use the arrow keys."
        }
    };
    // What a model takes says more than the drawings of its operations.
    let tables = tables::of(raw, summary, view);
    let (first, chart_title, tables) = match view.layout {
        Layout::Model => (tables, "Its operations, each timed by itself", String::new()),
        _ => (String::new(), view.title, tables),
    };
    let title = format!("{} · {}", raw.experiment, raw.metadata.device_title());
    template::fill(
        include_str!("report.html"),
        &[
            ("title", &html(&title)),
            ("style", STYLE),
            ("group", &html(&raw.metadata.group)),
            ("experiment", &html(&raw.experiment)),
            ("subtitle", &sections::subtitle(raw, summary)),
            (
                "warnings",
                &sections::warnings(
                    "warnings",
                    "Before you believe the numbers",
                    &summary.warnings,
                ),
            ),
            ("findings", &sections::findings(&summary.findings)),
            ("first", &first),
            ("chart_title", chart_title),
            ("hint", hint),
            ("interval", INTERVAL),
            ("tables", &tables),
            ("checks", &sections::checks(&summary.checks)),
            ("protocol", &sections::protocol(raw)),
            ("environment", &sections::facts(env)),
            ("calibration", &sections::calibration(summary)?),
            ("breakdown", &sections::breakdown(&summary.breakdown)?),
            ("config", &sections::source(&raw.config)?),
            ("data", &escape::json(&data::of(raw, summary, view))?),
            ("script", &format!("{SHARED}{OWN}")),
        ],
    )
}
