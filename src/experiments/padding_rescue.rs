//! P1: what padding an awkward dimension to a better one buys back.

use super::prelude::*;
use crate::units::percent;

pub const TYPE: Type = Type {
    name: "padding_rescue",
    group: "P1",
    bench: "p1_padding_rescue",
    read: read::<PaddingRescue>,
    view: View {
        dim: "dim",
        title: "What padding buys back",
        layout: Layout::Bars(&BARS),
        plots: &[Plot::latency("p1_padding_rescue", "What padding buys back")],
        findings: &[findings::padding::add],
        axes: &[Axis::Sdpa, Axis::GemmK, Axis::GemmN],
    },
};

const BARS: Bars = Bars {
    by_curve: true,
    name: None,
    is_base: |point| point.number("logical_dim") == Some(point.dim as f64),
    base: Some("as it is"),
    row: Bar {
        variant: "",
        name: "kept padded",
        legend: "padded, tensors kept padded",
        column: "median",
        ratio_column: None,
        color: 0,
    },
    variants: &[Bar {
        variant: "on_the_fly",
        name: "padded on the fly",
        legend: "padded on the fly, copies timed too",
        column: "on the fly",
        ratio_column: Some("net gain"),
        color: 4,
    }],
    ratio: Ratio {
        is_speedup: true,
        column: "gain",
        words: "as fast",
        caption: "2.0×: that many times as fast as without padding.",
        note: None,
    },
    note: Note { column: Some("memory"), of: memory },
};

fn memory(point: &Point) -> Option<(String, &'static str)> {
    let overhead = point.number("memory_overhead_pct").filter(|pct| *pct > 0.0)?;
    Some((format!("+{}", percent(overhead)), "memory"))
}

/// An attention and some GEMMs, each at a logical dimension padded to several physical ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaddingRescue {
    #[serde(default = "fp16")]
    dtype: DType,
    logical_head_dim: Size,
    /// What it is padded to; the logical dimension itself stands for no padding.
    pad_options: List<Size>,
    sdpa_shape: AttentionSize,
    /// The GEMMs; K or N of each is the logical dimension.
    gemm_shapes: List<GemmSize>,
    /// Of the attention; the GEMMs are the library's, unless it is `pytorch`.
    #[serde(default)]
    provider: ProviderChoice,
    #[serde(default)]
    causal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map {M, N, K}")]
struct GemmSize {
    #[serde(rename = "M")]
    m: Size,
    #[serde(rename = "N")]
    n: Size,
    #[serde(rename = "K")]
    k: Size,
}

impl PaddingRescue {
    /// The attention padded to `physical`; AUTO chooses its backend.
    fn sdpa(&self, physical: usize) -> Sdpa {
        let padded = self.sdpa_shape.attention(physical, Backend::Auto, self.provider, self.causal);
        Sdpa { data_head_dim: self.logical_head_dim.get(), ..padded }
    }

    fn gemm(&self, size: GemmSize, pads_k: bool, physical: usize) -> Gemm {
        let data = GemmShape { m: size.m.get(), n: size.n.get(), k: size.k.get() };
        let shape = match pads_k {
            true => GemmShape { k: physical, ..data },
            false => GemmShape { n: physical, ..data },
        };
        let provider = self.gemm_provider();
        Gemm { shape, provider, ..Gemm::dense(data) }
    }

    fn gemm_provider(&self) -> ProviderChoice {
        match self.provider {
            ProviderChoice::NightSweep => ProviderChoice::Auto,
            provider => provider,
        }
    }

    fn memory_overhead_pct(&self, physical: usize) -> f64 {
        let logical = self.logical_head_dim.get() as f64;
        (physical as f64 - logical) / logical * 100.0
    }

    /// Whether K is the logical dimension, or else N; none if neither is: no such spec loads.
    fn pads_k(&self, size: GemmSize) -> Option<bool> {
        let logical = self.logical_head_dim;
        (size.k == logical || size.n == logical).then_some(size.k == logical)
    }
}

impl Sweep for PaddingRescue {
    fn check(&self) -> Result<(), Problem> {
        let logical = self.logical_head_dim;
        check::cases("pad_options", 0..self.pad_options.len(), 1 + self.gemm_shapes.len())?;
        for &physical in &self.pad_options {
            if physical < logical {
                let what =
                    format!("{physical} is below logical_head_dim, {logical}: data would be lost");
                return Err(problem("pad_options", what));
            }
            self.sdpa_shape.check("sdpa_shape", physical.get())?;
        }
        for &size in &self.gemm_shapes {
            let pads_k = self.pads_k(size).ok_or_else(|| {
                let GemmSize { m, n, k } = size;
                let what = format!("{{M: {m}, N: {n}, K: {k}}} has nothing to pad");
                problem(
                    "gemm_shapes",
                    format!("{what}: K or N has to be logical_head_dim, {logical}"),
                )
            })?;
            for &physical in &self.pad_options {
                check::gemm("gemm_shapes", &self.gemm(size, pads_k, physical.get()))?;
            }
        }
        Ok(())
    }

    /// A curve for the attention and for each GEMM, a point for each padded size:
    /// `P1/sdpa_b4_s2048_h32_fp16/d107_to_112`, `P1/gemm_reduction_M4096_N4096_fp16/K107_to_112`;
    /// each that is padded has the variant `on_the_fly`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let (dtype, logical) = (self.dtype, self.logical_head_dim);
        let physicals = || self.pad_options.iter().map(|physical| physical.get());
        let labelled = |case: Case, physical: usize| {
            case.label("logical_dim", logical.get())
                .label("physical_dim", physical)
                .label("memory_overhead_pct", self.memory_overhead_pct(physical))
        };

        let mut cases = Vec::new();
        let mut add = |row: Case, on_the_fly: Operation| {
            let is_padded = row.dim != logical.get();
            let variant = is_padded.then(|| row.variant("on_the_fly", on_the_fly));
            cases.push(row);
            cases.extend(variant);
        };
        for physical in physicals() {
            let attention = self.sdpa(physical);
            let size = self.sdpa_shape;
            let series = format!("sdpa_{}", size.series(dtype, &attention, false));
            let point = format!("d{logical}_to_{physical}");
            let operation = Operation::Sdpa(attention);
            let case = Case::row(group, &series, &point, physical, dtype, operation)
                .on_curve(format!("SDPA, {}", size.legend()))
                .label("operation", "SDPA")
                .label("backend", attention.backend.name())
                .masked(attention.causal);
            add(labelled(case, physical), Operation::SdpaOnTheFly(attention));
        }
        for &size in &self.gemm_shapes {
            let Some(pads_k) = self.pads_k(size) else { continue };
            // The published names: K is the dimension summed over, N the width of the result.
            let (shape_type, name, other, kept) = match pads_k {
                true => ("reduction", "K", "N", size.n),
                false => ("projection", "N", "K", size.k),
            };
            let m = size.m;
            let by = self.gemm_provider().suffix();
            let series = format!("gemm_{shape_type}_M{m}_{other}{kept}_{}{by}", dtype.name());
            for physical in physicals() {
                let gemm = self.gemm(size, pads_k, physical);
                let point = format!("{name}{logical}_to_{physical}");
                let operation = Operation::Gemm(gemm);
                let case = Case::row(group, &series, &point, physical, dtype, operation)
                    .on_curve(format!("GEMM, {name} padded, M={m} {other}={kept}"))
                    .label("operation", "GEMM")
                    .label("shape_type", shape_type);
                add(labelled(case, physical), Operation::GemmOnTheFly(gemm));
            }
        }
        cases
    }
}
