//! Before the first trial: the settled clock, what timing costs on this card, what it can do, and
//! the wait until none of that is felt any more.

use crate::device::cuda::{Graph, Tensor};
use crate::device::nvml::Monitor;
use crate::device::{Clock, Cuda, Mark};
use crate::measure::record::{Calibration, Peaks, ProtocolKind};
use crate::measure::settle::settle;
use crate::ops::{Plan, gemm::CublasLtGemm};
use crate::stats::median;
use crate::workload::{CaseError, DType, ErrorKind, Gemm, GemmLayout, GemmShape, Precision};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Time between clock readings, and how many consecutive ones have to agree.
const WINDOW: Duration = Duration::from_millis(100);
const WINDOWS: usize = 3;
/// How far they agree: a little more than a step of the clock, 15 MHz.
const AGREEMENT: f64 = 0.011;
/// Warm-up without NVML.
const BLIND_BURN_IN: Duration = Duration::from_secs(1);
/// Event pairs with nothing between them.
const PAIRS: usize = 500;
/// Single launches of an empty kernel: few enough to be enqueued while the GPU is held back.
const EMPTY_LAUNCHES: usize = 32;
/// Empty kernels in a graph.
const NODES: usize = 1000;
/// M, N and K of the GEMM for the peak: it fills every SM many times over.
const PEAK_SIZE: usize = 8192;
/// How long they run before that.
const PEAK_WARM_UP_NS: f64 = 1e8;
/// Bytes of the copy for the peak, many times any cache.
const COPY_BYTES: usize = 1 << 30;
/// Replays of each graph that is timed.
const REPLAYS: usize = 10;

/// Warms up until the SM clock is steady, for `burn_in` at most, measures, and waits for the clock
/// to recover. Peaks are those of fp16, of bf16, and of what else the run's cases are. A process of
/// a gate measures the costs of timing alone: nobody asks it what the card can do.
pub fn calibrate(
    cuda: &Rc<Cuda>,
    monitor: Option<&Monitor>,
    burn_in: Duration,
    kind: ProtocolKind,
    precisions: &[Precision],
) -> Result<Calibration, CaseError> {
    let start = Instant::now();
    let full = match kind {
        ProtocolKind::Gate => None,
        ProtocolKind::Standard | ProtocolKind::Adaptive => {
            Some(ability(cuda, monitor, burn_in, precisions)?)
        }
    };
    let clock = Clock::events(cuda.stream().clone());
    let mut pairs_ns = pairs_ns(&clock)?;
    pairs_ns.sort_by(f64::total_cmp);
    let steps = pairs_ns.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.5);
    let tick_ns = steps.fold(f64::INFINITY, f64::min);
    Ok(Calibration {
        // All pairs equal: the tick is longer than they differ, and at most as long as they are.
        event_tick_ns: if tick_ns.is_finite() { tick_ns } else { pairs_ns[0] },
        empty_pair_ns: pairs_ns[PAIRS / 2],
        empty_launch_ns: empty_launch_ns(cuda, &clock)?,
        graph_node_ns: Some(graph_node_ns(cuda)?),
        settled_sm_mhz: full.as_ref().and_then(|full| full.settled_sm_mhz),
        clock_settled: full.as_ref().and_then(|full| full.clock_settled),
        peaks: full.as_ref().map(|full| full.peaks),
        cold_over_warm: full.and_then(|full| full.cold_over_warm),
        start: Some(settle(cuda)?),
        wall_s: Some(start.elapsed().as_secs_f64()),
    })
}

/// What the card can do, and at which clock.
struct Ability {
    settled_sm_mhz: Option<u32>,
    clock_settled: Option<bool>,
    peaks: Peaks,
    cold_over_warm: Option<f64>,
}

fn ability(
    cuda: &Rc<Cuda>,
    monitor: Option<&Monitor>,
    burn_in: Duration,
    precisions: &[Precision],
) -> Result<Ability, CaseError> {
    let (settled_sm_mhz, clock_settled) = work_until_steady(cuda, monitor, burn_in)?;
    let peaks = Peaks {
        fp16_tflops: matrix_tflops(cuda, Precision::Fp16)?,
        bf16_tflops: matrix_tflops(cuda, Precision::Bf16)?,
        tf32_tflops: None,
        fp32_tflops: None,
        fp8_e4m3_tflops: None,
        copy_gbs: copy_gbs(cuda)?,
    };
    let peaks = with_peaks_of(cuda, peaks, precisions)?;
    Ok(Ability { settled_sm_mhz, clock_settled, peaks, cold_over_warm: cold_over_warm(cuda)? })
}

/// Multiplies until three clock readings in a row agree, or the time is over. Returns the last, and
/// whether they agreed; nothing is known without NVML.
fn work_until_steady(
    cuda: &Rc<Cuda>,
    monitor: Option<&Monitor>,
    limit: Duration,
) -> Result<(Option<u32>, Option<bool>), CaseError> {
    let shape = GemmShape { m: 4096, n: 4096, k: 4096 };
    let mut plan = CublasLtGemm::new(cuda, Gemm::dense(shape), DType::Fp16, 0)?;
    let start = Instant::now();
    let mut clocks_mhz: Vec<u32> = Vec::new();
    let limit = if monitor.is_some() { limit } else { limit.min(BLIND_BURN_IN) };
    while start.elapsed() < limit {
        let window = Instant::now();
        while window.elapsed() < WINDOW {
            (0..50).try_for_each(|_| plan.launch())?;
            cuda.synchronize()?;
        }
        let Some(clocks) = monitor.and_then(Monitor::clocks) else { continue };
        clocks_mhz.push(clocks.sm_mhz);
        let recent = &clocks_mhz[clocks_mhz.len().saturating_sub(WINDOWS)..];
        let (low, high) = (recent.iter().min(), recent.iter().max());
        if let (WINDOWS, Some(&low), Some(&high)) = (recent.len(), low, high)
            && f64::from(high - low) <= AGREEMENT * f64::from(high)
        {
            return Ok((Some(high), Some(true)));
        }
    }
    let sm_mhz = clocks_mhz.last().copied();
    Ok((sm_mhz, sm_mhz.map(|_| false)))
}

