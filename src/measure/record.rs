//! What a measurement leaves: the samples of a trial, and what they were taken with.

use crate::device::torch::Versions;
use crate::device::{Algorithm, Clocks, Kernel};
use crate::ops::Verification;
use crate::workload::{Precision, Provider};
use serde::{Deserialize, Serialize};

/// How often each case is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Whether the counts below are kept, or cut where fewer samples tell as much.
    #[serde(default, rename = "protocol")]
    pub kind: ProtocolKind,
    /// Launches before the first sample of each trial, at least.
    pub warmup: usize,
    /// Timed launches in each trial, at least.
    pub measure: usize,
    /// Trials: in each, every case once, in a random order.
    pub trials: usize,
}

impl Protocol {
    /// Trials that a case may have: the adaptive protocol makes more of them where a decision is
    /// open.
    pub fn most_trials(self) -> usize {
        const ADAPTIVE: usize = 5;
        match self.kind {
            ProtocolKind::Adaptive => self.trials.max(ADAPTIVE),
            ProtocolKind::Standard | ProtocolKind::Gate => self.trials,
        }
    }

    /// For variants, which are only compared with their rows: more than half of S1 is variants.
    pub fn of_variants(self) -> Protocol {
        const SHARE: usize = 4;
        let part = |launches: usize| launches.div_ceil(SHARE);
        Protocol { warmup: part(self.warmup), measure: part(self.measure), ..self }
    }
}

/// How many samples a trial takes, and how many trials there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolKind {
    /// `measure` launches and 20 samples in each trial, at least.
    #[default]
    Standard,
    /// Few samples in two trials, and further trials of those cases alone that they leave
    /// undecided.
    Adaptive,
    /// The latency alone, `measure` launches and 10 samples in each trial at least: what a process
    /// of a gate takes.
    Gate,
}

impl ProtocolKind {
    /// As a spec has it.
    pub fn name(self) -> &'static str {
        match self {
            ProtocolKind::Standard => "standard",
            ProtocolKind::Adaptive => "adaptive",
            ProtocolKind::Gate => "gate",
        }
    }
}

/// What timing costs on this device, never subtracted, and what it can do at its settled clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Smallest step between two different event times, in nanoseconds.
    pub event_tick_ns: f64,
    /// Median time between two events with nothing between them, in nanoseconds.
    pub empty_pair_ns: f64,
    /// Median of an event pair around one empty kernel that the host enqueued well before, in
    /// nanoseconds: what `isolated` adds to a short kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_launch_ns: Option<f64>,
    /// Time from one empty kernel to the next in a graph, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_node_ns: Option<f64>,
    /// SM clock after burn-in, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_sm_mhz: Option<u32>,
    /// Whether the clock was steady when burn-in ended, and not merely its time over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_settled: Option<bool>,
    /// What this device reaches; the denominators of the shares of peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Peaks>,
    /// Time of a bandwidth-bound copy over rotating buffers, twice the L2 cache in all, over its
    /// time within the cache: well above 1 where rotation makes caches cold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_over_warm: Option<f64>,
    /// The clock when the first trial began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Settled>,
    /// Seconds that burn-in and calibration took; none where an earlier run of the process had them
    /// made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
}

/// The wait for a steady clock before the first trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// SM clock counted under a light load at its end, in MHz; absent where nothing was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<f64>,
    /// Whether it was steady then, and not merely the time over.
    pub steady: bool,
    /// How long the wait was, in seconds.
    pub wait_s: f64,
}

/// The best rates measured on this device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// A GEMM of 8192 x 8192 x 8192 in fp16 with float32 accumulation, in TFLOP/s.
    pub fp16_tflops: f64,
    /// The same of bf16.
    pub bf16_tflops: f64,
    /// The same of tf32, where a case of the run is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tf32_tflops: Option<f64>,
    /// The same of fp32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp32_tflops: Option<f64>,
    /// The same of fp8_e4m3, in the layout nt that it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp8_e4m3_tflops: Option<f64>,
    /// Device memory read and written by a large copy, in GB/s.
    pub copy_gbs: f64,
}

impl Peaks {
    /// That of a precision, where it was measured.
    pub fn tflops(&self, precision: Precision) -> Option<f64> {
        match precision {
            Precision::Fp16 => Some(self.fp16_tflops),
            Precision::Bf16 => Some(self.bf16_tflops),
            Precision::Tf32 => self.tf32_tflops,
            Precision::Fp32 => self.fp32_tflops,
            Precision::Fp8E4m3 => self.fp8_e4m3_tflops,
        }
    }
}

/// The samples of one case in one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// [`crate::workload::Case::id`].
    pub case_id: String,
    /// Trial, from 0.
    pub trial: usize,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock seconds of the trial: plan, data, verification, warm-up and samples.
    pub wall_s: f64,
    /// Milliseconds per launch, in the order measured.
    pub samples_ms: Vec<f64>,
    /// Launches that each sample averages over (1 for a long operation).
    pub launches_per_sample: usize,
    /// Launches before the first sample.
    pub warmup_launches: usize,
    /// What ran.
    pub ran: Ran,
    /// The state of the card while the samples were taken; absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
    /// What `wall_s` was spent on.
    #[serde(default)]
    pub spent: Spent,
}

/// A case timed in other ways, on a GPU, once its trials are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Secondary {
    /// [`crate::workload::Case::id`].
    pub case_id: String,
    /// Milliseconds between two events around a single launch that the host enqueued well before.
    pub isolated_ms: Vec<f64>,
    /// Milliseconds per launch in graphs that rotate over buffers.
    pub cold: Cold,
    /// Milliseconds between two events around a single launch on an idle GPU, launch overhead
    /// included.
    pub per_call_ms: Vec<f64>,
    /// Median time that the host needs to enqueue one launch, in microseconds.
    pub enqueue_us: f64,
    /// Wall-clock seconds of all that.
    pub wall_s: f64,
    /// What they were spent on.
    #[serde(default)]
    pub spent: Spent,
}

/// The energy of a case's launches, by the card's counter, on a GPU that has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// [`crate::workload::Case::id`].
    pub case_id: String,
    /// Joules that the card used from one tick of its counter to another.
    pub joules: f64,
    /// Seconds between these ticks.
    pub seconds: f64,
    /// Launches in that time: it over the mean time of a launch, between events within it.
    pub launches: f64,
    /// How far off `joules` over `launches` may be, in per cent.
    pub uncertainty_pct: f64,
    /// Mean of NVML's power readings meanwhile, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polled_watts: Option<f64>,
    /// Wall-clock seconds of all that, warm-up included.
    pub wall_s: f64,
    /// What they were spent on.
    #[serde(default)]
    pub spent: Spent,
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
    /// Not measured.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

/// Seconds of a trial, by what they were spent on.
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
    /// Whose implementation.
    pub provider: Provider,
    /// Whose versions it ran, where it is PyTorch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pytorch: Option<Versions>,
    /// The kernels of one launch, in launch order; empty on the CPU.
    pub kernels: Vec<Kernel>,
    /// The attention backend that ran; absent for GEMMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_selected: Option<String>,
    /// Why that backend: asked for by name, in whose place, or the grounds of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_reason: Option<String>,
    /// Whether it is a backend of ours in place of PyTorch's, under whose name it was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
    /// The head_dim that Q, K and V are padded to within the launch, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padded_to: Option<usize>,
    /// The check against the reference, made before the first sample.
    pub verification: Verification,
    /// The algorithm that the library chose for a GEMM; absent where it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
}
