//! Fault injection, by `NIGHT_SWEEP_FAULT`: what is there to catch a fault can be seen to do so.
//!
//! `slow:<part of an id>:<percent>` makes the launches of the cases whose id holds that part, or
//! one of several (`fp16/K72|bf16/K107`), so much longer. The delay is real work inside the timed
//! region: on the host a busy wait after each launch, in proportion to what that launch took; on a
//! GPU the kernel `spin` in the captured graph.
//!
//! `sticky:<part of an id>` puts a kernel that traps behind every launch of such a case: the CUDA
//! context is lost, as it is after an illegal address. The host has nothing like it; there the
//! launch fails, and so does every later one of the process. `vanished:<part of an id>` does the
//! same on a GPU, and the process that is started for the rest sees none.

use super::Sampler;
use crate::device::{Algorithm, Cuda, Device};
use crate::ops::{Plan, Verification};
use crate::stats::median;
use crate::workload::CaseError;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// A fault to inject, into the cases whose id holds a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Launches take so many per cent longer.
    Slow(String, f64),
    /// A launch leaves the device useless to the process.
    Sticky(String),
    /// The same, and a process started after it has no device.
    Vanished(String),
}

/// What `NIGHT_SWEEP_FAULT` takes.
pub const ALLOWED: &str = "slow:<part of an id>:<percent>, like slow:K107:3 or slow:K72|K80:3; \
     sticky:<part of an id>; vanished:<part of an id>";

/// Launches that settle a plan before its latency is measured, and the samples of that.
const WARM_UP: usize = 10;
const SAMPLES: usize = 60;
/// How long the GPU spins to find out what a spin costs beside its own length.
const PROBE_NS: f64 = 10_000.0;
/// How often the spin is then corrected.
const CORRECTIONS: usize = 3;

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            |parts: &str| parts.split('|').all(|part| !part.is_empty()).then(|| parts.to_owned());
        let slow = |rest: &str| {
            let (cases, percent) = rest.rsplit_once(':')?;
            let percent: f64 = percent.trim_end_matches('%').trim().parse().ok()?;
            let fits = percent > 0.0 && percent <= 1000.0;
            parts(cases).filter(|_| fits).map(|cases| Fault::Slow(cases, percent))
        };
        let (kind, rest) = text.split_once(':').unwrap_or_default();
        match kind {
            "slow" => slow(rest),
            "sticky" => parts(rest).map(Fault::Sticky),
            "vanished" => parts(rest).map(Fault::Vanished),
            _ => None,
        }
        .ok_or_else(|| ALLOWED.to_owned())
    }
}

pub struct Injector {
    fault: Fault,
    device: Device,
    /// The spin of each case that was slowed before: every trial has the same.
    spins: RefCell<HashMap<String, (f64, usize)>>,
    /// Whether the fault has made the CPU useless to this process, as a lost context makes a GPU.
    cpu_is_lost: Rc<Cell<bool>>,
}

impl Injector {
    pub fn new(fault: Fault, device: Device) -> Self {
        Injector { fault, device, spins: RefCell::default(), cpu_is_lost: Rc::default() }
    }

    /// The plan of a case, with the fault in it if it is about this case. An error where the device
    /// is lost.
    pub fn apply(&self, case_id: &str, plan: Box<dyn Plan>) -> Result<Box<dyn Plan>, CaseError> {
        if self.is_lost() {
            return Err(lost());
        }
        let is_meant = |parts: &str| parts.split('|').any(|part| case_id.contains(part));
        let effect = match &self.fault {
            Fault::Slow(parts, percent) if is_meant(parts) => {
                return self.slowed(case_id, *percent, plan);
            }
            Fault::Sticky(parts) | Fault::Vanished(parts) if is_meant(parts) => {
                match &self.device {
                    Device::Cpu => Effect::Lose(self.cpu_is_lost.clone()),
                    Device::Cuda(cuda) => Effect::Trap(cuda.clone()),
                }
            }
            _ => return Ok(plan),
        };
        Ok(Box::new(Faulty { plan, effect }))
    }

