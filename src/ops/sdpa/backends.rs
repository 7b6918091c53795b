//! All attention backends: the one list of them.

use super::backend::AttentionBackend;
use super::cpu_blocked::CpuBlocked;
use super::cpu_math::CpuMath;
use super::cudnn::Cudnn;
use super::flash::{Flash, FlashUnpadded};
use super::math::{Math, MathFp16};
use super::mem_efficient::MemEfficient;
use crate::device::Device;
use crate::workload::{Backend, CaseError, Sdpa};

/// Every backend of every device.
pub static BACKENDS: &[&dyn AttentionBackend] =
    &[&Flash, &FlashUnpadded, &MemEfficient, &Math, &MathFp16, &Cudnn, &CpuBlocked, &CpuMath];

/// The backends of a name: MATH has one for each device.
pub(super) fn named(name: Backend) -> impl Iterator<Item = &'static dyn AttentionBackend> {
    BACKENDS.iter().copied().filter(move |backend| backend.about().name == name)
}

/// The place of a backend, AUTO included, in the palette of plots and pages; none of another name.
pub fn color(name: &str) -> Option<usize> {
    let backend = BACKENDS.iter().map(|backend| backend.about()).find(|it| it.name.name() == name);
    backend.map(|it| it.color).or_else(|| (name == Backend::Auto.name()).then_some(0))
}

/// The backend of a name on a device, or what the name needs. AUTO is none.
pub fn find(name: Backend, device: &Device) -> Result<&'static dyn AttentionBackend, CaseError> {
    named(name).find(|backend| backend.runs_on(device)).ok_or_else(|| {
        CaseError::unsupported(match device {
            Device::Cuda(_) => format!("{} runs on the CPU only", name.name()),
            Device::Cpu => format!("{} needs a CUDA GPU", name.name()),
        })
    })
}

/// A way to run an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Never AUTO.
    pub backend: Backend,
    /// The head_dim that Q, K and V are padded to within the launch, where they are. The result is
    /// left as large: a view of its first columns is the attention that was asked for, as in
    /// PyTorch.
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
    use crate::ops::sdpa::Context;
    use crate::workload::{DType, ErrorKind, SdpaShape};

    #[test]
    fn a_name_has_at_most_one_backend_on_a_device_and_only_auto_has_none() {
        for name in Backend::ALL {
            assert_eq!(named(name).next().is_none(), name == Backend::Auto);
            let on_cpu = named(name).filter(|backend| backend.runs_on(&Device::Cpu)).count();
            assert!(on_cpu <= 1 && named(name).count() - on_cpu <= 1, "{}", name.name());
        }
    }

    #[test]
    fn every_name_has_a_color_of_its_own() {
        let colors = Backend::ALL.map(|name| color(name.name()).unwrap());
        let apart: std::collections::BTreeSet<_> = colors.iter().collect();
        assert_eq!(apart.len(), colors.len(), "{colors:?}");
        assert_eq!(color("4096"), None);
    }

    #[test]
    fn a_shape_is_refused_with_a_reason() {
        let context = Context::new(Device::Cpu);
        let check = |backend, seq_len, head_dim| {
            let shape = SdpaShape { batch: 2, seq_len, n_heads: 3, n_kv_heads: None, head_dim };
            let kernel = named(backend).next().unwrap();
            kernel.supports(&context, &Sdpa::dense(shape, backend), DType::Fp16)
        };
        use Backend::{Flash, FlashUnpadded, MemEfficient};
        for (backend, head_dim) in [(Flash, 256), (FlashUnpadded, 107), (MemEfficient, 264)] {
            assert_eq!(check(backend, 1, head_dim), Ok(()));
        }
        for (backend, seq_len, head_dim, reason) in [
            (Flash, 64, 107, "multiple of 8, not 107"),
            (Flash, 64, 264, "at most 256"),
            (FlashUnpadded, 64, 257, "at most 256"),
            (Flash, 0, 64, "at least one"),
            (MemEfficient, 64, 107, "multiple of 8, not 107"),
        ] {
            let error = check(backend, seq_len, head_dim).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains(reason), "{error}");
        }
    }
}
