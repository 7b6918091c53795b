//! Attention as a graph of cuDNN's elementary operations.
//!
//! cuDNN's fused engines recognize the graph by its pattern, so it has to be just this one. Every
//! cuDNN 9 knows it, with and without the causal mask; the single attention node that came with
//! 9.13 takes a mask only from 9.21 on.

use super::{
    Attribute::{self, *},
    CudnnError, DataType, Descriptor, Draft,
    Kind::*,
    Library, PointwiseMode, Reduction,
};
use crate::workload::{DType, SdpaShape};
use DataType::{CUDNN_DATA_BOOLEAN as BOOL, CUDNN_DATA_FLOAT as F32, CUDNN_DATA_INT32 as I32};
use PointwiseMode::*;
use Reduction::{CUDNN_REDUCE_TENSOR_ADD as SUM, CUDNN_REDUCE_TENSOR_MAX as MAX};

/// Queries, keys, values and the result, as a variant pack numbers the tensors with an address.
pub const Q: i64 = 1;
pub const K: i64 = 2;
pub const V: i64 = 3;
pub const O: i64 = 4;
/// The factor of the scores: a float32 in host memory.
pub const SCALE: i64 = 5;
/// The score of a key after its query: a float32 in host memory. Causal graphs only.
pub const MASKED: i64 = 6;
const FIRST_VIRTUAL: i64 = 100;

const ONE: [i64; 4] = [1; 4];

/// The operations of an attention over contiguous BHSD tensors, in topological order. An error
/// names the node that cuDNN refused.
pub fn attention(
    library: &'static Library,
    shape: &SdpaShape,
    causal: bool,
    dtype: DType,
) -> Result<Vec<Descriptor>, CudnnError> {
    let mut graph = Graph { library, nodes: vec![], virtuals: FIRST_VIRTUAL, building: "" };
    graph.attention(shape, causal, dtype).map_err(|error| error.at(graph.building))?;
    Ok(graph.nodes)
}

struct Graph {
    library: &'static Library,
    nodes: Vec<Descriptor>,
    /// The number of the next tensor without an address.
    virtuals: i64,
    /// The name of the latest node, for error messages.
    building: &'static str,
}

struct Tensor {
    dims: [i64; 4],
    descriptor: Descriptor,
}

impl Graph {
    fn attention(
        &mut self,
        shape: &SdpaShape,
        causal: bool,
        dtype: DType,
    ) -> Result<(), CudnnError> {
        let [b, h, s, d] =
            [shape.batch, shape.n_heads, shape.seq_len, shape.head_dim].map(|dim| dim as i64);
        // Fewer KV heads are told by their tensors alone: the GEMMs broadcast them.
        let (kv, t) = (shape.kv_heads() as i64, shape.kv_len() as i64);
        let io = match dtype {
            DType::Fp16 => DataType::CUDNN_DATA_HALF,
            DType::Bf16 => DataType::CUDNN_DATA_BFLOAT16,
        };

        let q = self.bound(Q, [b, h, s, d], contiguous([b, h, s, d]), io)?;
        // K is declared transposed: the same memory, with the last two dimensions and their strides
        // swapped.
        let k_t = self.bound(K, [b, kv, d, t], [kv * t * d, t * d, 1, d], io)?;
        let v = self.bound(V, [b, kv, t, d], contiguous([b, kv, t, d]), io)?;
        let o = self.bound(O, [b, h, s, d], contiguous([b, h, s, d]), io)?;
        let scale = self.by_value(SCALE)?;

        let dot = self.intermediate([b, h, s, t], F32)?;
        self.matmul("dot = Q Kᵀ", &q, &k_t, &dot)?;
        let mut p = self.pointwise("p = dot * scale", CUDNN_POINTWISE_MUL, &[&dot, &scale], F32)?;
        if causal {
            let masked = self.by_value(MASKED)?;
            let row = self.index("row = index(p, 2)", &p, 2)?;
            let col = self.index("col = index(p, 3)", &p, 3)?;
            let seen =
                self.pointwise("seen = row >= col", CUDNN_POINTWISE_CMP_GE, &[&row, &col], BOOL)?;
            // The operands of a selection: X, B and T.
            let operands = [&p, &masked, &seen];
            let select = CUDNN_POINTWISE_BINARY_SELECT;
            p = self.pointwise("p = seen ? p : masked", select, &operands, F32)?;
        }
        let max = self.reduce("max = max(p)", MAX, &p)?;
        let diff = self.pointwise("diff = p - max", CUDNN_POINTWISE_SUB, &[&p, &max], F32)?;
        let exp = self.pointwise("exp = exp(diff)", CUDNN_POINTWISE_EXP, &[&diff], F32)?;
        let sum = self.reduce("sum = sum(exp)", SUM, &exp)?;
        // Nobody reads log and stats, but without them no engine takes the graph.
        let log = self.pointwise("log = log(sum)", CUDNN_POINTWISE_LOG, &[&sum], F32)?;
        self.pointwise("stats = max + log", CUDNN_POINTWISE_ADD, &[&max, &log], F32)?;
        // The weights have the element type of V: both are operands of the GEMM.
        let weights =
            self.pointwise("weights = exp / sum", CUDNN_POINTWISE_DIV, &[&exp, &sum], io)?;
        self.matmul("O = weights V", &weights, &v, &o)
    }