/// With the peaks of these precisions that are not known yet. There is none of what the card or its
/// library cannot do: the cases of it say why.
pub fn with_peaks_of(
    cuda: &Rc<Cuda>,
    peaks: Peaks,
    precisions: &[Precision],
) -> Result<Peaks, CaseError> {
    let tflops = |known: Option<f64>, precision| {
        if known.is_some() || !precisions.contains(&precision) {
            return Ok(known);
        }
        match matrix_tflops(cuda, precision) {
            Err(error) if error.kind == ErrorKind::Unsupported => Ok(None),
            tflops => tflops.map(Some),
        }
    };
    Ok(Peaks {
        tf32_tflops: tflops(peaks.tf32_tflops, Precision::Tf32)?,
        fp32_tflops: tflops(peaks.fp32_tflops, Precision::Fp32)?,
        fp8_e4m3_tflops: tflops(peaks.fp8_e4m3_tflops, Precision::Fp8E4m3)?,
        ..peaks
    })
}

fn matrix_tflops(cuda: &Rc<Cuda>, precision: Precision) -> Result<f64, CaseError> {
    let layout = match precision {
        Precision::Fp8E4m3 => GemmLayout::Nt,
        _ => GemmLayout::Nn,
    };
    let shape = GemmShape { m: PEAK_SIZE, n: PEAK_SIZE, k: PEAK_SIZE };
    let gemm = Gemm { layout, ..Gemm::dense(shape) };
    let mut plan = CublasLtGemm::new(cuda, gemm, precision, 0)?;
    let graph = Graph::capture(cuda, 1, || plan.launch())?;
    // Power, and with it the clock, depends on the numbers multiplied: each type settles by itself.
    let warm_up = PEAK_WARM_UP_NS / graph.replay_ns(cuda, 1)?;
    graph.replay_ns(cuda, warm_up.ceil() as usize)?;
    Ok(gemm.shape.flops() / graph.replay_ns(cuda, REPLAYS)? * 1e-3)
}

fn copy_gbs(cuda: &Cuda) -> Result<f64, CaseError> {
    let mut buffers = Buffers::new(cuda, COPY_BYTES / 2)?;
    let graph = Graph::capture(cuda, 1, || buffers.copy(cuda))?;
    Ok(2.0 * COPY_BYTES as f64 / graph.replay_ns(cuda, REPLAYS)?)
}

/// What is copied, and where to.
struct Buffers {
    from: Tensor,
    to: Tensor,
}

impl Buffers {
    fn new(cuda: &Cuda, elements: usize) -> Result<Self, CaseError> {
        let (mut from, to) = (cuda.alloc(elements)?, cuda.alloc(elements)?);
        let data = [1, elements];
        cuda.kernels().fill_normal(&mut from, DType::Fp16, (0, 0), data, data)?;
        Ok(Buffers { from, to })
    }

    fn copy(&mut self, cuda: &Cuda) -> Result<(), CaseError> {
        Ok(cuda.kernels().copy(&self.from, &mut self.to)?)
    }
}

/// A copy within an eighth of the L2 cache, over and over; and the same copy on rotating buffers,
/// 2.5 caches in all.
fn cold_over_warm(cuda: &Cuda) -> Result<Option<f64>, CaseError> {
    const SETS: usize = 20;
    let elements = cuda.properties().l2_bytes as usize / 8 / 2 / size_of::<u16>();
    if elements == 0 {
        return Ok(None);
    }
    let mut sets: Vec<Buffers> =
        (0..SETS).map(|_| Buffers::new(cuda, elements)).collect::<Result<_, _>>()?;
    let warm = Graph::capture(cuda, SETS, || sets[0].copy(cuda))?;
    let cold = Graph::capture(cuda, 1, || sets.iter_mut().try_for_each(|set| set.copy(cuda)))?;
    Ok(Some(cold.replay_ns(cuda, REPLAYS)? / warm.replay_ns(cuda, REPLAYS)?))
}

fn pairs_ns(clock: &Clock) -> Result<Vec<f64>, CaseError> {
    let pairs: Vec<(Mark, Mark)> =
        (0..PAIRS).map(|_| Ok((clock.mark()?, clock.mark()?))).collect::<Result<_, CaseError>>()?;
    Ok(clock.elapsed_each_ns(&pairs)?)
}

fn empty_launch_ns(cuda: &Cuda, clock: &Clock) -> Result<Option<f64>, CaseError> {
    let mut pairs = Vec::new();
    let held = cuda.held_back(|| {
        for _ in 0..EMPTY_LAUNCHES {
            let start = clock.mark()?;
            cuda.kernels().empty()?;
            pairs.push((start, clock.mark()?));
        }
        Ok::<_, CaseError>(())
    })?;
    Ok(median(&clock.elapsed_each_ns(&pairs)?).filter(|_| held))
}

fn graph_node_ns(cuda: &Cuda) -> Result<f64, CaseError> {
    let graph = Graph::capture(cuda, NODES, || cuda.kernels().empty())?;
    Ok(graph.replay_ns(cuda, REPLAYS)? / NODES as f64)
}
