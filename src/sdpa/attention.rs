//! Which backend runs: the one that was asked for, or AUTO's choice.

use super::cudnn::{CudnnAttention, CudnnSdpa};
use super::{CpuBlocked, CpuMath, MathSdpa, MathSdpa16, SdpaProblem};
use crate::case::{Backend, Sdpa};
use crate::device::Device;
use crate::plan::{CaseError, Plan};
use crate::record::Kernel;
use crate::shape::DType;
use std::cell::OnceCell;

/// The attention backends of a device.
pub struct Attention {
    device: Device,
    /// Opened when first asked for: a sweep of products needs no cuDNN.
    cudnn: OnceCell<Result<CudnnAttention, CaseError>>,
}

/// The backend that runs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Never AUTO.
    pub backend: Backend,
    /// Why AUTO took it; none where it was asked for by name.
    pub reason: Option<String>,
}

impl Attention {
    /// The backends of `device`.
    pub fn new(device: Device) -> Self {
        Attention { device, cudnn: OnceCell::new() }
    }

    /// Chooses the backend, and makes its plan on seeded data.
    ///
    /// # Errors
    /// Why it does not support the shape, out of memory, or what a library reports.
    pub fn plan(
        &self,
        sdpa: Sdpa,
        dtype: DType,
        seed: u64,
    ) -> Result<(Box<dyn Plan>, Chosen), CaseError> {
        let chosen = match sdpa.backend {
            Backend::Auto => self.choose(&sdpa, dtype)?,
            backend => {
                self.supports(backend, &sdpa, dtype)?;
                Chosen { backend, reason: None }
            }
        };
        let on_host = || SdpaProblem::on_host(sdpa, dtype, seed);
        let plan: Box<dyn Plan> = match (chosen.backend, &self.device) {
            (Backend::CpuBlocked, _) => Box::new(CpuBlocked(on_host())),
            (Backend::Math, Device::Cpu) => Box::new(CpuMath(on_host())),
            (Backend::Math, Device::Cuda(cuda)) => {
                Box::new(MathSdpa::new(cuda, sdpa, dtype, seed)?)
            }
            (Backend::MathFp16, Device::Cuda(cuda)) => {
                Box::new(MathSdpa16::new(cuda, sdpa, dtype, seed)?)
            }
            (Backend::Cudnn, Device::Cuda(cuda)) => {
                Box::new(CudnnSdpa::new(cuda, self.cudnn()?, sdpa, dtype, seed)?)
            }
            (backend, device) => return Err(not_there(backend, device)),
        };
        Ok((plan, chosen))
    }

    /// Whether a backend runs this shape here. Allocates nothing on the device.
    ///
    /// # Errors
    /// Why not.
    pub fn supports(&self, backend: Backend, sdpa: &Sdpa, dtype: DType) -> Result<(), CaseError> {
        match (backend, &self.device) {
            (Backend::Auto, _) => self.choose(sdpa, dtype).map(drop),
            (Backend::CpuBlocked | Backend::Math, Device::Cpu) => Ok(()),
            (Backend::Math | Backend::MathFp16, Device::Cuda(_)) => Ok(()),
            (Backend::Cudnn, Device::Cuda(_)) => self.cudnn()?.supports(sdpa, dtype),
            (backend, device) => Err(not_there(backend, device)),
        }
    }

    /// AUTO: the first backend of the device's order that supports the shape.
    fn choose(&self, sdpa: &Sdpa, dtype: DType) -> Result<Chosen, CaseError> {
        let order: &[Backend] = match self.device {
            Device::Cpu => &[Backend::CpuBlocked],
            Device::Cuda(_) => &[Backend::Cudnn, Backend::Math],
        };
        let mut passed_over = Vec::new();
        for &backend in order {
            match self.supports(backend, sdpa, dtype) {
                Ok(()) => {
                    passed_over.push(format!("{} supports it", backend.name()));
                    return Ok(Chosen { backend, reason: Some(passed_over.join("; ")) });
                }
                Err(error) => passed_over.push(format!("{}: {error}", backend.name())),
            }
        }
        Err(CaseError::unsupported(passed_over.join("; ")))
    }