    /// `out = a b`, summed in float32.
    fn matmul(
        &mut self,
        name: &'static str,
        a: &Tensor,
        b: &Tensor,
        out: &Tensor,
    ) -> Result<(), CudnnError> {
        self.building = name;
        let operator = Draft::new(self.library, CUDNN_BACKEND_MATMUL_DESCRIPTOR)?
            .set(CUDNN_ATTR_MATMUL_COMP_TYPE, &[F32])?
            .finalize()?;
        let node = Draft::new(self.library, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR)?
            .set_part(CUDNN_ATTR_OPERATION_MATMUL_DESC, &operator)?
            .set_part(CUDNN_ATTR_OPERATION_MATMUL_ADESC, &a.descriptor)?
            .set_part(CUDNN_ATTR_OPERATION_MATMUL_BDESC, &b.descriptor)?
            .set_part(CUDNN_ATTR_OPERATION_MATMUL_CDESC, &out.descriptor)?
            .finalize()?;
        self.nodes.push(node);
        Ok(())
    }

    /// Reduces each row of `x` to one float32.
    fn reduce(
        &mut self,
        name: &'static str,
        reduction: Reduction,
        x: &Tensor,
    ) -> Result<Tensor, CudnnError> {
        self.building = name;
        let [b, h, rows, _] = x.dims;
        let out = self.intermediate([b, h, rows, 1], F32)?;
        let operator = Draft::new(self.library, CUDNN_BACKEND_REDUCTION_DESCRIPTOR)?
            .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, &[F32])?
            .set(CUDNN_ATTR_REDUCTION_OPERATOR, &[reduction])?
            .finalize()?;
        let node = Draft::new(self.library, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)?
            .set_part(CUDNN_ATTR_OPERATION_REDUCTION_DESC, &operator)?
            .set_part(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, &x.descriptor)?
            .set_part(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, &out.descriptor)?
            .finalize()?;
        self.nodes.push(node);
        Ok(out)
    }

    /// An operation on one to three operands, which are broadcast; the result has the dimensions of
    /// the first.
    fn pointwise(
        &mut self,
        name: &'static str,
        mode: PointwiseMode,
        operands: &[&Tensor],
        out: DataType,
    ) -> Result<Tensor, CudnnError> {
        self.building = name;
        let precision = if out == BOOL { BOOL } else { F32 };
        let operator = self.operator(mode, precision)?.finalize()?;
        self.node(&operator, operands, out)
    }

    /// The index of each element of `x` along `axis`.
    fn index(&mut self, name: &'static str, x: &Tensor, axis: i64) -> Result<Tensor, CudnnError> {
        self.building = name;
        let operator = self.operator(CUDNN_POINTWISE_GEN_INDEX, F32)?;
        let operator = operator.set(CUDNN_ATTR_POINTWISE_AXIS, &[axis])?.finalize()?;
        self.node(&operator, &[x], I32)
    }

    fn operator(&self, mode: PointwiseMode, precision: DataType) -> Result<Draft, CudnnError> {
        Draft::new(self.library, CUDNN_BACKEND_POINTWISE_DESCRIPTOR)?
            .set(CUDNN_ATTR_POINTWISE_MODE, &[mode])?
            .set(CUDNN_ATTR_POINTWISE_MATH_PREC, &[precision])
    }

    fn node(
        &mut self,
        operator: &Descriptor,
        operands: &[&Tensor],
        out: DataType,
    ) -> Result<Tensor, CudnnError> {
        let out = self.intermediate(operands[0].dims, out)?;
        let mut draft = Draft::new(self.library, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)?
            .set_part(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, operator)?
            .set_part(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &out.descriptor)?
            .set(CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, &[1f32])?
            .set(CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2, &[1f32])?;
        let attributes = [
            CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
            CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
            CUDNN_ATTR_OPERATION_POINTWISE_TDESC,
        ];
        for (attribute, operand) in attributes.into_iter().zip(operands) {
            draft = draft.set_part(attribute, &operand.descriptor)?;
        }
        self.nodes.push(draft.finalize()?);
        Ok(out)
    }

    /// A tensor in device memory.
    fn bound(
        &mut self,
        id: i64,
        dims: [i64; 4],
        strides: [i64; 4],
        data_type: DataType,
    ) -> Result<Tensor, CudnnError> {
        self.building = "a bound tensor";
        self.tensor(id, dims, strides, data_type, None)
    }

    /// A float32 whose address in the variant pack is one in host memory.
    fn by_value(&mut self, id: i64) -> Result<Tensor, CudnnError> {
        self.tensor(id, ONE, ONE, F32, Some(CUDNN_ATTR_TENSOR_IS_BY_VALUE))
    }

    /// A tensor between two nodes, which never is in memory.
    fn intermediate(&mut self, dims: [i64; 4], data_type: DataType) -> Result<Tensor, CudnnError> {
        let id = self.virtuals;
        self.virtuals += 1;
        self.tensor(id, dims, contiguous(dims), data_type, Some(CUDNN_ATTR_TENSOR_IS_VIRTUAL))
    }

    fn tensor(
        &self,
        id: i64,
        dims: [i64; 4],
        strides: [i64; 4],
        data_type: DataType,
        flag: Option<Attribute>,
    ) -> Result<Tensor, CudnnError> {
        let draft = Draft::new(self.library, CUDNN_BACKEND_TENSOR_DESCRIPTOR)?
            .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, &[id])?
            .set(CUDNN_ATTR_TENSOR_DATA_TYPE, &[data_type])?
            .set(CUDNN_ATTR_TENSOR_DIMENSIONS, &dims)?
            .set(CUDNN_ATTR_TENSOR_STRIDES, &strides)?
            .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, &[16i64])?;
        let draft = match flag {
            Some(flag) => draft.set(flag, &[true])?,
            None => draft,
        };
        Ok(Tensor { dims, descriptor: draft.finalize()? })
    }
}

/// Strides in elements of a contiguous tensor.
fn contiguous([_, h, rows, columns]: [i64; 4]) -> [i64; 4] {
    [h * rows * columns, rows * columns, columns, 1]
}