    fn slowed(
        &self,
        case_id: &str,
        percent: f64,
        plan: Box<dyn Plan>,
    ) -> Result<Box<dyn Plan>, CaseError> {
        let known = self.spins.borrow().get(case_id).copied();
        if let (Some((delay_ns, every)), Device::Cuda(cuda)) = (known, &self.device) {
            let effect = Effect::Spin { cuda: cuda.clone(), delay_ns, every, launches: 0 };
            return Ok(Box::new(Faulty { plan, effect }));
        }
        let slowed = Faulty::slowed(percent, plan, &self.device)?;
        if let Effect::Spin { delay_ns, every, .. } = slowed.effect {
            self.spins.borrow_mut().insert(case_id.to_owned(), (delay_ns, every));
        }
        Ok(Box::new(slowed))
    }

    /// Whether it has made the CPU useless to this process.
    pub fn is_lost(&self) -> bool {
        self.cpu_is_lost.get()
    }
}

fn lost() -> CaseError {
    CaseError::cuda("fault injection: nothing can be launched in this process any more")
}

/// A plan with a fault in it.
struct Faulty {
    plan: Box<dyn Plan>,
    effect: Effect,
}

enum Effect {
    /// On the host: a busy wait after each launch, this share of what it took. A wait of a fixed
    /// length would have to be measured, and a neighbour makes launches half as long again from one
    /// moment to the next. `clock` is what it costs to read the clock.
    Wait { share: f64, clock: Duration },
    /// On a GPU: a kernel that spins, after every so many launches.
    Spin { cuda: Rc<Cuda>, delay_ns: f64, every: usize, launches: usize },
    /// The launch fails, and the CPU is useless from then on.
    Lose(Rc<Cell<bool>>),
    /// A kernel that traps.
    Trap(Rc<Cuda>),
}

impl Faulty {
    /// Measures `plan`, then makes it slower by `percent`.
    fn slowed(percent: f64, mut plan: Box<dyn Plan>, device: &Device) -> Result<Self, CaseError> {
        let share = percent / 100.0;
        let cuda = match device {
            Device::Cpu => {
                return Ok(Faulty { plan, effect: Effect::Wait { share, clock: clock_cost() } });
            }
            Device::Cuda(cuda) => cuda,
        };
        let spin = |delay_ns: f64, every: f64| {
            let (cuda, every) = (cuda.clone(), every as usize);
            Effect::Spin { cuda, delay_ns, every, launches: 0 }
        };
        let launch_ns = median_launch_ns(plan.as_mut(), device)?;
        let wanted_ns = launch_ns * share;
        // A kernel more in the graph costs some time of its own: more than 3 % of a short launch.
        // So it stands after as many launches as together may take it.
        let mut slowed = Faulty { plan, effect: spin(PROBE_NS, 1.0) };
        let own_ns = (median_launch_ns(&mut slowed, device)? - launch_ns - PROBE_NS).max(0.0);
        let every = (1.25 * own_ns / wanted_ns).ceil().max(1.0);
        let mut delay_ns = every * wanted_ns - own_ns;
        slowed.effect = spin(delay_ns, every);
        // A short spin is not as long as it was asked to be: what is missing is measured and made
        // good. The launch is measured anew beside it, as a card that warms up gets slower by more
        // than that.
        for _ in 0..CORRECTIONS {
            let launch_ns = median_launch_ns(slowed.plan.as_mut(), device)?;
            let missing_ns = launch_ns * (1.0 + share) - median_launch_ns(&mut slowed, device)?;
            delay_ns = (delay_ns + every * missing_ns).max(0.0);
            slowed.effect = spin(delay_ns, every);
        }
        Ok(slowed)
    }
}

