//! Criterion's clock on the device: [`DeviceTime`], whose values are nanoseconds per launch.

use crate::device::{Clock, Mark};
use crate::workload::CaseError;
use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter};
use std::cell::RefCell;
use std::rc::Rc;

/// Time on the device: CUDA events on a GPU, the host's clock on the CPU.
#[derive(Clone)]
pub struct DeviceTime {
    clock: Rc<Clock>,
    /// The first error of the case under way: Criterion's interface has no room for one.
    fault: Rc<RefCell<Option<CaseError>>>,
}

impl DeviceTime {
    /// By `clock`.
    pub fn new(clock: Clock) -> Self {
        DeviceTime { clock: Rc::new(clock), fault: Rc::default() }
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the first error since the last call.
    pub fn take_fault(&self) -> Option<CaseError> {
        self.fault.borrow_mut().take()
    }

    /// The value, or 0 with the error kept for [`DeviceTime::take_fault`]: Criterion writes no
    /// files of a benchmark with a zero sample.
    pub fn value_or_fault(&self, value: Result<f64, CaseError>) -> f64 {
        value.unwrap_or_else(|error| {
            self.fault.borrow_mut().get_or_insert(error);
            0.0
        })
    }
}

impl Measurement for DeviceTime {
    type Intermediate = Option<Mark>;
    type Value = f64;

    fn start(&self) -> Option<Mark> {
        let keep = |error| _ = self.fault.borrow_mut().get_or_insert(CaseError::from(error));
        self.clock.mark().map_err(keep).ok()
    }

    fn end(&self, start: Option<Mark>) -> f64 {
        let Some(start) = start else { return 0.0 };
        let elapsed = self.clock.mark().and_then(|end| self.clock.elapsed_ns(&start, &end));
        self.value_or_fault(elapsed.map_err(CaseError::from))
    }

    fn add(&self, first: &f64, second: &f64) -> f64 {
        first + second
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Formatter
    }
}

/// Writes `Throughput::Elements`, which here are floating-point operations, as FLOP/s.
struct Formatter;

/// The largest unit that `value` reaches, and its factor.
fn unit(value: f64, units: &[(f64, &'static str)]) -> (f64, &'static str) {
    let largest = units.iter().rev().find(|(factor, _)| value >= *factor);
    *largest.unwrap_or(&units[0])
}

impl ValueFormatter for Formatter {
    fn scale_values(&self, typical_ns: f64, values: &mut [f64]) -> &'static str {
        let (factor, name) = unit(typical_ns, &[(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")]);
        values.iter_mut().for_each(|value| *value /= factor);
        name
    }

    fn scale_throughputs(
        &self,
        typical_ns: f64,
        amount: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        let (per_launch, names) = match *amount {
            Throughput::Elements(flops) | Throughput::ElementsAndBytes { elements: flops, .. } => {
                (flops as f64, ["FLOP/s", "GFLOP/s", "TFLOP/s"])
            }
            Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes) => {
                (bytes as f64, ["B/s", "GB/s", "TB/s"])
            }
            Throughput::Bits(bits) => (bits as f64, ["bit/s", "Gbit/s", "Tbit/s"]),
        };
        let (factor, name) = unit(
            per_launch / typical_ns * 1e9,
            &[(1.0, names[0]), (1e9, names[1]), (1e12, names[2])],
        );
        values.iter_mut().for_each(|value| *value = per_launch / *value * 1e9 / factor);
        name
    }

    fn scale_for_machines(&self, _values: &mut [f64]) -> &'static str {
        "ns"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_scaled() {
        let mut values = [1500.0, 2000.0];
        assert_eq!(Formatter.scale_values(1500.0, &mut values), "us");
        assert_eq!(values, [1.5, 2.0]);
        let mut values = [1e6];
        let unit =
            Formatter.scale_throughputs(1e6, &Throughput::Elements(2_000_000_000), &mut values);
        assert_eq!((unit, values), ("TFLOP/s", [2.0]));
    }

    #[test]
    fn a_fault_is_a_zero_and_is_kept_once() {
        let time = DeviceTime::new(Clock::Host);
        assert_eq!(time.value_or_fault(Err(CaseError::cuda("first"))), 0.0);
        assert_eq!(time.value_or_fault(Err(CaseError::cuda("second"))), 0.0);
        assert_eq!(time.take_fault(), Some(CaseError::cuda("first")));
        assert_eq!(time.take_fault(), None);
    }

    #[test]
    fn the_host_clock_goes_forward() {
        let time = DeviceTime::new(Clock::Host);
        let start = time.start();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(time.end(start) >= 2e6);
    }
}
