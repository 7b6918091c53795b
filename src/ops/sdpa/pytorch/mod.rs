//! Attention by PyTorch: AUTO, FLASH, MEM_EFFICIENT, MATH and CUDNN, as
//! `F.scaled_dot_product_attention` runs them, forced as `torch.nn.attention.sdpa_kernel` does.

mod plans;
mod proof;

pub(super) use proof::proven;

use super::attention::{Chosen, Extent};
use super::backend::Context;
use super::backends::{Route, named};
use super::problem::SdpaProblem;
use crate::device::Device;
use crate::device::torch::{Choice, Session};
use crate::ops::Plan;
use crate::ops::pytorch::{Buffer, OnCuda};
use crate::workload::{Backend, CaseError, DType, Provider, Sdpa};
use plans::{PytorchSdpa, PytorchSdpaOnTheFly};
use std::rc::Rc;

/// A plan over buffers `B`.
enum Way<B> {
    Whole(Box<PytorchSdpa<B>>),
    OnTheFly(Box<PytorchSdpaOnTheFly<B>>),
}

/// Makes the plan of an attention of a published name on seeded data.
pub fn plan(
    on: &Context,
    session: &Rc<Session>,
    sdpa: Sdpa,
    extent: Extent,
    (dtype, seed): (DType, u64),
) -> Result<(Box<dyn Plan>, Chosen), CaseError> {
    let asked = Asked { session, sdpa, only: forced(sdpa.backend), refusal: refusal(on, &sdpa) };
    let (plan, choice): (Box<dyn Plan>, Choice) = match on.device() {
        Device::Cpu => {
            let problem = |sdpa, seed| Ok(SdpaProblem::on_host(sdpa, dtype, seed));
            match asked.way(extent, seed, problem)? {
                (Way::Whole(plan), choice) => (plan, choice),
                (Way::OnTheFly(plan), choice) => (plan, choice),
            }
        }
        Device::Cuda(cuda) => {
            let problem = |sdpa, seed| SdpaProblem::on_cuda(cuda, sdpa, dtype, seed);
            let cuda = cuda.clone();
            match asked.way(extent, seed, problem)? {
                (Way::Whole(plan), choice) => (Box::new(OnCuda { cuda, plan: *plan }), choice),
                (Way::OnTheFly(plan), choice) => (Box::new(OnCuda { cuda, plan: *plan }), choice),
            }
        }
    };
    let is_kernel_only = extent == Extent::KernelOnly;
    let pad_to = pads_to(on, choice, sdpa.shape.head_dim).filter(|_| !is_kernel_only);
    let route = Route { backend: choice.backend(), pad_to };
    let version = &session.torch().installation().version;
    let reason = match sdpa.backend {
        Backend::Auto => format!("PyTorch {version} takes {route}"),
        _ => format!("asked for by name, of PyTorch {version}"),
    };
    let asked = sdpa.backend;
    Ok((plan, Chosen { asked, route, provider: Provider::Pytorch, stand_in: false, reason }))
}

/// Whether PyTorch pads the tensors of this attention, as far as can be said without asking it.
pub fn may_pad(on: &Context, sdpa: &Sdpa) -> bool {
    let takes_flash = matches!(sdpa.backend, Backend::Auto | Backend::Flash);
    takes_flash && pads_to(on, Choice::Flash, sdpa.shape.head_dim).is_some()
}

/// An attention as PyTorch is asked for it.
struct Asked<'a> {
    session: &'a Rc<Session>,
    sdpa: Sdpa,
    /// The backend that is forced.
    only: Option<Choice>,
    /// Why it should refuse, where it should.
    refusal: Option<String>,
}

impl Asked<'_> {
    fn way<B: Buffer>(
        self,
        extent: Extent,
        seed: u64,
        problem: impl Fn(Sdpa, u64) -> Result<SdpaProblem<B>, CaseError>,
    ) -> Result<(Way<B>, Choice), CaseError> {
        let Asked { session, sdpa, only, refusal } = self;
        let new = |sdpa, seed, only| PytorchSdpa::new(session, problem(sdpa, seed)?, only);
        match extent {
            Extent::Whole => {
                let plan = new(sdpa, seed, only)?;
                let choice = plan.choice(refusal)?;
                Ok((Way::Whole(Box::new(plan.warmed_up()?)), choice))
            }
            Extent::OnTheFly => {
                // Of other data: what a launch does not copy makes its result wrong.
                let padded = new(sdpa, seed.wrapping_add(1), only)?;
                let choice = padded.choice(refusal)?;
                let dense = problem(sdpa.unpadded(), seed)?;
                let plan = PytorchSdpaOnTheFly::new(dense, padded)?;
                Ok((Way::OnTheFly(Box::new(plan)), choice))
            }
            Extent::KernelOnly => {
                let choice = new(sdpa, seed, only)?.choice(refusal)?;
                let padded = sdpa.padded_to(sdpa.shape.head_dim.next_multiple_of(ALIGNMENT));
                if choice != Choice::Flash {
                    let name = choice.backend().name();
                    let what = format!("PyTorch takes {name}, which pads nothing");
                    return Err(CaseError::unsupported(what));
                }
                let plan = new(padded, seed, Some(choice))?.warmed_up()?;
                Ok((Way::Whole(Box::new(plan)), choice))
            }
        }
    }
}

/// What FLASH pads Q, K and V to a multiple of, on a GPU.
const ALIGNMENT: usize = 8;
/// The largest head_dim that FLASH takes.
const MAX_HEAD_DIM: usize = 256;

/// The head_dim that PyTorch pads to within the launch, where it does.
fn pads_to(on: &Context, choice: Choice, head_dim: usize) -> Option<usize> {
    let is_on_gpu = matches!(on.device(), Device::Cuda(_));
    let is_misaligned = !head_dim.is_multiple_of(ALIGNMENT) && head_dim <= MAX_HEAD_DIM;
    (is_on_gpu && choice == Choice::Flash && is_misaligned)
        .then(|| head_dim.next_multiple_of(ALIGNMENT))
}

/// Why PyTorch should refuse a forced backend here, as far as its rules are known.
fn refusal(on: &Context, sdpa: &Sdpa) -> Option<String> {
    match (on.machine(), sdpa.backend) {
        (Ok(machine), backend) => {
            named(backend.stand_in()?).find_map(|ours| ours.torch_refusal(machine, sdpa))
        }
        (Err(_), Backend::MemEfficient | Backend::Cudnn) => {
            Some(format!("PyTorch has no {} on the CPU", sdpa.backend.name()))
        }
        (Err(_), _) => None,
    }
}

fn forced(backend: Backend) -> Option<Choice> {
    match backend {
        Backend::Flash => Some(Choice::Flash),
        Backend::MemEfficient => Some(Choice::MemEfficient),
        Backend::Math => Some(Choice::Math),
        Backend::Cudnn => Some(Choice::Cudnn),
        _ => None,
    }
}
