//! All attention backends of ours: the one list of them.

use super::backend::AttentionBackend;
use super::cpu_blocked::CpuBlocked;
use super::cpu_math::CpuMath;
use super::cudnn::Cudnn;
use super::flash::{Flash, FlashUnpadded};
use super::flash_decode::FlashDecode;
use super::math::{Math, MathFp16};
use super::mem_efficient::MemEfficient;
use crate::device::Device;
use crate::workload::{Backend, CaseError, Sdpa};

/// Every backend of every device.
pub static BACKENDS: &[&dyn AttentionBackend] = &[
    &Flash,
    &FlashUnpadded,
    &FlashDecode,
    &MemEfficient,
    &Math,
    &MathFp16,
    &Cudnn,
    &CpuBlocked,
    &CpuMath,
];

/// The backends of a name: NS_MATH has one for each device; a published name has none here.
pub(super) fn named(name: Backend) -> impl Iterator<Item = &'static dyn AttentionBackend> {
    BACKENDS.iter().copied().filter(move |backend| backend.about().name == name)
}

/// How a backend is drawn in plots and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    /// Its place in the palette.
    pub color: usize,
    /// A published name and the backend of ours that stands in for it have one color: a solid line
    /// and a dashed one.
    pub is_dashed: bool,
}

/// That of a name of a backend; none of another name.
pub fn look(name: &str) -> Option<Look> {
    let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name)?;
    let color = match backend {
        Backend::Auto => 0,
        Backend::NsFastest => 6,
        name => named(name.stand_in().unwrap_or(name)).next()?.about().color,
    };
    Some(Look { color, is_dashed: name.starts_with("NS_") })
}

/// The backend of a name of ours on a device, or what the name needs. NS_FASTEST is none.
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
    /// One of ours, and never NS_FASTEST.
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
    fn a_name_has_at_most_one_backend_on_a_device_and_who_chooses_has_none() {
        for name in Backend::ALL {
            let has_none = name.is_published() || name == Backend::NsFastest;
            assert_eq!(named(name).next().is_none(), has_none, "{}", name.name());
            let on_cpu = named(name).filter(|backend| backend.runs_on(&Device::Cpu)).count();
            assert!(on_cpu <= 1 && named(name).count() - on_cpu <= 1, "{}", name.name());
        }
    }

    #[test]
    fn every_name_has_a_look_of_its_own() {
        let looks = Backend::ALL.map(|name| look(name.name()).unwrap());
        let apart: std::collections::BTreeSet<_> = looks.iter().collect();
        assert_eq!(apart.len(), looks.len(), "{looks:?}");
        assert_eq!(look("4096"), None);
    }

    #[test]
    fn a_shape_is_refused_with_a_reason() {
        let context = Context::new(Device::Cpu, None);
        let check = |backend, seq_len, head_dim| {
            let shape = SdpaShape {
                batch: 2,
                seq_len,
                kv_len: None,
                n_heads: 3,
                n_kv_heads: None,
                head_dim,
            };
            let kernel = named(backend).next().unwrap();
            kernel.supports(&context, &Sdpa::dense(shape, backend), DType::Fp16)
        };
        use Backend::{NsFlash, NsFlashUnpadded, NsMemEfficient};
        for (backend, head_dim) in [(NsFlash, 256), (NsFlashUnpadded, 107), (NsMemEfficient, 264)] {
            assert_eq!(check(backend, 1, head_dim), Ok(()));
        }
        for (backend, seq_len, head_dim, reason) in [
            (NsFlash, 64, 107, "multiple of 8, not 107"),
            (NsFlash, 64, 264, "at most 256"),
            (NsFlashUnpadded, 64, 257, "at most 256"),
            (NsFlash, 0, 64, "at least one"),
            (NsMemEfficient, 64, 107, "multiple of 8, not 107"),
        ] {
            let error = check(backend, seq_len, head_dim).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains(reason), "{error}");
        }
    }
}
