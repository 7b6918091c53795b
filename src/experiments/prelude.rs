//! What the files of the types use.

pub(in crate::experiments) use super::attention::{AttentionSize, HEAD_DIM, auto};
pub(in crate::experiments) use super::check::{self, Problem, problem};
pub(in crate::experiments) use super::dims::{DimKeys, DimRange, Dims};
pub(in crate::experiments) use super::gemm::{GemmAlgorithms, GemmProvider, Line, Options};
pub(in crate::experiments) use super::sweep::{Sweep, Type, read};
pub(in crate::experiments) use super::value::{List, OneOrList, Size, fp16, one};
pub(in crate::experiments) use crate::results::findings;
pub(in crate::experiments) use crate::results::raw::Point;
pub(in crate::experiments) use crate::results::view::{
    Axis, Bar, Bars, Layout, Note, Plot, Quantity, Ratio, View,
};
pub(in crate::experiments) use crate::workload::case::Case;
pub(in crate::experiments) use crate::workload::matrix::GemmLayout;
pub(in crate::experiments) use crate::workload::operation::{
    Backend, Gemm, Operation, ProviderChoice, Sdpa,
};
pub(in crate::experiments) use crate::workload::precision::Precision;
pub(in crate::experiments) use crate::workload::shape::{DType, GemmShape};
pub(in crate::experiments) use serde::{Deserialize, Serialize};
