//! HET1: what it costs that the heads of a layer differ in dimension.

use super::gemm::one_provider;
use super::prelude::*;
use indexmap::IndexMap;
use std::collections::HashSet;

pub const TYPE: Type = Type {
    name: "hetero_batching",
    group: "HET1",
    bench: "het1_head_hetero",
    read: read::<HeteroBatching>,
    view: View {
        dim: "dim",
        title: "What uneven head dimensions cost",
        layout: Layout::Bars(&BARS),
        plots: &[Plot::latency("het1_hetero_batching", "What uneven head dimensions cost")],
        findings: &[findings::heterogeneity::add],
        // It sweeps patterns.
        axes: &[],
    },
};

const BARS: Bars = Bars {
    by_curve: false,
    name: Some("pattern"),
    is_base: |point| point.text("pattern") == Some("uniform"),
    base: None,
    row: bar("", "in sequence", "GEMMs one after the other", 0),
    variants: &[
        bar("sum_of_parts", "sum of parts", "parts timed apart, added up", 1),
        bar("grouped", "grouped", "one grouped call", 2),
        bar("padded", "padded", "padded to the largest", 3),
        bar("concurrent", "concurrent", "parts side by side", 4),
    ],
    ratio: Ratio {
        is_speedup: false,
        column: "against uniform",
        words: "uniform",
        caption: "1.3×: time per useful operation against uniform.",
        note: Some("against uniform: time per useful operation, relative to the pattern uniform"),
    },
    note: Note { column: None, of: gemms },
};

const fn bar(
    variant: &'static str,
    column: &'static str,
    legend: &'static str,
    color: usize,
) -> Bar {
    Bar { variant, name: legend, legend, column, ratio_column: None, color }
}

fn gemms(point: &Point) -> Option<(String, &'static str)> {
    let calls = point.number("num_gemm_calls")?;
    Some((calls.to_string(), if calls == 1.0 { "GEMM" } else { "GEMMs" }))
}

/// Projections of `total_N` tokens from `total_N` features to the heads of each pattern.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeteroBatching {
    #[serde(default = "fp16")]
    dtype: Precision,
    /// M and K of every GEMM; the published name says N because a uniform pattern is as wide.
    #[serde(rename = "total_N")]
    total_n: Size,
    #[serde(rename = "H")]
    heads: Size,
    /// Whose GEMMs all of them are.
    #[serde(default, deserialize_with = "one_provider")]
    provider: ProviderChoice,
    patterns: IndexMap<String, Pattern>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {groups: [{dim, count}]}")]
struct Pattern {
    groups: List<HeadGroup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {dim, count}")]
struct HeadGroup {
    dim: Size,
    count: Size,
}

impl HeadGroup {
    fn n(self) -> usize {
        self.dim.get() * self.count.get()
    }
}

impl Pattern {
    fn n(&self) -> usize {
        self.groups.iter().map(|group| group.n()).sum()
    }

    fn largest_dim(&self) -> usize {
        self.groups.iter().map(|group| group.dim.get()).max().unwrap_or(0)
    }

    fn heads(&self) -> usize {
        self.groups.iter().map(|group| group.count.get()).sum()
    }
}

impl HeteroBatching {
    fn gemm(&self, n: usize) -> Gemm {
        let shape = GemmShape { m: self.total_n.get(), n, k: self.total_n.get() };
        Gemm { provider: self.provider, ..Gemm::dense(shape) }
    }

    fn padded(&self, pattern: &Pattern) -> Gemm {
        let padded = self.gemm(pattern.largest_dim() * self.heads.get());
        Gemm { data: self.gemm(pattern.n()).shape, ..padded }
    }

    fn check_pattern(&self, name: &str, pattern: &Pattern) -> Result<(), Problem> {
        let key = format!("patterns.{name}");
        if !is_plain(name) {
            let allowed = "1 to 32 letters, digits or any of _.-, no dot first";
            return Err(problem(
                &key,
                format!("a pattern's name stands in ids; allowed are {allowed}"),
            ));
        }
        let mut dims = HashSet::new();
        if let Some(group) = pattern.groups.iter().find(|group| !dims.insert(group.dim)) {
            let what = format!("two groups have dim {}: make them one, counts added", group.dim);
            return Err(problem(&key, what));
        }
        if pattern.heads() != self.heads.get() {
            let (sum, heads) = (pattern.heads(), self.heads);
            return Err(problem(
                &key,
                format!("its counts sum to {sum}; they have to sum to H, {heads}"),
            ));
        }
        // No group and no sum of groups is wider than the pattern padded to its largest dimension.
        let Some(padded) = pattern.largest_dim().checked_mul(self.heads.get()) else {
            return Err(problem(&key, "dim times H overflows"));
        };
        check::gemm(&key, &self.gemm(padded))
    }
}

impl Sweep for HeteroBatching {
    fn check(&self) -> Result<(), Problem> {
        if self.dtype == Precision::Fp8E4m3 {
            let what = "fp8_e4m3 needs `layout: nt`, and this type has no layouts";
            return Err(problem("dtype", what));
        }
        if self.patterns.is_empty() {
            return Err(problem("patterns", "there is none: it needs at least one"));
        }
        let cases = self.patterns.values().map(|pattern| 2 + pattern.groups.len()).sum();
        check::cases("patterns", 0..cases, 1)?;
        self.patterns.iter().try_for_each(|(name, pattern)| self.check_pattern(name, pattern))
    }

    /// A point for each pattern, `HET1/T4096_H32_fp16/mild`, and for a pattern of several groups
    /// the variants `part_128x28`, ..., `grouped`, `concurrent` and `padded`. A CPU has no grouped
    /// call and leaves that out, and PyTorch has none.
    fn cases(&self, group: &str) -> Vec<Case> {
        let dtype = self.dtype;
        let (dtype_name, by) = (dtype.name(), self.provider.suffix());
        let series = format!("T{}_H{}_{dtype_name}{by}", self.total_n, self.heads);
        let curve = format!("M=K={}, {} heads, {}", self.total_n, self.heads, dtype.name());
        let mut cases = Vec::new();
        for (name, pattern) in &self.patterns {
            let parts: Vec<_> = pattern.groups.iter().map(|heads| self.gemm(heads.n())).collect();
            let operation = match parts[..] {
                [gemm] => Operation::Gemm(gemm),
                _ => Operation::GemmSequence(parts.clone()),
            };
            let row = Case::row(group, &series, name, pattern.n(), dtype, operation)
                .on_curve(&curve)
                .label("pattern", name.as_str())
                .label("num_gemm_calls", parts.len());
            cases.push(row.clone());
            if parts.len() > 1 {
                for (heads, &part) in pattern.groups.iter().zip(&parts) {
                    let variant = format!("part_{}x{}", heads.dim, heads.count);
                    cases.push(row.variant(&variant, Operation::Gemm(part)));
                }
                if self.provider.is_auto() {
                    cases.push(row.variant("grouped", Operation::GemmGrouped(parts.clone())));
                }
                cases.push(row.variant("concurrent", Operation::GemmConcurrent(parts)));
                cases.push(row.variant("padded", Operation::Gemm(self.padded(pattern))));
            }
        }
        cases
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=32).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}
