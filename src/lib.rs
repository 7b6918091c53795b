//! Night Sweep: GPU shape sweeps with Criterion.
//!
//! The data flows one way:
//!
//! ```text
//! experiments/*.yaml --spec--> cases --run--> journal.jsonl --results--> raw.json, summary.json
//!                                                 |                              |
//!                            measure: trials      |       render: table, plots, page, index
//!                            ops: plans           |       advise, compare
//!                            device: CUDA, CPU    +--criterion: its files, once all is measured
//! ```
//!
//! The modules, leaves first. Each uses only modules above it; `tests/architecture` checks that.
//!
//! | module | holds |
//! |---|---|
//! | [`stats`], `units` | medians, intervals; times and rates as people read them |
//! | `terminal`, `files` | all that is printed, made harmless; all that is replaced or removed |
//! | [`workload`] | element types, shapes, operations, cases: what is computed |
//! | [`device`] | CUDA and its libraries, PyTorch, NVML, the host's cores: all `unsafe` code |
//! | [`ops`] | plans of GEMMs and attention, a file a backend, and their verification |
//! | [`measure`] | the protocol: [`measure::trial()`] reads from top to bottom |
//! | [`journal`] | what a run measured, on disk: append, read, shard, merge |
//! | [`results`] | from a journal to `raw.json`, and its analysis to `summary.json` |
//! | [`experiments`] | the types, a file each: YAML keys, checks, cases, view |
//! | [`spec`] | a YAML file of experiments |
//! | [`render`] | table, plots, page and index, of results and a view |
//! | [`advise`], `model` | which dimensions to take instead; a model's files, and its spec |
//! | `export` | runs as CSV, and as JSON that other programs load: a file a format |
//! | `process` | benches as child processes, signals, exit codes |
//! | [`compare`] | stored runs, gates of two builds, a card against others of its model |
//! | `criterion` | Criterion's arguments, samples and baselines |
//! | [`run`] | a bench: settings, a session for its runs, sweep, resume, stop, progress |
//! | `fan_out`, [`cli`] | a sweep on several GPUs; a command a file |
//!
//! To add a type of experiment touch: a file in `src/experiments/`, its line in
//! [`experiments::TYPES`], a bench of a few lines and its name in `Cargo.toml`, an entry in the two
//! specs of `experiments/`, a line in the table of README.md. Nothing else knows a type. To add an
//! attention backend: a file in `src/ops/sdpa/`, a line in its `backends`, and its name in
//! [`workload::Backend`]. To add a command: a file in `src/cli/`, and its two
//! lines in `src/cli/mod.rs`.

pub mod advise;
pub mod cli;
pub mod compare;
pub(crate) mod criterion;
pub mod device;
pub mod experiments;
pub(crate) mod export;
pub(crate) mod fan_out;
pub(crate) mod files;
pub mod journal;
pub mod measure;
pub(crate) mod model;
pub mod ops;
pub(crate) mod process;
pub mod render;
pub mod results;
pub mod run;
pub mod spec;
pub mod stats;
pub(crate) mod terminal;
pub(crate) mod units;
pub mod workload;
