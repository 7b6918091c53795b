//! cuDNN's backend API: descriptors of tensors, operations and plans. A [`Draft`] takes attributes;
//! [`Draft::finalize`] makes it a [`Descriptor`], which can be an attribute of others. A descriptor
//! keeps alive whatever it was made of, down to the handle: cuDNN does not, and a plan needs it
//! all.

mod attention;
mod descriptor;
mod engine;
mod graph;
mod library;

pub use attention::{Bound, Compiled, CudnnAttention};
pub use cudarc::cudnn::sys::{
    cudnnBackendAttributeName_t as Attribute, cudnnBackendDescriptorType_t as Kind,
    cudnnBackendHeurMode_t as HeuristicMode, cudnnDataType_t as DataType,
    cudnnPointwiseMode_t as PointwiseMode, cudnnReduceTensorOp_t as Reduction,
};
pub use descriptor::{Descriptor, Draft, Element};
pub use library::{Cudnn, CudnnError, Library};
