//! The plots of a run, as SVG and as PNG.

pub(crate) mod axis;
mod bars;
pub(crate) mod canvas;
mod curves;
mod panel;
mod stacked;

use crate::experiments;
use crate::results::raw::Raw;
use crate::results::summary::Summary;
use crate::results::view::{self, Layout};
use anyhow::Result;

pub use canvas::{HEIGHT, PALETTE, Plot, WIDTH, common_fields, differing};

pub fn draw(raw: &Raw, summary: &Summary) -> Result<Vec<Plot>> {
    let view = experiments::view(&raw.config);
    let draw = |area: &canvas::Area, plot| match view.layout {
        _ if summary.successful == 0 => canvas::nothing(area, raw),
        Layout::Bars(bars) => bars::draw(area, raw, plot, bars),
        Layout::Model => stacked::draw(area, raw, summary, plot),
        Layout::Sweep | Layout::Columns => curves::draw(area, raw, summary, plot, view),
    };
    let own = view.plots.iter().map(|plot| canvas::plot(plot.name, |area| draw(area, plot)));
    let energy = has_energy(raw, view.layout).then(|| {
        let plot = view::Plot::energy();
        canvas::plot(plot.name, |area| curves::draw(area, raw, summary, &plot, view))
    });
    own.chain(energy).collect()
}

/// Whether there is an energy to draw over a dimension.
fn has_energy(raw: &Raw, layout: Layout) -> bool {
    let has_dim = match layout {
        Layout::Sweep | Layout::Columns => true,
        Layout::Bars(bars) => bars.by_curve,
        Layout::Model => false,
    };
    has_dim && raw.measured().any(|row| row.energy.is_some())
}
