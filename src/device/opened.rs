//! A device and the PyTorch on it. PyTorch is loaded first: its copies of cuBLAS, cuDNN and NVRTC
//! then serve the whole process.

use super::torch::{Search, Session, Torch, TorchChoice};
use super::{Device, DeviceChoice, DeviceError, cuda, libraries};
use std::rc::Rc;

/// A device that is open, and what else was found.
pub struct Opened {
    /// Where to measure.
    pub device: Device,
    /// PyTorch on it, or why there is none.
    pub torch: Result<Rc<Session>, NoTorch>,
    /// A line for the user where `auto` took the CPU.
    pub note: Option<String>,
}

/// Why there is no PyTorch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTorch {
    /// One line.
    pub why: String,
    /// Whether `NIGHT_SWEEP_TORCH` says so.
    pub is_asked_for: bool,
}

impl Opened {
    /// Opens the device that was asked for, with the PyTorch that was asked for. An error is one
    /// line: of the device, or of a PyTorch that was named by its path. `auto` goes on without one.
    pub fn new(choice: DeviceChoice, torch: &TorchChoice) -> Result<Self, DeviceError> {
        let is_cpu = match choice {
            DeviceChoice::Cpu => true,
            DeviceChoice::Cuda(_) => false,
            DeviceChoice::Auto => cuda::present().is_err(),
        };
        let loaded = required(torch, load(torch, is_cpu))?;
        let (device, note) = Device::open(choice)?;
        let session = loaded.and_then(|torch| {
            Session::new(torch, &device).map(Rc::new).map_err(|error| error.message)
        });
        let is_asked_for = *torch == TorchChoice::No;
        let torch = required(torch, session)?.map_err(|why| NoTorch { why, is_asked_for });
        Ok(Opened { device, torch, note })
    }
}

/// An error of a PyTorch that was named by its path.
fn required<T>(
    choice: &TorchChoice,
    found: Result<T, String>,
) -> Result<Result<T, String>, DeviceError> {
    match (choice, found) {
        (TorchChoice::Path(_), Err(why)) => {
            Err(DeviceError::driver(format!("NIGHT_SWEEP_TORCH: {why}")))
        }
        (_, found) => Ok(found),
    }
}

fn load(choice: &TorchChoice, is_cpu: bool) -> Result<&'static Torch, String> {
    let Search { found, looked_at } = Search::run(choice, |name| std::env::var_os(name))?;
    let Some(installation) = found else {
        return Err(match choice {
            TorchChoice::No => "NIGHT_SWEEP_TORCH=no".to_owned(),
            _ => format!("no PyTorch was found ({})", looked_at.join("; ")),
        });
    };
    let driver = libraries::cuda_version().filter(|_| !is_cpu);
    Torch::load(&installation, driver.map(|(major, _)| major)).map_err(|error| error.message)
}
