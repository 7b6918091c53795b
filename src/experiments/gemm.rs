//! What the types that sweep a dimension of a GEMM share.

use super::value::Size;
use crate::workload::case::Case;
use crate::workload::matrix::GemmLayout;
use crate::workload::operation::{Gemm, Operation, ProviderChoice};
use crate::workload::precision::{FP8_ALIGNMENT, Precision};
use crate::workload::shape::GemmShape;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which algorithms of the library are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GemmAlgorithms {
    #[default]
    Chosen,
    /// That, and as the variant `best_algorithm` the fastest of all it offers.
    Best,
}

/// Whose GEMMs are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GemmProvider {
    /// The library's.
    #[default]
    Auto,
    Pytorch,
    /// The library's, and as the variant `pytorch` PyTorch's.
    Both,
}

impl<'de> Deserialize<'de> for GemmProvider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_str(ProviderName(&["auto", "pytorch", "both"]))? {
            "pytorch" => GemmProvider::Pytorch,
            "both" => GemmProvider::Both,
            _ => GemmProvider::Auto,
        })
    }
}

/// Reads whose GEMMs a type times that does not compare two of them.
pub(super) fn one_provider<'de, D>(deserializer: D) -> Result<ProviderChoice, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(match deserializer.deserialize_str(ProviderName(&["auto", "pytorch"]))? {
        "pytorch" => ProviderChoice::Pytorch,
        _ => ProviderChoice::Auto,
    })
}

/// One of these names.
struct ProviderName(&'static [&'static str]);

impl Visitor<'_> for ProviderName {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a single word")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'static str, E> {
        match self.0.iter().find(|known| **known == name) {
            Some(known) => Ok(known),
            None if name == "night-sweep" => Err(E::custom(format!(
                "Night Sweep has no GEMM of its own; allowed are {}",
                self.0.join(", ")
            ))),
            None => Err(E::unknown_variant(name, self.0)),
        }
    }
}

/// The keys of a type that say how its GEMMs are stored and timed.
#[derive(Clone, Copy)]
pub struct Options {
    pub layout: GemmLayout,
    pub batch: Size,
    pub algorithms: GemmAlgorithms,
    pub provider: GemmProvider,
}

impl Options {
    /// The library's GEMM of a shape.
    pub fn gemm(self, shape: GemmShape) -> Gemm {
        Gemm { layout: self.layout, batch: self.batch.get(), ..Gemm::dense(shape) }
    }

    /// What these add to a series, `_nt_b128_pytorch`, and to a legend, ` nt, batch 128`: nothing
    /// where they are the default, so that published ids stay as they are.
    fn suffixes(self) -> (String, String) {
        let (mut series, mut legend) = (String::new(), String::new());
        if !self.layout.is_default() {
            series += &format!("_{}", self.layout.name());
            legend += &format!(" {}", self.layout.name());
        }
        if self.is_batch() {
            series += &format!("_b{}", self.batch);
            legend += &format!(", batch {}", self.batch);
        }
        if self.provider == GemmProvider::Pytorch {
            series += ProviderChoice::Pytorch.suffix();
        }
        (series, legend)
    }

    /// An fp8 GEMM whose K or N no library takes, with zeros up to those that it takes; none of a
    /// batch, which nothing pads.
    fn padded(self, gemm: Gemm, dtype: Precision) -> Option<Gemm> {
        let aligned = |size: usize| size.next_multiple_of(FP8_ALIGNMENT);
        let shape = GemmShape { n: aligned(gemm.shape.n), k: aligned(gemm.shape.k), ..gemm.shape };
        let is_needed = dtype == Precision::Fp8E4m3 && shape != gemm.shape && !self.is_batch();
        is_needed.then_some(Gemm { shape, ..gemm })
    }

    fn is_batch(self) -> bool {
        self.batch.get() > 1
    }

    /// The columns `layout` and `batch` where they are not the default.
    fn labelled(self, mut case: Case) -> Case {
        if !self.layout.is_default() {
            case = case.label("layout", self.layout.name());
        }
        if self.is_batch() {
            case = case.label("batch", self.batch.get());
        }
        case
    }
}

/// A curve of GEMMs: its series, the middle part of its ids, and its legend, both without what the
/// options add.
pub struct Line<'a> {
    pub group: &'a str,
    pub series: String,
    pub legend: String,
    pub dtype: Precision,
    pub dim: &'a str,
    pub options: Options,
}

impl Line<'_> {
    /// The row of a GEMM for each value of the swept dimension, and its variants.
    pub fn cases(
        self,
        values: impl Iterator<Item = usize>,
        shape: impl Fn(usize) -> GemmShape,
    ) -> impl Iterator<Item = Case> {
        let Line { group, mut series, mut legend, dtype, dim, options } = self;
        let (of_series, of_legend) = options.suffixes();
        series += &of_series;
        legend += &of_legend;
        values.flat_map(move |value| {
            let librarys = options.gemm(shape(value));
            let pytorchs = Gemm { provider: ProviderChoice::Pytorch, ..librarys };
            let is_pytorchs = options.provider == GemmProvider::Pytorch;
            let own = if is_pytorchs { pytorchs } else { librarys };
            let point = format!("{dim}{value}");
            let row = Case::row(group, &series, &point, value, dtype, Operation::Gemm(own))
                .on_curve(&*legend);
            let row = options.labelled(row);
            let pytorch = (options.provider == GemmProvider::Both)
                .then(|| row.variant("pytorch", Operation::Gemm(pytorchs)));
            let best = (options.algorithms == GemmAlgorithms::Best)
                .then(|| row.variant("best_algorithm", Operation::GemmBest(librarys)));
            let on_the_fly = options
                .padded(own, dtype)
                .map(|gemm| row.variant("on_the_fly", Operation::GemmOnTheFly(gemm)));
            [Some(row), pytorch, best, on_the_fly].into_iter().flatten()
        })
    }
}
