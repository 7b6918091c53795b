//! What is computed: element types, shapes, operations, and the cases that ask for them. Pure.

pub mod array;
pub mod case;
pub mod convert;
pub mod error;
pub(crate) mod limits;
pub mod matrix;
pub mod operation;
pub mod philox;
pub mod precision;
pub mod provider;
pub mod shape;

pub use array::HostArray;
pub use case::Case;
pub use error::{CaseError, ErrorKind};
pub use matrix::{GemmLayout, PaddedMatrix};
pub use operation::{Backend, Gemm, Operation, ProviderChoice, Sdpa};
pub use precision::{Element, Precision};
pub use provider::Provider;
pub use shape::{DType, GemmShape, LowRankShape, SdpaShape};
