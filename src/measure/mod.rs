//! How an operation is measured: [`trial()`] is the protocol. Criterion is handed the samples
//! afterwards, and shares the clock, [`DeviceTime`].

mod calibrate;
mod cold;
mod device_time;
mod energy;
pub(crate) mod fault;
mod instruments;
pub mod record;
mod sampler;
mod sampling;
mod secondary;
mod settle;
mod ticks;
mod trial;

pub use calibrate::{calibrate, with_peaks_of};
pub use cold::cold_ms;
pub use device_time::DeviceTime;
pub use energy::energy;
pub use instruments::{Instruments, Which};
pub use sampler::Sampler;
pub use sampling::{ADAPTIVE_TRIALS, CRITERION_SAMPLES, Sampling};
pub use secondary::secondary;
pub(crate) use settle::settle;
pub use trial::trial;
