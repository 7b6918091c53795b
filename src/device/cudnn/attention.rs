//! cuDNN's fused attention, by way of its backend API.
//!
//! A graph describes the attention, cuDNN's heuristics name the engines that can run it, best
//! first, and the first that compiles is taken. Heuristics take milliseconds, the first plan of a
//! family of kernels up to a second.

use super::engine::{Executable, Graph, Target};
use super::graph;
use super::{Attribute::*, Cudnn, CudnnError, Descriptor, Draft, Kind::*};
use crate::device::DeviceError;
use crate::device::cuda::{Tensor, address};
use crate::workload::{DType, Sdpa, SdpaShape};
use cudarc::driver::{CudaSlice, CudaStream};
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
    shape: SdpaShape,
    causal: bool,
    /// These two are bound by address, which an `Rc` of this keeps in place.
    scale: f32,
    masked: f32,
}

/// An attention ready to launch: addresses bound once, for any number of launches.
pub struct Bound {
    compiled: Rc<Compiled>,
    variant_pack: Descriptor,
    /// Address and length of Q, K, V and O, for a launch to check.
    bound: [(u64, usize); 4],
    _workspace: CudaSlice<u8>,
}

impl CudnnAttention {
    /// For plans that launch on `stream`; unsupported if there is no usable cuDNN.
    pub fn new(stream: &Arc<CudaStream>) -> Result<Self, DeviceError> {
        Ok(CudnnAttention { cudnn: Rc::new(Cudnn::new(stream)?), compiled: RefCell::default() })
    }

    /// The version of cuDNN as its own number, 91400 for 9.14.0.
    pub fn version_number(&self) -> usize {
        self.cudnn.library().version()
    }

    /// Whether cuDNN has an engine for this attention, by its heuristics: nothing is compiled, nor
    /// allocated on the device.
    pub fn supports(&self, sdpa: &Sdpa, dtype: DType) -> Result<(), DeviceError> {
        check_shape(&sdpa.shape)?;
        if self.compiled.borrow().contains_key(&key(sdpa, dtype)) {
            return Ok(());
        }
        self.graph(sdpa, dtype)?.supported()
    }

    /// The attention compiled, or taken from what was compiled before; an error says why the best
    /// engine did not compile.
    pub fn plan(&self, sdpa: &Sdpa, dtype: DType) -> Result<Rc<Compiled>, DeviceError> {
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
            shape: sdpa.shape,
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

    /// Binds the addresses of Q, K, V and O, contiguous BHSD, and keeps the workspace. Panics if
    /// one has not the elements it needs.
    pub fn bind(
        self: &Rc<Self>,
        tensors: [&Tensor; 4],
        workspace: CudaSlice<u8>,
    ) -> Result<Bound, DeviceError> {
        let (elements, kv_elements) = (self.shape.elements(), self.shape.kv_elements());
        let bound = tensors.map(place);
        assert_eq!(bound.map(|(_, len)| len), [elements, kv_elements, kv_elements, elements]);
        assert!(workspace.len() >= self.workspace_bytes());
        let [q, k, v, o] = bound.map(|(address, _)| address);
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
        let library = self.cudnn.library();
        let variant_pack = Draft::new(library, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)?
            .set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, &ids)?
            .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &pointers)?
            .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, &[device(address(&workspace))])?
            .finalize()?;
        Ok(Bound { compiled: self.clone(), variant_pack, bound, _workspace: workspace })
    }
}

impl Bound {
    /// Enqueues one launch on the stream. Panics if `tensors` are not those that were bound.
    pub fn launch(&self, tensors: [&Tensor; 4]) -> Result<(), DeviceError> {
        assert_eq!(tensors.map(place), self.bound, "the tensors are those that were bound");
        let Compiled { cudnn, executable, .. } = &*self.compiled;
        // SAFETY: the tensors at the bound addresses are borrowed, and as large as `bind` found
        // them; they and the workspace are freed in the order of the stream. The host addresses are
        // in `compiled`.
        unsafe { cudnn.execute(&executable.plan, &self.variant_pack) }?;
        Ok(())
    }
}

/// Where a tensor is, and how long.
fn place(tensor: &Tensor) -> (u64, usize) {
    (address(tensor), tensor.len())
}

/// What one compiled graph serves: the scale is an input of it.
fn key(sdpa: &Sdpa, dtype: DType) -> (SdpaShape, bool, DType) {
    (sdpa.shape, sdpa.causal, dtype)
}

/// Says in our words, and at once, what cuDNN would refuse at length, or divide by.
fn check_shape(shape: &SdpaShape) -> Result<(), DeviceError> {
    let head_dim = shape.head_dim;
    let needs = if shape.elements() == 0 {
        "needs at least one element".to_owned()
    } else if !head_dim.is_multiple_of(HEAD_DIM_MULTIPLE) {
        format!("needs a head_dim that is a multiple of {HEAD_DIM_MULTIPLE}, not {head_dim}")
    } else if head_dim > MAX_HEAD_DIM {
        format!("takes a head_dim of at most {MAX_HEAD_DIM}, not {head_dim}")
    } else {
        return Ok(());
    };
    Err(DeviceError::unsupported(format!("cuDNN attention {needs}")))
}

/// The score of a key after its query: what cuDNN's own front end passes to each version.
fn masked_score(version: usize) -> f32 {
    if version < 91_000 { f32::MIN } else { f32::NEG_INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_refused_in_our_words() {
        let check = |seq_len, head_dim| {
            check_shape(&SdpaShape {
                batch: 2,
                n_heads: 3,
                n_kv_heads: None,
                seq_len,
                kv_len: None,
                head_dim,
            })
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
