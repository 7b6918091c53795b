//! What a row is of: its case.

use crate::results::raw::{Point, Shape};
use crate::workload::case::Case;
use crate::workload::operation::Operation;
use crate::workload::shape::{GemmShape, LowRankShape};
use anyhow::{Context, Result, ensure};

pub fn point(case: &Case) -> Result<Point> {
    const FIELDS: &str = "\
        isolated cold per_call energy trial_sm_mhz cycles_p50 trial_cycles algorithm case_id \
        series curve dim shape dtype trials total_measurements launches_per_sample timing \
        total_latency_ms timing_raw trial_p50 ci95_p50 autocorrelation_lag1 trial_spread_pct \
        criterion provider pytorch kernels backend_selected backend_reason stand_in padded_to \
        verification clocks flags derived variants error error_kind backend_unsupported";
    for label in case.labels.keys() {
        let is_field = FIELDS.split(' ').any(|field| field == label);
        ensure!(!is_field, "{}: a label may not be called {label}", case.id);
    }
    let shape = shape(&case.operation).with_context(|| case.id.clone())?;
    Ok(Point {
        case_id: case.id.clone(),
        series: case.series().to_owned(),
        curve: case.curve.clone(),
        dim: case.dim,
        labels: case.labels.clone(),
        shape,
        dtype: case.dtype,
    })
}

fn shape(operation: &Operation) -> Result<Shape> {
    Ok(match operation {
        Operation::Cold(warm) => shape(warm)?,
        Operation::Layer(parts) => Shape::Layer { operations: parts.len() },
        Operation::Gemm(gemm) | Operation::GemmBest(gemm) | Operation::GemmOnTheFly(gemm) => {
            Shape::Gemm(gemm.shape)
        }
        Operation::GemmSequence(gemms)
        | Operation::GemmGrouped(gemms)
        | Operation::GemmConcurrent(gemms) => {
            let first = gemms.first().context("an empty sequence")?;
            let n = gemms.iter().map(|gemm| gemm.shape.n).sum();
            Shape::Gemm(GemmShape { n, ..first.shape })
        }
        Operation::LowRank([first, second]) => Shape::LowRank(LowRankShape {
            m: first.shape.m,
            in_features: first.shape.k,
            rank: first.shape.n,
            out_features: second.shape.n,
        }),
        Operation::Sdpa(sdpa) | Operation::SdpaOnTheFly(sdpa) | Operation::SdpaKernelOnly(sdpa) => {
            Shape::Sdpa(sdpa.shape)
        }
    })
}