    fn cudnn(&self) -> Result<&CudnnAttention, CaseError> {
        let open = || match &self.device {
            Device::Cuda(cuda) => CudnnAttention::new(cuda.stream()),
            Device::Cpu => Err(not_there(Backend::Cudnn, &self.device)),
        };
        self.cudnn.get_or_init(open).as_ref().map_err(Clone::clone)
    }
}

fn not_there(backend: Backend, device: &Device) -> CaseError {
    CaseError::unsupported(match (backend, device) {
        (Backend::Flash | Backend::MemEfficient, Device::Cuda(_)) => {
            format!("this version of Night Sweep has no {} kernel yet", backend.name())
        }
        (_, Device::Cuda(_)) => format!("{} runs on the CPU only", backend.name()),
        (_, Device::Cpu) => format!("{} needs a CUDA GPU", backend.name()),
    })
}

/// Whether the kernels that ran are the backend's: a library, or a mistake of ours, could have run others.
///
/// # Errors
/// A wrong result that names the kernels.
pub fn prove(backend: Backend, kernels: &[Kernel]) -> Result<(), CaseError> {
    let mark = match backend {
        Backend::Cudnn => "cudnn",
        Backend::Math => "softmax_f32",
        Backend::MathFp16 => "softmax_16bit",
        Backend::Auto | Backend::CpuBlocked | Backend::Flash | Backend::MemEfficient => {
            return Ok(());
        }
    };
    // The CPU launches no kernels, whichever backend.
    if kernels.is_empty() || kernels.iter().any(|kernel| kernel.name.contains(mark)) {
        return Ok(());
    }
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    Err(CaseError::wrong_result(format!(
        "{} was asked for, and {} ran",
        backend.name(),
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::SdpaShape;

    const SDPA: Sdpa = Sdpa {
        shape: SdpaShape { batch: 1, seq_len: 8, n_heads: 1, head_dim: 16 },
        data_head_dim: 16,
        causal: false,
        backend: Backend::Auto,
    };

    #[test]
    fn the_cpu_has_its_own_backends_and_says_what_the_others_need() {
        let attention = Attention::new(Device::Cpu);
        let (_, chosen) = attention.plan(SDPA, DType::Fp16, 1).unwrap();
        assert_eq!(chosen.backend, Backend::CpuBlocked);
        assert_eq!(chosen.reason.as_deref(), Some("CPU_BLOCKED supports it"));
        let (_, chosen) =
            attention.plan(Sdpa { backend: Backend::Math, ..SDPA }, DType::Fp16, 1).unwrap();
        assert_eq!(chosen, Chosen { backend: Backend::Math, reason: None });
        for backend in [Backend::Cudnn, Backend::Flash, Backend::MemEfficient, Backend::MathFp16] {
            let error = attention.supports(backend, &SDPA, DType::Fp16).unwrap_err();
            assert_eq!(
                error,
                CaseError::unsupported(format!("{} needs a CUDA GPU", backend.name()))
            );
        }
    }

    #[test]
    fn a_backend_is_proven_by_its_kernels() {
        let kernel = |name: &str| Kernel { name: name.to_owned(), ..Kernel::default() };
        assert!(prove(Backend::Cudnn, &[kernel("cudnn_generated_fort_native_sdpa")]).is_ok());
        assert!(
            prove(Backend::Cudnn, &[kernel("softmax_f32")])
                .unwrap_err()
                .message
                .contains("softmax_f32 ran")
        );
        assert!(prove(Backend::Math, &[kernel("ampere_sgemm"), kernel("softmax_f32")]).is_ok());
        assert!(prove(Backend::Math, &[kernel("ampere_sgemm")]).is_err());
    }
}