impl Plan for Faulty {
    fn launch(&mut self) -> Result<(), CaseError> {
        let start = Instant::now();
        self.plan.launch()?;
        match &mut self.effect {
            Effect::Wait { share, clock } => {
                let took = start.elapsed().saturating_sub(*clock);
                // What comes before the first reading and after the last is one more, and the last
                // is half of one late.
                let until = took.mul_f64(1.0 + *share).saturating_sub(clock.mul_f64(1.5));
                while start.elapsed() < until {}
                Ok(())
            }
            Effect::Spin { cuda, delay_ns, every, launches } => {
                *launches += 1;
                match launches.is_multiple_of(*every) {
                    true => Ok(cuda.kernels().spin(*delay_ns as u64)?),
                    false => Ok(()),
                }
            }
            Effect::Lose(cpu_is_lost) => {
                cpu_is_lost.set(true);
                Err(lost())
            }
            Effect::Trap(cuda) => Ok(cuda.kernels().trap()?),
        }
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.plan.verify()
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.plan.algorithm()
    }

    fn turns(&self) -> usize {
        self.plan.turns()
    }
}

/// What one reading of the host's clock costs: of a busy machine the least.
fn clock_cost() -> Duration {
    const READINGS: u32 = 100;
    let cost = |_| {
        let start = Instant::now();
        (0..READINGS).for_each(|_| _ = std::hint::black_box(start.elapsed()));
        start.elapsed() / READINGS
    };
    (0..10).map(cost).min().unwrap_or_default()
}

fn median_launch_ns(plan: &mut dyn Plan, device: &Device) -> Result<f64, CaseError> {
    let clock = device.clock();
    let mut sampler = Sampler::prepare(device, &clock, plan, None)?;
    sampler.warm_up(WARM_UP)?;
    let samples_ms = sampler.take(SAMPLES)?;
    Ok(median(&samples_ms).unwrap_or_default() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_and_what_is_none_is_not() {
        let slow = |cases: &str, percent| Ok(Fault::Slow(cases.to_owned(), percent));
        assert_eq!("slow:K107:3".parse(), slow("K107", 3.0));
        assert_eq!("slow:G3/fp16/K107:2.5%".parse(), slow("G3/fp16/K107", 2.5));
        assert_eq!("sticky:K107".parse(), Ok(Fault::Sticky("K107".to_owned())));
        assert_eq!("vanished:S1/x".parse(), Ok(Fault::Vanished("S1/x".to_owned())));
        let unknown = ["", "sticky", "sticky:", "vanished:", "slow", "fast:K1:3"];
        let slow = ["slow:K107", "slow::3", "slow:K1:0", "slow:K1:-3", "slow:K1:nan"];
        for wrong in unknown.into_iter().chain(slow) {
            assert_eq!(wrong.parse::<Fault>(), Err(ALLOWED.to_owned()), "{wrong}");
        }
    }

    /// A launch of at least 50 us.
    struct Spin;

    impl Plan for Spin {
        fn launch(&mut self) -> Result<(), CaseError> {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(50) {}
            Ok(())
        }

        fn verify(&mut self) -> Result<Verification, CaseError> {
            Ok(Verification { max_rel_error: 0.0, tolerance: 1.0, rows: 1 })
        }
    }

    #[test]
    fn every_launch_of_the_cases_it_names_is_longer_and_no_other() {
        let injector = Injector::new("slow:K107:40".parse().unwrap(), Device::Cpu);
        let least_us = |case_id| {
            let mut plan = injector.apply(case_id, Box::new(Spin)).unwrap();
            let launch = |_| {
                let start = Instant::now();
                plan.launch().unwrap();
                start.elapsed().as_nanos() as f64 / 1e3
            };
            (0..50).map(launch).fold(f64::INFINITY, f64::min)
        };
        // The least of many: a busy machine makes launches longer, never shorter.
        assert!(least_us("G3/fp16/K107") >= 70.0);
        assert!(least_us("G3/fp16/K112") < 70.0);
    }

    #[test]
    fn what_is_lost_stays_lost_to_every_case_of_the_process() {
        let injector = Injector::new("sticky:K107".parse().unwrap(), Device::Cpu);
        let plan = |case_id| injector.apply(case_id, Box::new(Spin));
        plan("G3/fp16/K112").unwrap().launch().unwrap();
        let mut trapped = plan("G3/fp16/K107").unwrap();
        trapped.verify().unwrap();
        assert!(!injector.is_lost());
        assert!(trapped.launch().is_err() && injector.is_lost());
        assert!(plan("G3/fp16/K112").is_err());
    }
}
