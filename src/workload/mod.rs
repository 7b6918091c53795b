//! What is computed: element types, shapes, operations, and the cases that ask for them. Pure.

pub mod array;
pub mod backend;
pub mod case;
pub mod convert;
pub mod error;
pub mod gemm;
pub(crate) mod limits;
pub mod matrix;
pub mod operation;
pub mod philox;
pub mod precision;
pub mod provider;
pub mod sdpa;
pub mod shape;

pub use array::HostArray;
pub use backend::Backend;
pub use case::Case;
pub use error::{CaseError, ErrorKind};
pub use gemm::Gemm;
pub use matrix::{GemmLayout, PaddedMatrix};
pub use operation::Operation;
pub use precision::{Element, Precision};
pub use provider::{Provider, ProviderChoice};
pub use sdpa::Sdpa;
pub use shape::{DType, GemmShape, LowRankShape, SdpaShape};
