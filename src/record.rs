//! What is on disk of a run before it is a report: the journal, one JSON line per event.
//!
//! The first line is the [`Header`]; each case timed in a round adds a [`Visit`], each case that cannot be
//! timed a [`Failure`]; [`End`] closes the run. A run that was killed has no `End` and is reported as partial; one that is
//! resumed has a [`Start`] for each process after the first.

use crate::case::Case;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the journal and of the four files of a run folder. A reader refuses another major version.
pub const SCHEMA_VERSION: &str = "1.2";

/// The version of Criterion that drives the measurement, as pinned in Cargo.toml.
pub const CRITERION_VERSION: &str = "0.8.2";

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// What is to be run; always the first line.
    Header(Box<Header>),
    /// A case was timed in a round.
    Visit(Box<Visit>),
    /// A case cannot be timed; later rounds leave it out.
    Failure(Failure),
    /// Another process goes on with the run.
    Start(Start),
    /// Nothing follows, unless the run is resumed.
    End(End),
}

/// What a run is, before anything is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: String,
    /// `YYYYMMDD_HHMMSS_<experiment>`, or the name the user chose.
    pub run_id: String,
    /// Short name of the experiment: S1, S2, G3, G4, P1, HET1.
    pub group: String,
    /// Name of the spec entry.
    pub experiment: String,
    /// The spec entry as run, defaults filled in.
    pub config: Value,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Seed of the data and of the order of cases.
    pub seed: u64,
    /// Launches and rounds.
    pub protocol: Protocol,
    /// `i/n` where this is one shard of a sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The ids of all cases of the sweep, where this is one shard of it; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The machine, for env.json.
    pub env: Value,
    /// What event timing costs on this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Every case of the run, in the order of the spec.
    pub cases: Vec<Case>,
}

/// A process that works on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Where.
    pub hostname: Option<String>,
    /// Slurm's variables of the job, SLURM_RESTART_COUNT among them; null outside of one.
    pub slurm: Value,
}

impl Start {
    /// The start that a header stands for.
    pub fn of(header: &Header) -> Start {
        Start {
            started_at: header.started_at.clone(),
            device: header.device.clone(),
            hostname: header.env["host"]["hostname"].as_str().map(str::to_owned),
            slurm: header.env["slurm"].clone(),
        }
    }
}

/// How often each case is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Whether the counts below are kept, or cut where fewer samples tell as much.
    #[serde(default, rename = "protocol")]
    pub kind: ProtocolKind,
    /// Launches before the first sample of each round, at least.
    pub warmup: usize,
    /// Timed launches in each round, at least.
    pub measure: usize,
    /// Rounds: in each, every case once, in a random order.
    pub trials: usize,
}

impl Protocol {
    /// How often variants are launched: they are there to be compared with their rows, which a quarter of the launches
    /// does. More than half of S1 would be variants.
    pub fn of_variants(self) -> Protocol {
        const SHARE: usize = 4;
        Protocol {
            warmup: self.warmup.div_ceil(SHARE),
            measure: self.measure.div_ceil(SHARE),
            ..self
        }
    }
}

/// How many samples a round takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolKind {
    /// `measure` launches and 20 samples in each round, at least.
    #[default]
    Standard,
    /// As many as the median needs: the last round is as long as the scatter of the earlier ones asks for.
    Adaptive,
}

/// What timing costs on this device, never subtracted from a sample, and what the device can do at its settled clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Smallest step between two different event times, in nanoseconds.
    pub event_tick_ns: f64,
    /// Median time between two events with nothing between them, in nanoseconds.
    pub empty_pair_ns: f64,
    /// Median of an event pair around one launch of an empty kernel that the host enqueued well before, in
    /// nanoseconds: what `isolated` adds to a short kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_launch_ns: Option<f64>,
    /// Time from one empty kernel to the next in a graph, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_node_ns: Option<f64>,
    /// SM clock after burn-in, in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_sm_mhz: Option<u32>,
    /// Whether the clock was steady when burn-in ended, and not merely its time over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_settled: Option<bool>,
    /// What this device reaches; the denominators of the shares of peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Peaks>,
    /// Time of a bandwidth-bound copy over rotating buffers, twice the L2 cache in total, over its time within the
    /// cache: well above 1 where rotation makes caches cold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_over_warm: Option<f64>,
    /// Seconds that burn-in and calibration took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
}

