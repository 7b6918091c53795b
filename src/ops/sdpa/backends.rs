//! All attention backends: the one list of them.

use super::backend::AttentionBackend;
use super::cpu_blocked::CpuBlocked;
use super::cpu_math::CpuMath;
use super::cudnn::Cudnn;
use super::flash::{Flash, FlashUnpadded};
use super::math::Math;
use super::math_fp16::MathFp16;
use super::mem_efficient::MemEfficient;
use crate::device::Device;
use crate::ops::error::CaseError;
use crate::workload::operation::{Backend, Sdpa};

/// Every backend of every device.
pub static BACKENDS: &[&dyn AttentionBackend] =
    &[&Flash, &FlashUnpadded, &MemEfficient, &Math, &MathFp16, &Cudnn, &CpuBlocked, &CpuMath];

/// The backends of a name: MATH has one for each device.
pub(super) fn named(name: Backend) -> impl Iterator<Item = &'static dyn AttentionBackend> {
    BACKENDS.iter().copied().filter(move |backend| backend.about().name == name)
}

/// The backend of a name on a device. AUTO is none.
///
/// # Errors
/// Unsupported: what the name needs.
pub fn find(name: Backend, device: &Device) -> Result<&'static dyn AttentionBackend, CaseError> {
    named(name).find(|backend| backend.runs_on(device)).ok_or_else(|| {
        CaseError::unsupported(match device {
            Device::Cuda(_) => format!("{} runs on the CPU only", name.name()),
            Device::Cpu => format!("{} needs a CUDA GPU", name.name()),
        })
    })
}

/// The colour of a name in plots and page: an index into their palette. AUTO has the first.
pub fn color(name: Backend) -> usize {
    named(name).next().map_or(0, |backend| backend.about().color)
}

/// A way to run an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Never AUTO.
    pub backend: Backend,
    /// The head_dim that Q, K and V are padded to within the launch, where they are. The result is
    /// left as large: a view of its first columns is the result of the attention that was asked
    /// for, as in PyTorch.
    pub pad_to: Option<usize>,
}

impl Route {
    /// How a backend runs this attention: with the padding that it adds by itself.
    pub fn of(backend: Backend, sdpa: &Sdpa) -> Self {
        let head_dim = sdpa.shape.head_dim;
        Route { backend, pad_to: named(backend).find_map(|backend| backend.pads_to(head_dim)) }
    }

    /// The head_dim that the backend's kernel gets.
    pub fn kernel_head_dim(&self, sdpa: &Sdpa) -> usize {
        self.pad_to.unwrap_or(sdpa.shape.head_dim)
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.backend.name())?;
        self.pad_to.map_or(Ok(()), |head_dim| write!(f, " padded to {head_dim}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_backend_and_every_backend_a_place_of_its_own() {
        for (index, name) in Backend::ALL.into_iter().enumerate() {
            assert_eq!(color(name), index, "{}", name.name());
            assert_eq!(named(name).next().is_none(), name == Backend::Auto);
            let on_cpu = named(name).filter(|backend| backend.runs_on(&Device::Cpu)).count();
            assert!(on_cpu <= 1 && named(name).count() - on_cpu <= 1, "{}", name.name());
            assert!(named(name).all(|backend| backend.about().color == index));
        }
    }
}
