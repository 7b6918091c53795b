//! Where the operations run: the host's cores, or one CUDA GPU.

mod clock;
pub mod clocks;
pub(crate) mod cpu;
pub mod cuda;
pub mod cudnn;
pub mod cupti;
mod error;
pub(crate) mod hearer;
pub mod kernel;
pub mod libraries;
pub(crate) mod nvml;
mod opened;
mod telemetry;
pub mod torch;

pub use clock::{Clock, Mark};
pub use clocks::Clocks;
pub use cuda::Cuda;
pub use error::{DeviceError, DeviceErrorKind};
pub use kernel::{Algorithm, Kernel};
pub use opened::{NoTorch, Opened};
pub use telemetry::Telemetry;

use std::rc::Rc;
use std::str::FromStr;

/// What the user asks to measure: `NIGHT_SWEEP_DEVICE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA GPU if there is one, else the CPU.
    Auto,
    /// The host's cores.
    Cpu,
    /// CUDA GPU number N, as the driver counts them.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(DeviceChoice::Cuda)
                .ok_or_else(|| "auto, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

/// A device that is open.
#[derive(Clone)]
pub enum Device {
    /// The host's cores.
    Cpu,
    /// A CUDA GPU.
    Cuda(Rc<Cuda>),
}

impl Device {
    /// Opens the device that was asked for. The second value is a line for the user where `auto`
    /// took the CPU; an error is one line, what is missing and how to get it.
    pub fn open(choice: DeviceChoice) -> Result<(Device, Option<String>), DeviceError> {
        match choice {
            DeviceChoice::Cpu => Ok((Device::Cpu, None)),
            DeviceChoice::Cuda(index) => Ok((Device::Cuda(Rc::new(Cuda::open(index)?)), None)),
            // Only a machine without a GPU falls back: one that has a GPU and lacks a library is an
            // error, or a night on a cluster would measure its CPUs.
            DeviceChoice::Auto => match cuda::present() {
                Err(reason) => {
                    Ok((Device::Cpu, Some(format!("{reason}; measuring the CPU instead"))))
                }
                Ok(()) => Ok((Device::Cuda(Rc::new(Cuda::open(0)?)), None)),
            },
        }
    }

    /// `cpu`, or `cuda:N`.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu => "cpu".to_owned(),
            Device::Cuda(cuda) => format!("cuda:{}", cuda.index()),
        }
    }

    /// The clock that times work on this device.
    pub fn clock(&self) -> Clock {
        match self {
            Device::Cpu => Clock::Host,
            Device::Cuda(cuda) => Clock::events(cuda.stream().clone()),
        }
    }

    /// Waits until everything enqueued is done, whose errors show here.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        match self {
            Device::Cpu => Ok(()),
            Device::Cuda(cuda) => cuda.synchronize(),
        }
    }

    /// Whether the device is useless to this process, as after an illegal address.
    pub fn is_lost(&self) -> bool {
        match self {
            Device::Cpu => false,
            Device::Cuda(cuda) => cuda.is_lost(),
        }
    }

    /// Bytes of memory that operands have to fit in.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Device::Cpu => sysinfo::System::new_with_specifics(
                sysinfo::RefreshKind::nothing()
                    .with_memory(sysinfo::MemoryRefreshKind::everything()),
            )
            .total_memory(),
            Device::Cuda(cuda) => cuda.memory_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_chosen_by_name() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }
}
