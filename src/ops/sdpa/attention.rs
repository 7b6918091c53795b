//! Which backend runs: the one that was asked for, or AUTO's choice.

use super::backend::{Context, Made};
use super::backends::{Route, find, named};
use super::on_the_fly::{CpuSdpaOnTheFly, CudaSdpaOnTheFly};
use super::policy;
use crate::device::{Cuda, Device, Kernel, cuda::Graph};
use crate::ops::Plan;
use crate::workload::{AutoPolicy, Backend, CaseError, DType, ErrorKind, Provider, Sdpa};
use std::cell::RefCell;
use std::collections::HashMap;

/// The attention backends of a device.
pub struct Attention {
    context: Context,
    /// What AUTO `fastest` found, for the rest of the run.
    fastest: RefCell<HashMap<(Sdpa, DType), Chosen>>,
}

/// The backend that runs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// With what it pads to within the launch.
    pub route: Route,
    /// That it was asked for, or why AUTO took it.
    pub reason: String,
}

/// What of an attention is one launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The attention over its tensors as they are, with the padding that the backend needs.
    Whole,
    /// Over tensors without the padding of the shape: it is added, and cut off the result.
    OnTheFly,
    /// The backend's kernel alone, over tensors that are kept as it takes them.
    KernelOnly,
}

impl Attention {
    /// Those of `device`.
    pub fn new(device: Device) -> Self {
        Attention { context: Context::new(device), fastest: RefCell::default() }
    }

    /// Chooses the backend, and makes its plan on seeded data.
    pub fn plan(
        &self,
        sdpa: Sdpa,
        extent: Extent,
        dtype: DType,
        seed: u64,
    ) -> Result<(Box<dyn Plan>, Chosen), CaseError> {
        let mut chosen = match sdpa.backend {
            Backend::Auto => self.choose(&sdpa, dtype, seed)?,
            backend => {
                let route = Route::of(backend, &sdpa);
                let padded = route.pad_to.map(|head_dim| format!(", padded to {head_dim}"));
                let reason = format!("asked for by name{}", padded.unwrap_or_default());
                Chosen { route, reason }
            }
        };
        let at_the_kernel = sdpa.padded_to(chosen.route.kernel_head_dim(&sdpa));
        self.supports(chosen.route.backend, &at_the_kernel, dtype)?;
        let plan = self.plan_route(chosen.route, sdpa, extent, dtype, seed)?;
        if extent == Extent::KernelOnly {
            chosen.route.pad_to = None;
        }
        Ok((plan, chosen))
    }

    /// Whose implementation a backend is here.
    pub fn provider(&self, backend: Backend) -> Result<Provider, CaseError> {
        Ok(find(backend, self.context.device())?.about().provider)
    }

    /// Whether AUTO pads the tensors of this attention within the launch, or may do so.
    pub fn pads(&self, sdpa: &Sdpa) -> bool {
        let Ok(machine) = self.context.machine() else { return false };
        match sdpa.auto {
            AutoPolicy::Torch => policy::torch(machine, sdpa).0.pad_to.is_some(),
            AutoPolicy::Fastest => policy::candidates(sdpa).iter().any(|way| way.pad_to.is_some()),
        }
    }

    /// Whether a backend's kernel takes this shape here.
    pub fn supports(&self, backend: Backend, sdpa: &Sdpa, dtype: DType) -> Result<(), CaseError> {
        find(backend, self.context.device())?.supports(&self.context, sdpa, dtype)
    }

