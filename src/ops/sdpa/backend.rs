//! What an attention backend says of itself, and what it is planned with.

use super::problem::SdpaProblem;
use crate::device::torch::Session;
use crate::device::{Cuda, Device, cuda::Tensor, cudnn::CudnnAttention};
use crate::ops::{Plan, verify::Scores};
use crate::workload::{Backend, CaseError, DType, Provider, ProviderChoice, Sdpa};
use std::cell::OnceCell;
use std::rc::Rc;

/// An attention backend, of ours, on the CPU or on a GPU. NS_MATH is one of each.
pub trait AttentionBackend: Sync {
    /// How it is called, whose it is, and how it is drawn.
    fn about(&self) -> About;

    /// Whether it is a backend of such a device.
    fn runs_on(&self, device: &Device) -> bool {
        (self.about().provider == Provider::Cpu) == matches!(device, Device::Cpu)
    }

    /// The head_dim that it pads Q, K and V to within the launch, where it does.
    fn pads_to(&self, _head_dim: usize) -> Option<usize> {
        None
    }

    /// Whether its kernel takes this shape. Allocates nothing on the device.
    fn supports(&self, _: &Context, _: &Sdpa, _: DType) -> Result<(), CaseError> {
        Ok(())
    }

    /// Why PyTorch's AUTO passes it over on such a machine, if it does.
    fn torch_refusal(&self, _machine: Machine, _sdpa: &Sdpa) -> Option<String> {
        None
    }

    /// Makes its plan over tensors as its kernel takes them, filled with seeded data.
    fn plan(&self, on: &Context, sdpa: Sdpa, dtype: DType, seed: u64) -> Result<Made, CaseError>;

    /// Whether a kernel of this name proves that it ran. The CPU launches none.
    fn is_proven_by(&self, _kernel: &str) -> bool {
        false
    }
}

/// What is known of a backend before there is a shape.
pub struct About {
    /// The name that specs ask for it by.
    pub name: Backend,
    /// Whose implementation it is.
    pub provider: Provider,
    /// Its place in the palette of plots and pages.
    pub color: usize,
}

/// A plan of attention whose tensors can be reached.
pub trait Attend<B>: Plan {
    /// The problem that [`Plan::launch`] works on.
    fn problem_mut(&mut self) -> &mut SdpaProblem<B>;

    /// What becomes of its scores: it decides how exact a result has to be.
    fn scores(&self) -> Scores {
        Scores::Float32
    }
}

/// A backend's plan.
pub enum Made {
    /// Over tensors in host memory.
    Host(Box<dyn Attend<Vec<u16>>>),
    /// Over tensors in device memory.
    Cuda(Box<dyn Attend<Tensor>>),
}

/// What backends are planned with: a device, PyTorch and cuDNN on it.
pub struct Context {
    device: Device,
    torch: Option<Rc<Session>>,
    /// Opened when first asked for: a sweep of GEMMs needs no cuDNN.
    cudnn: OnceCell<Result<CudnnAttention, CaseError>>,
}

/// The machine, as far as PyTorch's choice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Compute capability, major and minor.
    pub compute_capability: (i32, i32),
    /// cuDNN's version as its own number, 91900 for 9.19.0; none where the library is not there.
    pub cudnn: Option<usize>,
}

impl Context {
    /// On `device`, with the PyTorch on it.
    pub fn new(device: Device, torch: Option<Rc<Session>>) -> Self {
        Context { device, torch, cudnn: OnceCell::new() }
    }

    /// The PyTorch that runs this attention; none if we do. Unsupported if there is none and no
    /// other will do.
    pub fn pytorch(&self, sdpa: &Sdpa) -> Result<Option<&Rc<Session>>, CaseError> {
        match (&self.torch, sdpa.provider) {
            _ if !sdpa.backend.is_published() => Ok(None),
            (_, ProviderChoice::NightSweep) | (None, ProviderChoice::Auto) => Ok(None),
            (None, ProviderChoice::Pytorch) => Err(CaseError::unsupported("there is no PyTorch")),
            (torch, _) => Ok(torch.as_ref()),
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The GPU; unsupported on the CPU.
    pub fn cuda(&self) -> Result<&Rc<Cuda>, CaseError> {
        match &self.device {
            Device::Cuda(cuda) => Ok(cuda),
            Device::Cpu => Err(CaseError::unsupported("this needs a CUDA GPU")),
        }
    }

    /// cuDNN on the GPU; unsupported if there is no usable one.
    pub fn cudnn(&self) -> Result<&CudnnAttention, CaseError> {
        let open = || Ok(CudnnAttention::new(self.cuda()?.stream())?);
        self.cudnn.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    /// What PyTorch would choose by; unsupported on the CPU.
    pub fn machine(&self) -> Result<Machine, CaseError> {
        Ok(Machine {
            compute_capability: self.cuda()?.properties().compute_capability,
            cudnn: self.cudnn().ok().map(CudnnAttention::version_number),
        })
    }
}

/// Why PyTorch passes a backend over whose kernels need `head_dim` to be a multiple of 8.
pub(super) fn misaligned(head_dim: usize) -> Option<String> {
    (!head_dim.is_multiple_of(8)).then(|| format!("head_dim {head_dim} is no multiple of 8"))
}

/// Why PyTorch passes a backend over whose kernels end at `limit`.
pub(super) fn beyond(head_dim: usize, limit: usize) -> Option<String> {
    (head_dim > limit).then(|| format!("head_dim {head_dim} is above {limit}"))
}
