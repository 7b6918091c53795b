//! What a header has to keep, whoever wrote it: its names become folders, and its sizes are
//! multiplied.

use crate::files::plain_name;
use crate::journal::record::Header;
use crate::terminal::text::plain;
use crate::workload::case::Case;
use crate::workload::limits::{MAX_CASES, MAX_ELEMENTS, MAX_TRIALS};
use crate::workload::operation::{Gemm, Operation, Sdpa};
use crate::workload::shape::{GemmShape, SdpaShape};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::HashSet;

pub fn header(header: &Header) -> Result<()> {
    for (what, name) in [("run id", &header.run_id), ("group", &header.group)] {
        plain_name(name).map_err(|allowed| anyhow!("{what} {name:?}: allowed is {allowed}"))?;
    }
    let trials = header.protocol.trials;
    ensure!((1..=MAX_TRIALS).contains(&trials), "{trials} trials: allowed are 1 to {MAX_TRIALS}");
    // Each case of a spec may have a few variants.
    let (cases, most) = (header.cases.len(), 10 * MAX_CASES);
    ensure!(cases <= most, "{cases} cases: allowed are up to {most}");
    let mut ids = HashSet::new();
    for case in &header.cases {
        ensure!(ids.insert(&case.id), "two cases have the id {}", case.id);
        check_case(case).with_context(|| case.id.clone())?;
    }
    Ok(())
}

fn check_case(case: &Case) -> Result<()> {
    let parts: Vec<&str> = case.id.split('/').collect();
    let is_plain = |part: &&str| !part.is_empty() && !part.starts_with('.');
    // Criterion prints it as it is.
    ensure!(
        parts.len() == 3 && parts.iter().all(is_plain) && plain(&case.id) == case.id,
        "an id is group/series/point in at most 200 printable characters, and no part starts with \
         a dot"
    );
    ensure!((1..MAX_ELEMENTS).contains(&case.dim), "its dim is {}", case.dim);
    check_operation(&case.operation)
}

fn check_operation(operation: &Operation) -> Result<()> {
    match operation {
        Operation::Gemm(gemm) | Operation::GemmBest(gemm) | Operation::GemmOnTheFly(gemm) => {
            check_gemm(gemm)
        }
        Operation::GemmSequence(gemms)
        | Operation::GemmGrouped(gemms)
        | Operation::GemmConcurrent(gemms) => {
            ensure!(!gemms.is_empty(), "a sequence of no GEMMs");
            gemms.iter().try_for_each(check_gemm)?;
            let columns: usize = gemms.iter().map(|gemm| gemm.shape.n).sum();
            ensure!(columns < MAX_ELEMENTS, "{columns} columns in all are too many");
            Ok(())
        }
        Operation::Cold(warm) => match **warm {
            Operation::Cold(_) => bail!("an operation that is cold twice"),
            _ => check_operation(warm),
        },
        Operation::Layer(parts) => {
            ensure!(!parts.is_empty(), "a layer of nothing");
            let is_nested =
                |part: &Operation| matches!(part, Operation::Layer(_) | Operation::Cold(_));
            ensure!(!parts.iter().any(is_nested), "a layer within a layer");
            parts.iter().try_for_each(check_operation)
        }
        Operation::LowRank([first, second]) => {
            check_gemm(first)?;
            check_gemm(second)?;
            let chained =
                |first: GemmShape, second: GemmShape| first.m == second.m && first.n == second.k;
            let fits = chained(first.shape, second.shape) && chained(first.data, second.data);
            ensure!(fits && first.batch * second.batch == 1, "two GEMMs that are no low-rank pair");
            Ok(())
        }
        Operation::Sdpa(sdpa) | Operation::SdpaOnTheFly(sdpa) | Operation::SdpaKernelOnly(sdpa) => {
            check_sdpa(sdpa)
        }
    }
}

fn check_gemm(gemm: &Gemm) -> Result<()> {
    let batch = gemm.batch;
    for GemmShape { m, n, k } in [gemm.shape, gemm.data] {
        let tensors = [[batch, m, k], [batch, k, n], [batch, m, n]];
        tensors.iter().try_for_each(|dims| tensor(dims))?;
    }
    let is_padded = gemm.shape != gemm.data;
    ensure!(batch == 1 || !is_padded, "a batch of GEMMs has no padding");
    Ok(())
}

fn check_sdpa(sdpa: &Sdpa) -> Result<()> {
    let SdpaShape { batch, seq_len, n_heads, head_dim, .. } = sdpa.shape;
    let (heads, kv_len) = (sdpa.shape.kv_heads(), sdpa.shape.kv_len());
    for tokens in [seq_len, kv_len] {
        tensor(&[batch, n_heads, tokens, head_dim])?;
        tensor(&[batch, n_heads, tokens, sdpa.data_head_dim])?;
    }
    ensure!(
        !sdpa.causal || kv_len == seq_len,
        "a causal mask over {kv_len} keys and {seq_len} queries"
    );
    ensure!(
        heads > 0 && n_heads.is_multiple_of(heads),
        "{n_heads} heads cannot share {heads} KV heads"
    );
    Ok(())
}

/// Refuses what `spec` refuses of a tensor.
fn tensor(dims: &[usize]) -> Result<()> {
    let elements = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    let fits = elements.is_some_and(|elements| (1..MAX_ELEMENTS).contains(&elements));
    ensure!(fits, "a tensor of {dims:?} is none that can be measured");
    Ok(())
}
