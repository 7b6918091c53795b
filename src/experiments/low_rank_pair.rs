//! L1: a low-rank pair at every rank of a list or a range, beside the dense layer it stands for.

use super::prelude::*;
use crate::workload::limits::MAX_FP16_SUM;

pub const TYPE: Type = Type {
    name: "low_rank_pair",
    group: "L1",
    bench: "l1_low_rank_pair",
    read: read::<LowRankPair>,
    view: View {
        dim: "rank",
        title: "Low-rank pairs",
        layout: Layout::Sweep,
        plots: &[Plot {
            is_log: true,
            variants: &[("dense", "dense layer"), ("padded", "rank kept padded to 8")],
            ..Plot::latency("l1_latency_vs_rank", "Low-rank pairs")
        }],
        findings: &[findings::low_rank::add, findings::sweep::add, findings::pytorch::add],
        axes: &[Axis::LowRank],
    },
};

static RANK: DimKeys = DimKeys {
    range: "rank_range",
    list: "rank_values",
    boundary: "rank_boundary",
    steps: ["rank_step_1", "rank_step_2"],
};

/// `y = (x Vᵀ) Uᵀ` as two `nn.Linear`, in the place of one from `in_features` to `out_features`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowRankPair {
    dtypes: List<Precision>,
    in_features: Size,
    out_features: Size,
    #[serde(rename = "M_values")]
    m_values: List<Size>,
    rank_range: Option<DimRange>,
    rank_values: Option<List<Size>>,
    rank_boundary: Option<Size>,
    rank_step_1: Option<Size>,
    rank_step_2: Option<Size>,
    #[serde(default)]
    provider: GemmProvider,
}

impl LowRankPair {
    fn ranks(&self) -> Dims<'_> {
        let (range, list) = (self.rank_range, self.rank_values.as_ref());
        let (boundary, steps) = (self.rank_boundary, [self.rank_step_1, self.rank_step_2]);
        Dims { keys: &RANK, range, list, boundary, steps }
    }

    fn own_provider(&self) -> ProviderChoice {
        match self.provider {
            GemmProvider::Pytorch => ProviderChoice::Pytorch,
            GemmProvider::Auto | GemmProvider::Both => ProviderChoice::Auto,
        }
    }

    fn linear(&self, m: usize, k: usize, n: usize) -> Gemm {
        let dense = Gemm::dense(GemmShape { m, n, k });
        Gemm { layout: GemmLayout::Nt, provider: self.own_provider(), ..dense }
    }

    /// Both, of a rank that is kept padded to `padded`.
    fn pair(&self, m: usize, rank: usize, padded: usize) -> [Gemm; 2] {
        let (k, n) = (self.in_features.get(), self.out_features.get());
        let (first, second) = (self.linear(m, k, rank), self.linear(m, rank, n));
        [
            Gemm { shape: GemmShape { n: padded, ..first.shape }, ..first },
            Gemm { shape: GemmShape { k: padded, ..second.shape }, ..second },
        ]
    }

    /// The points of a curve.
    fn curve(&self, group: &str, m: usize, dtype: Precision) -> Vec<Case> {
        let (k, n) = (self.in_features.get(), self.out_features.get());
        let by = self.own_provider().suffix();
        let series = format!("in{k}_out{n}_M{m}_{}{by}", dtype.name());
        let name = format!("M={m} {}", dtype.name());
        let mut cases = Vec::new();
        for rank in self.ranks().points() {
            let pair = self.pair(m, rank, rank);
            let point = format!("r{rank}");
            let row = Case::row(group, &series, &point, rank, dtype, Operation::LowRank(pair))
                .on_curve(&*name);
            let dense = row.variant("dense", Operation::Gemm(self.linear(m, k, n)));
            let padded_rank = rank.next_multiple_of(ALIGNED);
            let padded = (padded_rank != rank).then(|| {
                row.variant("padded", Operation::LowRank(self.pair(m, rank, padded_rank)))
            });
            let pytorch = (self.provider == GemmProvider::Both).then(|| {
                let provider = ProviderChoice::Pytorch;
                let pair = pair.map(|gemm| Gemm { provider, ..gemm });
                row.variant("pytorch", Operation::LowRank(pair))
            });
            cases.push(row);
            cases.push(dense);
            cases.extend([padded, pytorch].into_iter().flatten());
        }
        cases
    }
}

/// Elements of 16 bits that a load of 16 bytes holds: what the fast kernels ask for.
const ALIGNED: usize = 8;

impl Sweep for LowRankPair {
    fn dims(&self) -> Option<Dims<'_>> {
        Some(self.ranks())
    }

    fn check(&self) -> Result<(), Problem> {
        if self.dtypes.contains(&Precision::Fp8E4m3) {
            let what = "the first layer's result is bf16, which the second cannot take as fp8";
            return Err(problem("dtypes", what));
        }
        self.ranks().check(self.m_values.len().saturating_mul(self.dtypes.len()))?;
        let least = self.in_features.min(self.out_features);
        let largest = self.ranks().largest();
        if largest > least.get() {
            let what = "the smaller width of the layer";
            let key = if self.rank_range.is_some() { RANK.range } else { RANK.list };
            return Err(problem(key, format!("a rank of {largest} is above {least}, {what}")));
        }
        for m in &self.m_values {
            let rank = least.get().next_multiple_of(ALIGNED);
            let [first, second] = self.pair(m.get(), rank, rank);
            check::gemm("M_values", &first)?;
            check::gemm("M_values", &second)?;
        }
        // The result is a sum of as many products of normal numbers.
        let terms = self.in_features.get().saturating_mul(largest);
        if self.dtypes.contains(&Precision::Fp16) && terms > MAX_FP16_SUM {
            let most = MAX_FP16_SUM / self.in_features.get();
            let what = format!(
                "fp16 overflows in the second layer above rank {most} at this in_features: take \
                 bf16"
            );
            return Err(problem("dtypes", what));
        }
        Ok(())
    }

    /// A curve for each M and element type, a point for each rank:
    /// `L1/in4096_out4096_M16_fp16/r107`, with the variants `dense`, `padded` where the rank is no
    /// multiple of 8, and `pytorch`.
    fn cases(&self, group: &str) -> Vec<Case> {
        let of_m = |m: &Size| {
            let m = m.get();
            self.dtypes.iter().flat_map(move |dtype| self.curve(group, m, *dtype))
        };
        self.m_values.iter().flat_map(of_m).collect()
    }
}
