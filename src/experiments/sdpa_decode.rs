//! D1: attention of one query over a KV cache, at every head_dim of a range or list.

use super::prelude::*;
use crate::workload::shape::SdpaShape;

pub const TYPE: Type = Type {
    name: "sdpa_decode",
    group: "D1",
    bench: "d1_sdpa_decode",
    read: read::<SdpaDecode>,
    view: View {
        dim: "head_dim",
        title: "Decode attention over head_dim",
        layout: Layout::Sweep,
        plots: &[
            Plot::latency("d1_latency_vs_head_dim", "Decode attention latency over head_dim"),
            Plot {
                quantity: Quantity::Bandwidth,
                ..Plot::latency("d1_bandwidth_vs_head_dim", "Decode attention bandwidth")
            },
        ],
        findings: &[
            findings::possible::add,
            findings::decode::add,
            findings::sweep::add,
            findings::selection::add,
        ],
        axes: &[Axis::Decode],
    },
};

/// What PyTorch's kernels and cuDNN want a head_dim to be a multiple of.
const ALIGNMENT: usize = 8;
/// With a longer [`SdpaDecode::id`], the longest series would pass the 64 bytes of a part.
const LONGEST_ID: usize = 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SdpaDecode {
    #[serde(default = "fp16")]
    dtype: DType,
    batch: Size,
    n_heads: Size,
    /// KV heads, a divisor of `n_heads`; as many as those if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_kv_heads: Option<Size>,
    /// Keys that the cache holds; curves for each.
    contexts: List<Size>,
    head_dim_range: Option<DimRange>,
    head_dims: Option<List<Size>>,
    /// The last head_dim that is `head_dim_step_1` from the one before.
    head_dim_boundary: Option<Size>,
    head_dim_step_1: Option<Size>,
    head_dim_step_2: Option<Size>,
    /// Who is asked; a curve each, at each context.
    #[serde(default = "auto")]
    backend: OneOrList<Backend>,
    #[serde(default)]
    provider: ProviderChoice,
}

impl SdpaDecode {
    fn head_dim(&self) -> Dims<'_> {
        let (range, list) = (self.head_dim_range, self.head_dims.as_ref());
        let (boundary, steps) =
            (self.head_dim_boundary, [self.head_dim_step_1, self.head_dim_step_2]);
        Dims { keys: &HEAD_DIM, range, list, boundary, steps }
    }

    fn fewer_kv_heads(&self) -> Option<Size> {
        self.n_kv_heads.filter(|heads| *heads != self.n_heads)
    }

    fn shape(&self, context: Size, head_dim: usize) -> SdpaShape {
        SdpaShape {
            batch: self.batch.get(),
            seq_len: 1,
            kv_len: Some(context.get()).filter(|context| *context > 1),
            n_heads: self.n_heads.get(),
            n_kv_heads: self.fewer_kv_heads().map(Size::get),
            head_dim,
        }
    }

    /// Our own names say whose they are: `provider` is nothing to them.
    fn attention(&self, context: Size, head_dim: usize, backend: Backend) -> Sdpa {
        let published = backend.is_published();
        let provider = if published { self.provider } else { ProviderChoice::Auto };
        Sdpa { provider, ..Sdpa::dense(self.shape(context, head_dim), backend) }
    }

    /// `b16_c4096_h32`, or `b16_c4096_h32_kv8`.
    fn id(&self, context: Size) -> String {
        let kv_heads = self.fewer_kv_heads().map(|heads| format!("_kv{heads}")).unwrap_or_default();
        format!("b{}_c{context}_h{}{kv_heads}", self.batch, self.n_heads)
    }

    /// `context 4096, batch 16, 32 heads on 8`, and the backend unless AUTO is the only one.
    fn legend(&self, context: Size, backend: Backend) -> String {
        let on = self.fewer_kv_heads().map(|heads| format!(" on {heads}")).unwrap_or_default();
        let shape = format!("context {context}, batch {}, {} heads{on}", self.batch, self.n_heads);
        match *self.backend {
            [Backend::Auto] => shape,
            _ => format!("{shape}, {}", backend.name()),
        }
    }

    fn add(&self, group: &str, context: Size, backend: Backend, cases: &mut Vec<Case>) {
        for head_dim in self.head_dim().points() {
            let attention = self.attention(context, head_dim, backend);
            let mut series = format!("{}_{}", self.id(context), self.dtype.name());
            if backend != Backend::Auto {
                series += &format!("_{}", backend.name());
            }
            series += attention.provider.suffix();
            let (point, operation) = (format!("d{head_dim}"), Operation::Sdpa(attention));
            let row = Case::row(group, &series, &point, head_dim, self.dtype, operation)
                .on_curve(self.legend(context, backend))
                .label("backend", backend.name())
                .label("context", context.get());
            let padded = (!head_dim.is_multiple_of(ALIGNMENT)).then(|| {
                let padded = attention.padded_to(head_dim.next_multiple_of(ALIGNMENT));
                row.variant("padded_cache", Operation::Sdpa(padded))
            });
            cases.push(row);
            cases.extend(padded);
        }
    }
}

impl Sweep for SdpaDecode {
    fn dims(&self) -> Option<Dims<'_>> {
        Some(self.head_dim())
    }

    fn check(&self) -> Result<(), Problem> {
        self.head_dim().check(self.contexts.len() * self.backend.len())?;
        let (heads, kv_heads) = (self.n_heads, self.n_kv_heads.unwrap_or(self.n_heads));
        if !heads.get().is_multiple_of(kv_heads.get()) {
            let what = format!("{kv_heads} does not divide n_heads, {heads}");
            return Err(problem("n_kv_heads", what));
        }
        let largest = self.head_dim().largest().next_multiple_of(ALIGNMENT);
        for &context in &self.contexts {
            check::sdpa("contexts", self.shape(context, largest))?;
            let id = self.id(context);
            if id.len() > LONGEST_ID {
                return Err(problem("contexts", format!("{id} is too long for the ids of cases")));
            }
        }
        Ok(())
    }

    /// A curve for each backend at each context, a point for each head_dim,
    /// `D1/b16_c4096_h32_fp16/d107`; a backend other than AUTO is named,
    /// `D1/b16_c4096_h32_fp16_NS_FLASH_DECODE/d107`. A head_dim that is no multiple of 8 has the
    /// variant `padded_cache`: a cache that is kept at the next one, with zeros.
    fn cases(&self, group: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        for &context in &self.contexts {
            for &backend in &*self.backend {
                self.add(group, context, backend, &mut cases);
            }
        }
        cases
    }
}