    fn plan_route(
        &self,
        route: Route,
        sdpa: Sdpa,
        extent: Extent,
        dtype: DType,
        seed: u64,
    ) -> Result<Box<dyn Plan>, CaseError> {
        let backend = find(route.backend, self.context.device())?;
        let at_the_kernel = sdpa.padded_to(route.kernel_head_dim(&sdpa));
        let padded = match backend.plan(&self.context, at_the_kernel, dtype, seed)? {
            // The kernels of the host take any head_dim: none is padded unless that is asked for.
            Made::Host(padded) if extent == Extent::OnTheFly => {
                return Ok(Box::new(CpuSdpaOnTheFly::new(padded, seed)));
            }
            Made::Host(whole) => return Ok(whole),
            Made::Cuda(padded) => padded,
        };
        let cuda = self.context.cuda()?;
        Ok(match (extent, route.pad_to) {
            (Extent::KernelOnly, _) | (Extent::Whole, None) => padded,
            (Extent::Whole, Some(_)) => {
                Box::new(CudaSdpaOnTheFly::new(cuda, sdpa, padded, seed, false)?)
            }
            (Extent::OnTheFly, _) => {
                Box::new(CudaSdpaOnTheFly::new(cuda, sdpa.unpadded(), padded, seed, true)?)
            }
        })
    }

    /// AUTO's choice.
    fn choose(&self, sdpa: &Sdpa, dtype: DType, seed: u64) -> Result<Chosen, CaseError> {
        let cuda = match self.context.device() {
            Device::Cuda(cuda) if sdpa.auto == AutoPolicy::Fastest => cuda,
            device => {
                let (route, reason) = match device {
                    Device::Cpu => policy::on_the_cpu(sdpa),
                    Device::Cuda(_) => policy::torch(self.context.machine()?, sdpa),
                };
                return Ok(Chosen { route, reason });
            }
        };
        // The shape that is computed decides, whatever part of it holds data.
        let key = (Sdpa { data_head_dim: sdpa.shape.head_dim, ..*sdpa }, dtype);
        if let Some(known) = self.fastest.borrow().get(&key) {
            return Ok(known.clone());
        }
        let chosen = self.fastest_of_all(cuda, sdpa, dtype, seed)?;
        self.fastest.borrow_mut().insert(key, chosen.clone());
        Ok(chosen)
    }

    /// Times every candidate; those that are unsupported, wrong or too large are passed over. A
    /// plan that has proved right is timed shortly, to choose by: not a measurement.
    fn fastest_of_all(
        &self,
        cuda: &Cuda,
        sdpa: &Sdpa,
        dtype: DType,
        seed: u64,
    ) -> Result<Chosen, CaseError> {
        const REPLAYS: usize = 7;
        let (mut tried, mut refused) = (Vec::new(), Vec::new());
        for route in policy::candidates(sdpa) {
            let timed =
                self.plan_route(route, *sdpa, Extent::Whole, dtype, seed).and_then(|mut plan| {
                    plan.verify()?;
                    let graph = Graph::capture(cuda, 1, || plan.launch())?;
                    Ok(graph.replay_ns(cuda, REPLAYS)? * 1e-6)
                });
            match timed {
                Ok(ms) => tried.push((ms, route)),
                // The context may be lost: what follows would fail too.
                Err(error) if error.kind == ErrorKind::Cuda => return Err(error),
                Err(error) => refused.push(format!("{route}: {error}")),
            }
        }
        tried.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let times = tried.iter().map(|(ms, route)| format!("{route} {ms:.3} ms"));
        let told = times.chain(refused).collect::<Vec<_>>().join("; ");
        let Some(&(_, route)) = tried.first() else { return Err(CaseError::unsupported(told)) };
        Ok(Chosen { route, reason: format!("the fastest in a short timing: {told}") })
    }
}

