//! What the files of the types use.

pub(super) use super::attention::{AttentionSize, auto};
pub(super) use super::check::{self, Problem, problem};
pub(super) use super::gemm::{GemmAlgorithms, GemmProvider, Line, Options};
pub(super) use super::sweep::{Sweep, Type, read};
pub(super) use super::value::{DimRange, List, OneOrList, Size, boundary, fp16, one, two};
pub(super) use crate::results::findings;
pub(super) use crate::results::raw::Point;
pub(super) use crate::results::view::{Axis, Bar, Bars, Layout, Note, Plot, Ratio, View};
pub(super) use crate::workload::case::Case;
pub(super) use crate::workload::matrix::GemmLayout;
pub(super) use crate::workload::operation::{Backend, Gemm, Operation, ProviderChoice, Sdpa};
pub(super) use crate::workload::precision::Precision;
pub(super) use crate::workload::shape::{DType, GemmShape};
pub(super) use serde::{Deserialize, Serialize};
