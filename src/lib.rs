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
//! nothing of Criterion. `suite` ties them together. `unsafe` lives under `device/` and in the library wrappers of
//! `gemm` and `sdpa`.
//!
//! A journal may be one shard of a sweep (`shard`): `merge` joins the journals of all into one before it is reported.
//! `fan_out` runs the shards of a sweep on the GPUs of one node, as processes, and merges them.
//!
//! To add an experiment: an entry in `experiments/night_sweep.yaml`, a type in `spec`, a file in `benches/`.
//! To add an attention backend: a file in `sdpa/`, its name in `case`, and its arms in `sdpa/attention.rs` and `sdpa/policy.rs`.

pub mod advise;
pub mod case;
pub mod compare;
pub mod convert;
pub mod criterion_home;
pub mod device;
pub mod env;
pub mod executable;
pub mod fan_out;
pub mod fault;
pub mod files;
pub mod gemm;
pub mod journal;
pub mod measurement;
pub mod merge;
pub mod philox;
pub mod plan;
pub mod planner;
pub mod record;
pub mod report;
pub mod resize;
pub mod runs;
pub mod sdpa;
pub mod settings;
pub mod shape;
pub mod shard;
pub mod spec;
pub mod suite;
pub mod verify;
