//! How the results of a type of experiment are shown, as data: table, plots, page, index and advice
//! read it, and know no type.

use super::raw::{Point, Raw, Shape};
use super::summary::Summary;
use crate::workload::shape::SdpaShape;
use clap::ValueEnum;
use serde::Serialize;

#[derive(Debug)]
pub struct View {
    pub dim: &'static str,
    pub title: &'static str,
    pub layout: Layout,
    pub plots: &'static [Plot],
    /// What is looked for in the rows, the most telling first.
    pub findings: &'static [Finding],
    /// What `advise` may take the dimension for: the first of these that has a row's dimension;
    /// none of them, if the sweep is of something else.
    pub axes: &'static [Axis],
}

pub type Finding = fn(&mut Summary, &Raw, &View);

#[derive(Clone, Copy, Debug)]
pub enum Layout {
    Sweep,
    Columns,
    /// Plans for a model, of what [`Summary::model`] holds.
    Model,
    Bars(&'static Bars),
}

#[derive(Clone, Copy, Debug)]
pub struct Plot {
    pub name: &'static str,
    pub title: &'static str,
    pub quantity: Quantity,
    /// Whether that axis is logarithmic even where the curves lie close to each other.
    pub is_log: bool,
    /// Whether each curve is cut into one for each backend that ran, in a panel for each shape.
    pub by_backend: bool,
    /// Variants with a line of their own, and what a legend calls it.
    pub variants: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Latency,
    Throughput,
    /// As a share of the measured copy bandwidth; in GB/s where none was measured.
    Bandwidth,
    /// Of a launch, of the rows where it was measured.
    Energy,
}

impl View {
    pub fn is_sweep(&self) -> bool {
        matches!(self.layout, Layout::Sweep)
    }
}

impl Plot {
    pub const fn latency(name: &'static str, title: &'static str) -> Plot {
        let quantity = Quantity::Latency;
        Plot { name, title, quantity, is_log: false, by_backend: false, variants: &[] }
    }

    /// What every sweep has where energy was measured.
    pub const fn energy() -> Plot {
        Plot { quantity: Quantity::Energy, ..Plot::latency("energy", "energy of a launch") }
    }

    pub const fn throughput(name: &'static str, title: &'static str) -> Plot {
        Plot { quantity: Quantity::Throughput, ..Plot::latency(name, title) }
    }
}

/// Rows as groups of bars: the row itself, and its variants.
#[derive(Debug)]
pub struct Bars {
    /// A panel for each curve, each with a scale of its own and a group for each dimension; else
    /// all rows on one scale.
    pub by_curve: bool,
    /// The label that names a row; its dimension if none.
    pub name: Option<&'static str>,
    /// Whether the others are compared with this row: those of its curve, or without panels of the
    /// run.
    pub is_base: fn(&Point) -> bool,
    /// What the bar of such a row is called, if not as the others.
    pub base: Option<&'static str>,
    pub row: Bar,
    pub variants: &'static [Bar],
    pub ratio: Ratio,
    pub note: Note,
}

#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub variant: &'static str,
    pub name: &'static str,
    pub legend: &'static str,
    pub column: &'static str,
    /// Title of the column with its ratio, if there is one; the row's is [`Ratio::column`].
    pub ratio_column: Option<&'static str>,
    pub color: usize,
}

#[derive(Debug)]
pub struct Ratio {
    /// Time of the base over that of the row; else time per useful operation over that of the base.
    pub is_speedup: bool,
    pub column: &'static str,
    pub words: &'static str,
    /// What it means, below the plot.
    pub caption: &'static str,
    /// What it means, below the table.
    pub note: Option<&'static str>,
}

#[derive(Debug)]
pub struct Note {
    pub column: Option<&'static str>,
    /// A value and its unit.
    pub of: fn(&Point) -> Option<(String, &'static str)>,
}

impl Bars {
    pub fn name_of(&self, point: &Point) -> String {
        match self.name {
            None => point.dim.to_string(),
            Some(label) => point.text(label).unwrap_or(&point.curve).to_owned(),
        }
    }

    pub fn variants_of(&self, raw: &Raw) -> Vec<&'static Bar> {
        let is_there = |bar: &&'static Bar| {
            raw.measurements.iter().any(|row| row.variants().contains_key(bar.variant))
        };
        self.variants.iter().filter(is_there).collect()
    }

    pub fn note_of(&self, point: &Point) -> Option<String> {
        (self.note.of)(point).map(|(value, unit)| format!("{value} {unit}"))
    }
}

/// What a dimension is a dimension of, as `advise --op` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Attention: head_dim.
    Sdpa,
    /// Attention of one query over a KV cache: head_dim.
    Decode,
    /// A GEMM: the dimension that is summed over.
    GemmK,
    /// A GEMM: the columns of the result.
    GemmN,
    /// A GEMM: the rows of the result.
    GemmM,
    /// Two linear layers in the place of one: the features between them.
    LowRank,
}

impl Axis {
    pub fn dim_name(self) -> &'static str {
        match self {
            Axis::Sdpa | Axis::Decode => "head_dim",
            Axis::GemmK => "K",
            Axis::GemmN => "N",
            Axis::GemmM => "M",
            Axis::LowRank => "rank",
        }
    }

    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The dimension of a shape along this axis; none if it has no such axis.
    pub fn of(self, mut shape: Shape) -> Option<usize> {
        self.slot(&mut shape).copied()
    }

    /// The shape without the dimension: what all points of a curve have in common.
    pub fn rest(self, mut shape: Shape) -> Shape {
        if let Some(dim) = self.slot(&mut shape) {
            *dim = 0;
        }
        shape
    }

    fn slot(self, shape: &mut Shape) -> Option<&mut usize> {
        match (self, shape) {
            (Axis::Sdpa, Shape::Sdpa(shape)) => Some(&mut shape.head_dim),
            (Axis::Decode, Shape::Sdpa(SdpaShape { seq_len: 1, head_dim, .. })) => Some(head_dim),
            (Axis::GemmK, Shape::Gemm(shape)) => Some(&mut shape.k),
            (Axis::GemmN, Shape::Gemm(shape)) => Some(&mut shape.n),
            (Axis::GemmM, Shape::Gemm(shape)) => Some(&mut shape.m),
            (Axis::LowRank, Shape::LowRank(shape)) => Some(&mut shape.rank),
            _ => None,
        }
    }
}
