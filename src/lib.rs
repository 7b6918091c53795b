//! Night Sweep: GPU shape sweeps with Criterion.
//!
//! The data flows one way:
//!
//! ```text
//! experiments/*.yaml -> spec -> benches/*.rs -> Vec<Case> -> suite -> journal.jsonl -> report -> target-reports/ -> advise, compare
//!                                                              |
//!                                    gemm, sdpa: plans   measurement: Criterion's clock   device: CPU or CUDA
//! ```
//!
//! `spec`, `shape`, `case`, `record`, `report`, `advise` and `compare` never see CUDA. `gemm` and `sdpa` offer plans and know
//! nothing of Criterion. `suite` ties them together. `unsafe` lives under `device/`.
//!
//! A journal may be one shard of a sweep (`shard`): `merge` joins the journals of all into one before it is reported.
//! `fan_out` runs the shards of a sweep on the GPUs of one node, as processes, and merges them.
//!
//! To add a type of experiment touch: a file in `src/experiments/` (its YAML keys, checks, cases and
//! view), its line in [`experiments::TYPES`], a file in `benches/` and its name in `Cargo.toml`, an
//! entry in `experiments/night_sweep.yaml` and `night_sweep_cpu.yaml`, a line in the table of
//! README.md. Nothing else knows a type.
//! To add an attention backend: a file in `ops/sdpa/`, a line in its `backends`, and its name in
//! [`workload::operation::Backend`].

pub mod advise;
pub mod cli;
pub mod compare;
pub mod criterion;
pub mod device;
pub mod experiments;
pub(crate) mod fan_out;
pub(crate) mod files;
pub mod journal;
pub mod measure;
pub mod ops;
pub mod process;
pub mod render;
pub mod results;
pub mod run;
pub mod spec;
pub mod stats;
pub mod terminal;
pub(crate) mod units;
pub mod workload;