/// The best rates measured on this device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// An 8192 x 8192 x 8192 product of fp16 with float32 accumulation, in TFLOP/s.
    pub fp16_tflops: f64,
    /// The same of bf16.
    pub bf16_tflops: f64,
    /// Device memory read and written by a large copy, in GB/s.
    pub copy_gbs: f64,
}

/// The samples of one case in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// [`Case::id`].
    pub case_id: String,
    /// Round, from 0.
    pub round: usize,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock seconds of the visit: plan, data, verification, warm-up and samples.
    pub wall_s: f64,
    /// Milliseconds per launch, in the order measured.
    pub samples_ms: Vec<f64>,
    /// Launches that each sample averages over (1 for a long operation).
    pub launches_per_sample: usize,
    /// Launches before the first sample.
    pub warmup_launches: usize,
    /// What ran.
    pub ran: Ran,
    /// The same operation timed in other ways; absent on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Aside>,
    /// The state of the card while the samples were taken; absent on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
    /// What `wall_s` was spent on.
    #[serde(default)]
    pub spent: Spent,
}

/// What stands beside the number of record: the same launches, timed in other ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aside {
    /// Milliseconds between two events around a single launch that the host enqueued well before.
    pub isolated_ms: Vec<f64>,
    /// Milliseconds per launch in graphs that rotate over buffers; only the first round has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<Cold>,
    /// Milliseconds between two events around a single launch on an idle GPU, with the host in it: the published way.
    pub as_called_ms: Vec<f64>,
    /// Median time that the host needs to enqueue one launch, in microseconds.
    pub enqueue_us: f64,
}

/// Times with cold caches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cold {
    /// Measured.
    Samples {
        /// Sets of buffers that the launches rotate over.
        buffer_sets: usize,
        /// Milliseconds per launch.
        samples_ms: Vec<f64>,
    },
    /// Not to be had.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

/// Seconds of a visit, by what they were spent on. What is left of its wall time is Criterion's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Making the plan: choosing kernels, allocating.
    pub planning_s: f64,
    /// Waiting for the operands to be filled.
    pub filling_s: f64,
    /// Checking the result.
    pub verifying_s: f64,
    /// Warming up and taking samples of all kinds, capturing graphs included.
    pub measuring_s: f64,
    /// The part of that for which the GPU ran launches between events, warm-up included.
    pub gpu_s: f64,
}

/// What ran, and how it was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The kernels of one launch, in launch order; empty on the CPU.
    pub kernels: Vec<Kernel>,
    /// The attention backend that ran; absent for products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_selected: Option<String>,
    /// Why that backend: asked for by name, or the grounds of AUTO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_reason: Option<String>,
    /// The check against the reference, made before the first sample.
    pub verification: Verification,
    /// The algorithm that the library chose for a product; absent where the library does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
}

/// An algorithm of cuBLASLt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algorithm {
    /// cuBLASLt's number of it.
    pub id: u32,
    /// cuBLASLt's number of the tile, `CUBLASLT_MATMUL_TILE_*`.
    pub tile: u32,
    /// cuBLASLt's number of the pipeline, `CUBLASLT_MATMUL_STAGES_*`.
    pub stages: u32,
    /// Parts that K is split into; 1 is not split.
    pub split_k: u32,
    /// Bytes of workspace that it uses.
    pub workspace_bytes: usize,
    /// Its place among those that the heuristic offered, best guess first, from 0.
    pub rank: usize,
    /// How many were offered.
    pub offered: usize,
}

/// A kernel of the captured graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// Its name, demangled, without its parameters.
    pub name: String,
    /// Thread blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block, in bytes.
    pub smem_bytes: u32,
    /// Blocks that fit on one SM at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks_per_sm: Option<u32>,
    /// Blocks of the grid over those that the GPU holds at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<f64>,
    /// How full the waves are on average, from 0 to 1: the last one may leave SMs idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail_efficiency: Option<f64>,
    /// Elements that rows have to be aligned to, where the kernel's name says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<u32>,
}

