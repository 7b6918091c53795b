//! M1: the layers of a model, as a compression left them, dense, and rounded: what each operation
//! takes, and what a whole layer does.

pub mod architecture;
mod choose;
mod entry;
pub mod layer;
pub mod part;
mod report;
#[cfg(test)]
mod tests;

use super::prelude::*;

pub use entry::{ModelLayers, Plan};

pub const TYPE: Type = Type {
    name: "model_layers",
    group: "M1",
    bench: "m1_model_layers",
    read: read::<ModelLayers>,
    view: View {
        dim: "dim",
        title: "What a model's dimensions cost",
        layout: Layout::Model,
        plots: &[Plot::latency("m1_plans", "What a model takes, by its dimensions")],
        findings: &[report::add],
        // Advice on a model is in its own report.
        axes: &[],
    },
};
