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
//! To add an experiment: an entry in `experiments/night_sweep.yaml`, a type in `spec`, a file in `benches/`.
//! To add an attention backend: a file in `ops/sdpa/`, a line in its `backends`, and its name in `workload::operation::Backend`.

pub mod advise;
pub mod cli;
pub mod compare;
pub mod criterion;
pub mod device;
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
pub mod units;
pub mod workload;
