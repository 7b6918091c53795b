//! Which backend runs: the one that was asked for, one in the place of PyTorch's, or the fastest.

use super::backend::{Context, Made};
use super::backends::{Route, find, named};
use super::on_the_fly::{CpuSdpaOnTheFly, CudaSdpaOnTheFly};
use super::{flash, flash_decode, policy, pytorch};
use crate::device::cuda::{AttentionKernel, DecodeKernel, Graph};
use crate::device::torch::Session;
use crate::device::{Device, Kernel};
use crate::ops::Plan;
use crate::workload::{Backend, CaseError, DType, ErrorKind, Provider, Sdpa};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Instant;

/// The attention backends of a device.
pub struct Attention {
    context: Context,
    /// What NS_FASTEST found, for the rest of the process.
    fastest: RefCell<HashMap<(Sdpa, DType), Chosen>>,
}

/// The backend that runs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The name that was asked for.
    pub asked: Backend,
    /// Whose implementation it is.
    pub provider: Provider,
    /// With what it pads to within the launch.
    pub route: Route,
    /// Whether it runs in place of PyTorch's, under whose name it was asked for.
    pub stand_in: bool,
    /// That it was asked for, for whom it stands in, or why it was chosen.
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
    /// Those of `device`, and of the PyTorch on it.
    pub fn new(device: Device, torch: Option<Rc<Session>>) -> Self {
        Attention { context: Context::new(device, torch), fastest: RefCell::default() }
    }

    /// Compiles what the kernels of these attentions need, all at once.
    pub fn compile_ahead(&self, wanted: impl Iterator<Item = (Sdpa, DType)>) {
        let Device::Cuda(cuda) = self.context.device() else { return };
        let (mut variants, mut decode) = (HashSet::new(), Vec::new());
        for (sdpa, dtype) in wanted {
            let routes = match sdpa.backend {
                Backend::NsFastest => policy::candidates(&sdpa),
                name => vec![Route::of(name, &sdpa)],
            };
            for route in routes {
                let unpadded = route.backend == Backend::NsFlashUnpadded;
                let head_dim = route.kernel_head_dim(&sdpa);
                let is_flash = unpadded || route.backend == Backend::NsFlash;
                let at_the_kernel = sdpa.padded_to(head_dim);
                if route.backend == Backend::NsFlashDecode && flash_decode::takes(&at_the_kernel) {
                    decode.push((at_the_kernel.shape, dtype));
                }
                if is_flash && sdpa.shape.kv_len.is_none() && flash::takes(head_dim) {
                    variants.insert((unpadded, head_dim, dtype, sdpa.causal));
                }
            }
        }
        AttentionKernel::compile_flash(cuda, &variants.into_iter().collect::<Vec<_>>());
        DecodeKernel::compile_ahead(cuda, &decode);
    }

    /// Chooses the backend, and makes its plan on seeded data.
    pub fn plan(
        &self,
        sdpa: Sdpa,
        extent: Extent,
        dtype: DType,
        seed: u64,
    ) -> Result<(Box<dyn Plan>, Chosen), CaseError> {
        if let Some(session) = self.context.pytorch(&sdpa)? {
            return pytorch::plan(&self.context, session, sdpa, extent, (dtype, seed));
        }
        let mut chosen = match sdpa.backend {
            Backend::NsFastest => self.fastest(&sdpa, dtype, seed)?,
            name if name.is_published() => self.stand_in(&sdpa)?,
            name => {
                let route = Route::of(name, &sdpa);
                let padded = route.pad_to.map(|head_dim| format!(", padded to {head_dim}"));
                let reason = format!("asked for by name{}", padded.unwrap_or_default());
                self.ours(name, route, false, reason)?
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

    /// A choice of one of ours.
    fn ours(
        &self,
        asked: Backend,
        route: Route,
        stand_in: bool,
        reason: String,
    ) -> Result<Chosen, CaseError> {
        let provider = find(route.backend, self.context.device())?.about().provider;
        Ok(Chosen { asked, route, provider, stand_in, reason })
    }

    /// Whether what runs pads the tensors of this attention within the launch, or may do so.
    pub fn pads(&self, sdpa: &Sdpa) -> bool {
        if matches!(self.context.device(), Device::Cpu) {
            return false;
        }
        if let Ok(Some(_)) = self.context.pytorch(sdpa) {
            return pytorch::may_pad(&self.context, sdpa);
        }
        match sdpa.backend {
            Backend::NsFastest => policy::candidates(sdpa).iter().any(|way| way.pad_to.is_some()),
            name if name.is_published() => {
                self.stand_in(sdpa).is_ok_and(|chosen| chosen.route.pad_to.is_some())
            }
            name => Route::of(name, sdpa).pad_to.is_some(),
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

    /// Which of ours runs under a published name.
    fn stand_in(&self, sdpa: &Sdpa) -> Result<Chosen, CaseError> {
        let name = sdpa.backend.name();
        let (ours, why) = match (sdpa.backend.stand_in(), self.context.device()) {
            (Some(ours), _) => (ours, String::new()),
            (None, Device::Cpu) => (Backend::CpuBlocked, String::new()),
            (None, Device::Cuda(_)) => {
                let (taken, why) = policy::torch(self.context.machine()?, sdpa);
                (taken.stand_in().unwrap_or(Backend::NsMath), format!("; {why}"))
            }
        };
        find(ours, self.context.device()).map_err(|error| CaseError {
            message: format!("stand-in for {name}: {error}"),
            ..error
        })?;
        let mut route = Route::of(ours, sdpa);
        // FLASH has a kernel of its own for one query, and pads as before all the same.
        if ours == Backend::NsFlash && flash_decode::takes(sdpa) {
            route.backend = Backend::NsFlashDecode;
        }
        let reason = format!("stand-in for {name}: {route}{why}");
        self.ours(sdpa.backend, route, true, reason)
    }

    /// What NS_FASTEST takes.
    fn fastest(&self, sdpa: &Sdpa, dtype: DType, seed: u64) -> Result<Chosen, CaseError> {
        // The shape that is computed decides, whatever part of it holds data.
        let key = (Sdpa { data_head_dim: sdpa.shape.head_dim, ..*sdpa }, dtype);
        if let Some(known) = self.fastest.borrow().get(&key) {
            return Ok(known.clone());
        }
        let chosen = self.fastest_of_all(sdpa, dtype, seed)?;
        self.fastest.borrow_mut().insert(key, chosen.clone());
        Ok(chosen)
    }

    /// Times every candidate; those that are unsupported, wrong or too large are passed over.
    fn fastest_of_all(&self, sdpa: &Sdpa, dtype: DType, seed: u64) -> Result<Chosen, CaseError> {
        let candidates = match self.context.device() {
            Device::Cuda(_) => policy::candidates(sdpa),
            Device::Cpu => policy::candidates_on_the_cpu(sdpa),
        };
        let (mut tried, mut refused) = (Vec::new(), Vec::new());
        for route in candidates {
            if !tried.is_empty() && policy::is_hopeless(route.backend, sdpa) {
                continue;
            }
            let plan = self.plan_route(route, *sdpa, Extent::Whole, dtype, seed);
            let best_ms = tried.iter().map(|(ms, _)| *ms).fold(f64::INFINITY, f64::min);
            match plan.and_then(|mut plan| self.short_ms(plan.as_mut(), best_ms)) {
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
        let reason = format!("the fastest in a short timing: {told}");
        self.ours(Backend::NsFastest, route, false, reason)
    }

    /// A plan that has proved right is timed shortly, to choose by: not a measurement. One that
    /// takes twice as long as the best so far is out of the race after a single launch.
    fn short_ms(&self, plan: &mut dyn Plan, best_ms: f64) -> Result<f64, CaseError> {
        const REPLAYS: usize = 7;
        const HOST_LAUNCHES: usize = 3;
        const OUT: f64 = 2.0;
        plan.verify()?;
        let Device::Cuda(cuda) = self.context.device() else {
            let times = (0..HOST_LAUNCHES).map(|_| {
                let start = Instant::now();
                plan.launch().map(|()| start.elapsed().as_secs_f64() * 1e3)
            });
            let times = times.collect::<Result<Vec<_>, _>>()?;
            return Ok(times.into_iter().fold(f64::INFINITY, f64::min));
        };
        let graph = Graph::capture(cuda, 1, || plan.launch())?;
        let first_ms = graph.replay_ns(cuda, 1)? * 1e-6;
        if first_ms > OUT * best_ms {
            return Ok(first_ms);
        }
        Ok(graph.replay_ns(cuda, REPLAYS)? * 1e-6)
    }
}

/// What ran by its kernels: a library, or a mistake of ours, could have run others than those that
/// were asked for.
pub fn proven(chosen: Chosen, kernels: &[Kernel]) -> Result<Chosen, CaseError> {
    if chosen.provider == Provider::Pytorch {
        return pytorch::proven(chosen, kernels);
    }
    // The CPU launches no kernels, whichever backend.
    if kernels.is_empty() {
        return Ok(chosen);
    }
    let Route { backend, pad_to } = chosen.route;
    let ran = |is_its: &dyn Fn(&str) -> bool| kernels.iter().any(|kernel| is_its(&kernel.name));
    let is_proven = named(backend).any(|backend| ran(&|name| backend.is_proven_by(name)));
    if is_proven && (pad_to.is_none() || ran(&|name| name.starts_with("resize"))) {
        return Ok(chosen);
    }
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let (route, names) = (chosen.route, names.join(", "));
    Err(CaseError::wrong_result(format!("{route} was asked for, and {names} ran")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{ProviderChoice, SdpaShape};

    fn sdpa(backend: Backend) -> Sdpa {
        let shape = SdpaShape {
            batch: 1,
            seq_len: 8,
            kv_len: None,
            n_heads: 1,
            n_kv_heads: None,
            head_dim: 16,
        };
        Sdpa { data_head_dim: 13, ..Sdpa::dense(shape, backend) }
    }

    fn on_the_cpu(sdpa: Sdpa, extent: Extent) -> Result<Chosen, CaseError> {
        let attention = Attention::new(Device::Cpu, None);
        assert!(!attention.pads(&sdpa));
        let (mut plan, chosen) = attention.plan(sdpa, extent, DType::Fp16, 1)?;
        plan.verify()?;
        assert_eq!(chosen.provider, Provider::Cpu);
        assert_eq!(chosen.route.pad_to, None);
        Ok(chosen)
    }

    #[test]
    fn published_names_have_stand_ins_on_the_cpu_or_say_what_they_need() {
        use Backend::{Auto, CpuBlocked, Cudnn, Flash, Math, MemEfficient, NsMath};
        for (name, ours) in [(Auto, CpuBlocked), (Math, NsMath)] {
            for provider in [ProviderChoice::Auto, ProviderChoice::NightSweep] {
                for extent in [Extent::Whole, Extent::OnTheFly] {
                    let sdpa = Sdpa { provider, ..sdpa(name) };
                    let chosen = on_the_cpu(sdpa, extent).unwrap();
                    assert_eq!((chosen.route.backend, chosen.stand_in), (ours, true));
                    let says = format!("stand-in for {}: {}", name.name(), ours.name());
                    assert_eq!(chosen.reason, says);
                }
            }
        }
        for name in [Flash, MemEfficient, Cudnn] {
            let error = on_the_cpu(sdpa(name), Extent::Whole).unwrap_err();
            let name = name.name();
            let expected = format!("stand-in for {name}: NS_{name} needs a CUDA GPU");
            assert_eq!(error, CaseError::unsupported(expected));
        }
        for name in [Auto, Flash, MemEfficient, Math, Cudnn] {
            let sdpa = Sdpa { provider: ProviderChoice::Pytorch, ..sdpa(name) };
            let error = on_the_cpu(sdpa, Extent::Whole).unwrap_err();
            assert_eq!(error, CaseError::unsupported("there is no PyTorch"));
        }
    }

    #[test]
    fn our_own_names_are_no_stand_ins_and_the_fastest_is_one_of_them() {
        use Backend::{
            CpuBlocked, NsCudnn, NsFastest, NsFlash, NsFlashDecode, NsFlashUnpadded, NsMath,
            NsMathFp16, NsMemEfficient,
        };
        for name in [CpuBlocked, NsMath] {
            let chosen = on_the_cpu(sdpa(name), Extent::OnTheFly).unwrap();
            assert_eq!((chosen.route.backend, chosen.stand_in), (name, false));
            assert_eq!(chosen.reason, "asked for by name");
        }
        let fastest = on_the_cpu(sdpa(NsFastest), Extent::Whole).unwrap();
        assert!([CpuBlocked, NsMath].contains(&fastest.route.backend) && !fastest.stand_in);
        for part in ["the fastest in a short timing: ", "CPU_BLOCKED 0.", "NS_MATH 0."] {
            assert!(fastest.reason.contains(part), "{}", fastest.reason);
        }
        for name in [NsCudnn, NsFlash, NsFlashUnpadded, NsFlashDecode, NsMemEfficient, NsMathFp16] {
            let error = on_the_cpu(sdpa(name), Extent::Whole).unwrap_err();
            let expected = format!("{} needs a CUDA GPU", name.name());
            assert_eq!(error, CaseError::unsupported(expected));
        }
    }

    #[test]
    fn a_backend_is_proven_by_its_kernels() {
        use Backend::{
            CpuBlocked, NsCudnn, NsFlash, NsFlashDecode, NsFlashUnpadded, NsMath, NsMemEfficient,
        };
        let prove = |backend, pad_to, names: &[&str]| {
            let kernel = |name: &&str| Kernel { name: (*name).to_owned(), ..Kernel::default() };
            let kernels: Vec<Kernel> = names.iter().map(kernel).collect();
            let route = Route { backend, pad_to };
            let (provider, reason) = (Provider::NightSweep, String::new());
            let chosen = Chosen { asked: backend, route, provider, stand_in: false, reason };
            proven(chosen, &kernels).map(drop)
        };
        let ours = "flash_forward_fp16_d112_128x32";
        let cudnn_flash = "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma";
        let right: [(_, _, &[&str]); 7] = [
            (NsCudnn, None, &["cudnn_generated_fort_native_sdpa"]),
            (NsMath, None, &["ampere_sgemm", "softmax_f32"]),
            (NsFlash, None, &[ours]),
            (NsFlash, Some(112), &["resize", ours]),
            (NsFlashUnpadded, None, &["flash_unpadded_fp16_d107"]),
            (NsFlashDecode, None, &["flash_decode_fp16_d107_x2_b4"]),
            (CpuBlocked, None, &[]),
        ];
        for (backend, pad_to, names) in right {
            assert_eq!(prove(backend, pad_to, names), Ok(()));
        }
        for (backend, pad_to, name, told) in [
            (NsCudnn, None, "softmax_f32", "NS_CUDNN was asked for, and softmax_f32 ran"),
            (NsMath, None, "ampere_sgemm", "ampere_sgemm ran"),
            (NsFlash, None, cudnn_flash, cudnn_flash),
            (NsFlash, Some(112), ours, ours),
            (NsCudnn, Some(112), cudnn_flash, "NS_CUDNN padded to 112 was asked for"),
            (NsMemEfficient, None, ours, ours),
            (NsFlash, None, "flash_unpadded_fp16_d107", "flash_unpadded_fp16_d107 ran"),
            (NsFlash, None, "flash_decode_fp16_d112_x4", "flash_decode_fp16_d112_x4 ran"),
            (NsFlashDecode, None, ours, ours),
        ] {
            let error = prove(backend, pad_to, &[name]).unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
    }
}