/// Whether the kernels that ran are the backend's: a library, or a mistake of ours, could have run
/// others.
pub fn prove(chosen: &Chosen, kernels: &[Kernel]) -> Result<(), CaseError> {
    // The CPU launches no kernels, whichever backend.
    if kernels.is_empty() {
        return Ok(());
    }
    let Route { backend, pad_to } = chosen.route;
    let ran = |is_its: &dyn Fn(&str) -> bool| kernels.iter().any(|kernel| is_its(&kernel.name));
    let is_proven = named(backend).any(|backend| ran(&|name| backend.is_proven_by(name)));
    if is_proven && (pad_to.is_none() || ran(&|name| name.starts_with("resize"))) {
        return Ok(());
    }
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let (route, names) = (chosen.route, names.join(", "));
    Err(CaseError::wrong_result(format!("{route} was asked for, and {names} ran")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SdpaShape;

    const SDPA: Sdpa = Sdpa {
        shape: SdpaShape { batch: 1, seq_len: 8, n_heads: 1, n_kv_heads: None, head_dim: 16 },
        data_head_dim: 13,
        causal: false,
        backend: Backend::Auto,
        auto: AutoPolicy::Torch,
    };

    #[test]
    fn the_cpu_has_its_own_backends_and_says_what_the_others_need() {
        let attention = Attention::new(Device::Cpu);
        for auto in [AutoPolicy::Torch, AutoPolicy::Fastest] {
            let sdpa = Sdpa { auto, ..SDPA };
            let (mut plan, chosen) = attention.plan(sdpa, Extent::Whole, DType::Fp16, 1).unwrap();
            plan.verify().unwrap();
            assert_eq!(chosen.route, Route { backend: Backend::CpuBlocked, pad_to: None });
            assert!(!chosen.reason.is_empty() && !attention.pads(&sdpa));
            assert_eq!(attention.provider(chosen.route.backend), Ok(Provider::Cpu));
        }
        for extent in [Extent::Whole, Extent::OnTheFly] {
            let math = Sdpa { backend: Backend::Math, ..SDPA };
            let (mut plan, chosen) = attention.plan(math, extent, DType::Fp16, 1).unwrap();
            plan.verify().unwrap();
            assert_eq!(chosen.route.backend, Backend::Math);
            assert_eq!(chosen.reason, "asked for by name");
        }
        use Backend::{Cudnn, Flash, FlashUnpadded, MathFp16, MemEfficient};
        for backend in [Cudnn, Flash, FlashUnpadded, MemEfficient, MathFp16] {
            let error = attention.supports(backend, &SDPA, DType::Fp16).unwrap_err();
            let expected = format!("{} needs a CUDA GPU", backend.name());
            assert_eq!(error, CaseError::unsupported(expected));
        }
    }

    #[test]
    fn a_backend_is_proven_by_its_kernels() {
        use Backend::{CpuBlocked, Cudnn, Flash, FlashUnpadded, Math, MemEfficient};
        let proven = |backend, pad_to, names: &[&str]| {
            let kernel = |name: &&str| Kernel { name: (*name).to_owned(), ..Kernel::default() };
            let kernels: Vec<Kernel> = names.iter().map(kernel).collect();
            prove(&Chosen { route: Route { backend, pad_to }, reason: String::new() }, &kernels)
        };
        let ours = "flash_forward_fp16_d112_128x32";
        let cudnn_flash = "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma";
        let right: [(_, _, &[&str]); 6] = [
            (Cudnn, None, &["cudnn_generated_fort_native_sdpa"]),
            (Math, None, &["ampere_sgemm", "softmax_f32"]),
            (Flash, None, &[ours]),
            (Flash, Some(112), &["resize", ours]),
            (FlashUnpadded, None, &["flash_unpadded_fp16_d107"]),
            (CpuBlocked, None, &[]),
        ];
        for (backend, pad_to, names) in right {
            assert_eq!(proven(backend, pad_to, names), Ok(()));
        }
        for (backend, pad_to, name, told) in [
            (Cudnn, None, "softmax_f32", "CUDNN was asked for, and softmax_f32 ran"),
            (Math, None, "ampere_sgemm", "ampere_sgemm ran"),
            (Flash, None, cudnn_flash, cudnn_flash),
            (Flash, Some(112), ours, ours),
            (Cudnn, Some(112), cudnn_flash, "CUDNN padded to 112 was asked for"),
            (MemEfficient, None, ours, ours),
            (Flash, None, "flash_unpadded_fp16_d107", "flash_unpadded_fp16_d107 ran"),
        ] {
            let error = proven(backend, pad_to, &[name]).unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
    }
}
