//! The CUDNN backend: cuDNN's fused attention, by way of its backend API.
//!
//! A graph describes the attention, cuDNN's heuristics name the engines that can run it, best first, and the first
//! that compiles becomes the plan. Heuristics take milliseconds, the first plan of a family of kernels up to a second.

mod engine;
mod graph;

use super::{Attend, SdpaProblem};
use crate::device::Cuda;
use crate::device::cuda::{Tensor, address};
use crate::device::cudnn::{Attribute::*, Cudnn, CudnnError, Descriptor, Kind::*};
use crate::device::error::CaseError;
use crate::ops::plan::Plan;
use crate::ops::plan::Verification;
use crate::ops::verify;
use crate::workload::operation::Sdpa;
use crate::workload::shape::{DType, SdpaShape};
use cudarc::driver::{CudaSlice, CudaStream};
use engine::{Executable, Graph, Target};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

/// The largest head_dim that cuDNN documents; beyond it, what runs depends on version and device.
const MAX_HEAD_DIM: usize = 256;
const HEAD_DIM_MULTIPLE: usize = 8;

/// Makes plans of attention on one stream, and keeps what it compiled.
pub struct CudnnAttention {
    cudnn: Rc<Cudnn>,
    compiled: RefCell<HashMap<(SdpaShape, bool, DType), Rc<Executable>>>,
}

/// An attention compiled for its shape, mask and type.
pub struct Compiled {
    executable: Rc<Executable>,
    cudnn: Rc<Cudnn>,
    causal: bool,
    /// These two are bound by address, which an `Rc` of this keeps in place.
    scale: f32,
    masked: f32,
}

/// Device addresses of the tensors of an attention, contiguous BHSD, and of a workspace. Each is a multiple of 16.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Queries.
    pub q: u64,
    /// Keys.
    pub k: u64,
    /// Values.
    pub v: u64,
    /// The result.
    pub o: u64,
    /// [`Compiled::workspace_bytes`] of scratch memory; anything if that is 0.
    pub workspace: u64,
}

/// An attention ready to launch: addresses bound once, for any number of launches.
pub struct Bound {
    compiled: Rc<Compiled>,
    variant_pack: Descriptor,
}

impl CudnnAttention {
    /// A maker of plans that launch on `stream`.
    ///
    /// # Errors
    /// As [`Cudnn::new`]: unsupported if there is no usable cuDNN.
    pub fn new(stream: &Arc<CudaStream>) -> Result<Self, CaseError> {
        Ok(CudnnAttention { cudnn: Rc::new(Cudnn::new(stream)?), compiled: RefCell::default() })
    }

    /// The version of cuDNN, as `9.14.0`.
    pub fn version(&self) -> String {
        self.cudnn.library().version_text()
    }

    /// The same as cuDNN's own number, 91400 for 9.14.0.
    pub fn version_number(&self) -> usize {
        self.cudnn.library().version()
    }

    /// Whether cuDNN has an engine for this attention, by its heuristics: nothing is compiled, nor allocated on the
    /// device.
    ///
    /// # Errors
    /// Unsupported, with the reason; otherwise what cuDNN reports.
    pub fn supports(&self, sdpa: &Sdpa, dtype: DType) -> Result<(), CaseError> {
        check_shape(&sdpa.shape)?;
        if self.compiled.borrow().contains_key(&key(sdpa, dtype)) {
            return Ok(());
        }
        self.graph(sdpa, dtype)?.supported()
    }

    /// The attention compiled, or taken from what was compiled before.
    ///
    /// # Errors
    /// Unsupported if there is no engine for it; otherwise why the best engine did not compile.
    pub fn plan(&self, sdpa: &Sdpa, dtype: DType) -> Result<Rc<Compiled>, CaseError> {
        check_shape(&sdpa.shape)?;
        let known = self.compiled.borrow().get(&key(sdpa, dtype)).cloned();
        let executable = match known {
            Some(executable) => executable,
            None => {
                let executable = Rc::new(self.graph(sdpa, dtype)?.compile()?);
                self.compiled.borrow_mut().insert(key(sdpa, dtype), executable.clone());
                executable
            }
        };
        Ok(Rc::new(Compiled {
            executable,
            cudnn: self.cudnn.clone(),
            causal: sdpa.causal,
            scale: (1.0 / (sdpa.data_head_dim as f64).sqrt()) as f32,
            masked: masked_score(self.cudnn.library().version()),
        }))
    }

    fn graph(&self, sdpa: &Sdpa, dtype: DType) -> Result<Graph, CudnnError> {
        let library = self.cudnn.library();
        let nodes = graph::attention(library, &sdpa.shape, sdpa.causal, dtype)?;
        Graph::new(library, &nodes, Target::Handle(self.cudnn.clone()))
    }
}

impl Compiled {
    /// Bytes of scratch memory that a launch needs; may be 0.
    pub fn workspace_bytes(&self) -> usize {
        self.executable.workspace_bytes
    }

    /// cuDNN's number for the engine, among those for graphs of this pattern.
    pub fn engine_id(&self) -> i64 {
        self.executable.engine_id
    }

