//! HET1: what does it cost that the heads of a layer differ in dimension?
//!
//! A layer with heads of one dimension is projected by one product; heads of several need a product for each
//! dimension. Each pattern is timed as those products one after the other. Beside it stand each product on its own,
//! whose sum tells what the change-over costs, all of them in one grouped call, all of them side by side, and one product
//! with every head padded to the largest dimension.

use night_sweep::spec::{Experiment, Kind};
use night_sweep::workload::case::Case;
use night_sweep::workload::operation::Operation;
use std::process::ExitCode;

fn main() -> ExitCode {
    night_sweep::run::run("HET1_head_hetero_batching_penalty", cases)
}

/// A point for each pattern, `HET1/T4096_H32_fp16/mild`, and for a pattern of several groups the variants
/// `part_128x28`, ..., `grouped`, `concurrent` and `padded`. A CPU has no grouped call and leaves that out.
pub fn cases(experiment: &Experiment) -> Option<Vec<Case>> {
    let Kind::HeteroBatching(sweep) = &experiment.kind else { return None };
    let (group, dtype) = (experiment.group(), sweep.dtype);
    let series = format!("T{}_H{}_{}", sweep.total_n, sweep.heads, dtype.name());
    let curve = format!("M=K={}, {} heads, {}", sweep.total_n, sweep.heads, dtype.name());
    let mut cases = Vec::new();
    for (name, pattern) in &sweep.patterns {
        let parts: Vec<_> = pattern.groups.iter().map(|heads| sweep.gemm(heads.n())).collect();
        let operation = match parts[..] {
            [product] => Operation::Gemm(product),
            _ => Operation::GemmSequence(parts.clone()),
        };
        let row = Case::row(&group, &series, name, pattern.n(), dtype, operation)
            .on_curve(&curve)
            .label("pattern", name.as_str())
            .label("num_gemm_calls", parts.len());
        cases.push(row.clone());
        if parts.len() > 1 {
            for (heads, &part) in pattern.groups.iter().zip(&parts) {
                let variant = format!("part_{}x{}", heads.dim, heads.count);
                cases.push(row.variant(&variant, Operation::Gemm(part)));
            }
            cases.push(row.variant("grouped", Operation::GemmGrouped(parts.clone())));
            cases.push(row.variant("concurrent", Operation::GemmConcurrent(parts)));
            cases.push(row.variant("padded", Operation::Gemm(sweep.padded(pattern))));
        }
    }
    Some(cases)
}
