//! How the results of a type of experiment are shown, as data: table, plots, page, index and advice
//! read it, and know no type.

use super::raw::{Point, Raw, Shape};
use super::summary::Summary;
use clap::ValueEnum;
use serde::Serialize;

/// How the results of a type of experiment are shown.
#[derive(Debug)]
pub struct View {
    /// What the swept dimension is called.
    pub dim: &'static str,
    /// What the drawing of the page shows.
    pub title: &'static str,
    /// How rows are arranged.
    pub layout: Layout,
    /// The plots of the run folder.
    pub plots: &'static [Plot],
    /// What is looked for in the rows, the most telling first.
    pub findings: &'static [Finding],
    /// What `advise` may take the dimension for: the first of these that has a row's dimension;
    /// none of them, if the sweep is of something else.
    pub axes: &'static [Axis],
}

/// Adds its numbers and sentences to a summary.
pub type Finding = fn(&mut Summary, &Raw, &View);

/// How rows are arranged.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    /// Curves over a range of dimensions.
    Sweep,
    /// A few dimensions, and a column for each backend.
    Columns,
    /// A bar for each way to compute a row.
    Bars(&'static Bars),
}

/// A plot of curves, or of the bars of the layout.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// File name without its ending.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What stands on the vertical axis.
    pub quantity: Quantity,
    /// Whether that axis is logarithmic even where the curves lie close to each other.
    pub is_log: bool,
    /// Whether each curve is cut into one for each backend that ran, in a panel for each shape.
    pub by_backend: bool,
}

/// What stands on the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Time of a launch.
    Latency,
    /// Useful operations per second.
    Throughput,
}

impl View {
    /// Whether its curves go over a range of dimensions.
    pub fn is_sweep(&self) -> bool {
        matches!(self.layout, Layout::Sweep)
    }
}

impl Plot {
    /// Times, on an axis that suits them.
    pub const fn latency(name: &'static str, title: &'static str) -> Plot {
        Plot { name, title, quantity: Quantity::Latency, is_log: false, by_backend: false }
    }

    /// Rates, on an axis that suits them.
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
    /// The row itself.
    pub row: Bar,
    /// Its variants.
    pub variants: &'static [Bar],
    /// What rows are compared by.
    pub ratio: Ratio,
    /// What is noted beside each row.
    pub note: Note,
}

/// A way to compute a row.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// The variant's name; empty for the row itself.
    pub variant: &'static str,
    /// Beside its bar on the page.
    pub name: &'static str,
    /// In the legend of the plot.
    pub legend: &'static str,
    /// Title of its column in the table.
    pub column: &'static str,
    /// Title of the column with its ratio, if there is one; the row's is [`Ratio::column`].
    pub ratio_column: Option<&'static str>,
    /// Number of its colour.
    pub color: usize,
}

/// What rows are compared by.
#[derive(Debug)]
pub struct Ratio {
    /// Time of the base over that of the row; else time per useful operation over that of the base.
    pub is_speedup: bool,
    /// Title of its column in the table.
    pub column: &'static str,
    /// What stands behind the number on the page.
    pub words: &'static str,
    /// What it means, below the plot.
    pub caption: &'static str,
    /// What it means, below the table.
    pub note: Option<&'static str>,
}

/// What is noted beside a row.
#[derive(Debug)]
pub struct Note {
    /// Title of its column in the table, if it has one.
    pub column: Option<&'static str>,
    /// A value and its unit.
    pub of: fn(&Point) -> Option<(String, &'static str)>,
}

impl Bars {
    /// What a row is called.
    pub fn name_of(&self, point: &Point) -> String {
        match self.name {
            None => point.dim.to_string(),
            Some(label) => point.text(label).unwrap_or(&point.curve).to_owned(),
        }
    }

    /// The variants that any row has.
    pub fn variants_of(&self, raw: &Raw) -> Vec<&'static Bar> {
        let is_there = |bar: &&'static Bar| {
            raw.measurements.iter().any(|row| row.variants().contains_key(bar.variant))
        };
        self.variants.iter().filter(is_there).collect()
    }

    /// The note of a row as text.
    pub fn note_of(&self, point: &Point) -> Option<String> {
        (self.note.of)(point).map(|(value, unit)| format!("{value} {unit}"))
    }
}

/// What a dimension is a dimension of, as `advise --op` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Attention: head_dim.
    Sdpa,
    /// A GEMM: the dimension that is summed over.
    GemmK,
    /// A GEMM: the columns of the result.
    GemmN,
    /// A GEMM: the rows of the result.
    GemmM,
}

impl Axis {
    /// What its dimension is called.
    pub fn dim_name(self) -> &'static str {
        match self {
            Axis::Sdpa => "head_dim",
            Axis::GemmK => "K",
            Axis::GemmN => "N",
            Axis::GemmM => "M",
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Sdpa => "sdpa",
            Axis::GemmK => "gemm-k",
            Axis::GemmN => "gemm-n",
            Axis::GemmM => "gemm-m",
        }
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
            (Axis::GemmK, Shape::Gemm(shape)) => Some(&mut shape.k),
            (Axis::GemmN, Shape::Gemm(shape)) => Some(&mut shape.n),
            (Axis::GemmM, Shape::Gemm(shape)) => Some(&mut shape.m),
            _ => None,
        }
    }
}