impl Kernel {
    /// Elements that the kernel needs rows to be aligned to, read off the names that CUTLASS gives its kernels.
    pub fn alignment_of(name: &str) -> Option<u32> {
        let (_, digits) = name.rsplit_once("align")?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    }
}

/// How far the result lies from a float32 reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Largest `‖row − reference‖ / ‖reference‖` over the sampled rows.
    pub max_rel_error: f64,
    /// What is accepted for this element type.
    pub tolerance: f64,
    /// Rows compared.
    pub rows: usize,
}

/// The state of the card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clocks {
    /// SM clock in MHz.
    pub sm_mhz: u32,
    /// Board power in watts.
    pub power_w: u32,
    /// GPU temperature in degrees Celsius.
    pub temperature_c: u32,
    /// Active clock event reasons by NVML's names; empty when nothing slows the card.
    pub throttle: Vec<String>,
    /// Mean SM clock over the samples of record, in MHz: cycles that an SM counted, over the time. `sm_mhz` is NVML's
    /// reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_sm_mhz: Option<f64>,
}

impl Clocks {
    /// Whether heat or hardware slows the card, see [`is_slowdown`]. Such a time says nothing of the operation.
    pub fn is_slowed(&self) -> bool {
        self.throttle.iter().any(|reason| is_slowdown(reason))
    }

    /// The SM clock in MHz: as counted where it was, else NVML's reading.
    pub fn best_sm_mhz(&self) -> f64 {
        self.counted_sm_mhz.unwrap_or(f64::from(self.sm_mhz))
    }
}

/// Whether a clock event reason is heat or hardware: NVML's HW_SLOWDOWN, HW_THERMAL_SLOWDOWN, HW_POWER_BRAKE_SLOWDOWN and
/// SW_THERMAL_SLOWDOWN. The limit of power is no sign of trouble.
pub fn is_slowdown(reason: &str) -> bool {
    let reason = reason.to_uppercase();
    reason.contains("SLOWDOWN") || reason.contains("THERMAL")
}

/// A case that cannot be timed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Case::id`].
    pub case_id: String,
    /// The round in which it failed.
    pub round: usize,
    /// What kind of failure.
    pub error_kind: ErrorKind,
    /// What happened, for a person.
    pub error: String,
}

/// Why a case has no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The backend does not support the shape on this device.
    Unsupported,
    /// The device has too little memory.
    OutOfMemory,
    /// The result differs from the reference, or another backend's kernel ran.
    WrongResult,
    /// The driver or a library reported an error.
    Cuda,
    /// The run ended before this case had all its rounds.
    Skipped,
}

impl ErrorKind {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::OutOfMemory => "out_of_memory",
            ErrorKind::WrongResult => "wrong_result",
            ErrorKind::Cuda => "cuda",
            ErrorKind::Skipped => "skipped",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Complete, or ended early.
    pub status: Status,
    /// Wall-clock seconds from the header to here, resumed parts added up.
    pub wall_s: f64,
}

/// Whether a run has everything its spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every case has all its rounds, or an error.
    Complete,
    /// Some are missing.
    Partial,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_alignment_that_its_kernel_needs() {
        for (name, alignment) in [
            ("cutlass_75_tensorop_f16_s1688gemm_f16_128x128_nn_align1", Some(1)),
            (
                "cutlass::Kernel2<cutlass_80_tensorop_f16_s16816gemm_f16_256x128_32x3_nn_align2>",
                Some(2),
            ),
            ("nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_NNT", None),
            ("align", None),
        ] {
            assert_eq!(Kernel::alignment_of(name), alignment, "{name}");
        }
    }

    #[test]
    fn heat_and_hardware_slow_a_card_and_its_power_limit_does_not() {
        let clocks = |reason: &str| Clocks {
            sm_mhz: 1000,
            power_w: 1,
            temperature_c: 1,
            throttle: vec![reason.to_owned()],
            counted_sm_mhz: None,
        };
        for reason in
            ["HW_SLOWDOWN", "HW_THERMAL_SLOWDOWN", "SW_THERMAL_SLOWDOWN", "HW_POWER_BRAKE_SLOWDOWN"]
        {
            assert!(clocks(reason).is_slowed(), "{reason}");
        }
        assert!(!clocks("SW_POWER_CAP").is_slowed());
    }
}
