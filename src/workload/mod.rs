//! What is computed: element types, shapes, operations, and the cases that ask for them. Pure.

pub mod case;
pub mod convert;
pub(crate) mod limits;
pub mod operation;
pub mod philox;
pub mod provider;
pub mod shape;