    /// Binds the addresses of the tensors.
    ///
    /// # Safety
    /// The addresses are those of device memory as large as the tensors and the workspace, on the device of the
    /// stream, and stay valid until the last launch has run.
    ///
    /// # Errors
    /// What cuDNN reports.
    pub unsafe fn bind(self: &Rc<Self>, addresses: Addresses) -> Result<Bound, CaseError> {
        let Addresses { q, k, v, o, workspace } = addresses;
        let device = |address: u64| address as *mut c_void;
        // cuDNN reads by-value tensors from host memory, at every launch.
        let host = |value: &f32| std::ptr::from_ref(value).cast_mut().cast::<c_void>();
        let mut tensors = vec![
            (graph::Q, device(q)),
            (graph::K, device(k)),
            (graph::V, device(v)),
            (graph::O, device(o)),
            (graph::SCALE, host(&self.scale)),
        ];
        if self.causal {
            tensors.push((graph::MASKED, host(&self.masked)));
        }
        let (ids, pointers): (Vec<i64>, Vec<_>) = tensors.into_iter().unzip();
        let variant_pack = self
            .cudnn
            .library()
            .draft(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)?
            .set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, &ids)?
            .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &pointers)?
            .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, &[device(workspace)])?
            .finalize()?;
        Ok(Bound { compiled: self.clone(), variant_pack })
    }
}

impl Bound {
    /// Enqueues one launch on the stream; it can be captured in a CUDA graph.
    ///
    /// # Errors
    /// What cuDNN reports.
    pub fn launch(&self) -> Result<(), CaseError> {
        let Compiled { cudnn, executable, .. } = &*self.compiled;
        // SAFETY: the device addresses are as promised to `bind`; the host addresses are in `compiled`.
        unsafe { cudnn.execute(&executable.plan, &self.variant_pack) }?;
        Ok(())
    }
}

/// What one compiled graph serves: the scale is an input of it.
fn key(sdpa: &Sdpa, dtype: DType) -> (SdpaShape, bool, DType) {
    (sdpa.shape, sdpa.causal, dtype)
}

/// Says in our words, and at once, what cuDNN would refuse at length, or divide by.
fn check_shape(shape: &SdpaShape) -> Result<(), CaseError> {
    let head_dim = shape.head_dim;
    if shape.elements() == 0 {
        return Err(CaseError::unsupported("cuDNN attention needs at least one element"));
    }
    if !head_dim.is_multiple_of(HEAD_DIM_MULTIPLE) {
        return Err(CaseError::unsupported(format!(
            "cuDNN attention needs a head_dim that is a multiple of {HEAD_DIM_MULTIPLE}, not {head_dim}"
        )));
    }
    if head_dim > MAX_HEAD_DIM {
        return Err(CaseError::unsupported(format!(
            "cuDNN attention takes a head_dim of at most {MAX_HEAD_DIM}, not {head_dim}"
        )));
    }
    Ok(())
}

/// The score of a key after its query: what cuDNN's own front end passes to each version.
fn masked_score(version: usize) -> f32 {
    if version < 91_000 { f32::MIN } else { f32::NEG_INFINITY }
}

/// An attention by cuDNN, with its tensors.
pub struct CudnnSdpa {
    cuda: Rc<Cuda>,
    problem: SdpaProblem<Tensor>,
    bound: Bound,
    _workspace: CudaSlice<u8>,
}

impl CudnnSdpa {
    /// Compiles the attention or takes it from the cache, and allocates and fills its tensors.
    ///
    /// # Errors
    /// As [`CudnnAttention::plan`], and out of memory.
    pub fn new(
        cuda: &Rc<Cuda>,
        attention: &CudnnAttention,
        sdpa: Sdpa,
        dtype: DType,
        seed: u64,
    ) -> Result<Self, CaseError> {
        let compiled = attention.plan(&sdpa, dtype)?;
        let problem = SdpaProblem::on_cuda(cuda, sdpa, dtype, seed)?;
        let workspace = cuda.alloc(compiled.workspace_bytes().max(1))?;
        let at = |tensor| address(tensor, cuda.stream());
        let addresses = Addresses {
            q: at(&problem.q),
            k: at(&problem.k),
            v: at(&problem.v),
            o: at(&problem.o),
            workspace: address(&workspace, cuda.stream()),
        };
        // SAFETY: tensors and workspace have these sizes, and live in the plan as long as `bound`.
        let bound = unsafe { compiled.bind(addresses) }?;
        Ok(CudnnSdpa { cuda: cuda.clone(), problem, bound, _workspace: workspace })
    }
}

impl Plan for CudnnSdpa {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.bound.launch()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.problem.o)?;
        self.launch()?;
        verify::cuda::sdpa(&self.cuda, &self.problem)
    }
}

impl Attend<Tensor> for CudnnSdpa {
    fn problem_mut(&mut self) -> &mut SdpaProblem<Tensor> {
        &mut self.problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_refused_in_our_words() {
        let check = |seq_len, head_dim| {
            check_shape(&SdpaShape { batch: 2, n_heads: 3, n_kv_heads: None, seq_len, head_dim })
        };
        assert_eq!(check(130, 64), Ok(()));
        assert_eq!(check(130, 256), Ok(()));
        for (seq_len, head_dim, reason) in [
            (130, 107, "multiple of 8, not 107"),
            (130, 264, "at most 256"),
            (0, 64, "at least one"),
        ] {
            let error = check(seq_len, head_dim).unwrap_err();
            assert!(error.message.contains(reason), "{error}");
        }
    }
}
