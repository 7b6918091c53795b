//! cuBLASLt: a GEMM whose algorithm is chosen once, and can be named.

use super::{Tensor, address};
use crate::device::libraries::{self, Cublaslt, HeuristicResult};
use crate::device::{Algorithm, DeviceError};
use crate::workload::{DType, GemmShape};
use cudarc::cublaslt::sys;
use cudarc::cublaslt::sys::cublasLtMatmulAlgoConfigAttributes_t as Attribute;
use cudarc::driver::{CudaSlice, CudaStream};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

/// As cuBLAS's own on Hopper. An algorithm that needs more is not offered.
const WORKSPACE_BYTES: usize = 32 << 20;

/// A handle of cuBLASLt, and the workspace of its GEMMs: one at a time may run.
pub struct Lt {
    library: &'static Cublaslt,
    handle: sys::cublasLtHandle_t,
    stream: Arc<CudaStream>,
    workspace: CudaSlice<u8>,
}

/// A GEMM `C[M,N] = A[M,K] B[K,N]` of row-major matrices with one algorithm to compute it.
#[derive(Clone)]
pub struct Matmul {
    problem: Rc<Problem>,
    algo: sys::cublasLtMatmulAlgo_t,
    /// What cuBLASLt says of the algorithm.
    pub algorithm: Algorithm,
}

/// The descriptors of a GEMM. cuBLASLt is column-major, where a row-major matrix is its transpose:
/// it computes `C^T = B^T A^T`, so its first operand is our B.
struct Problem {
    library: &'static Cublaslt,
    shape: GemmShape,
    desc: sys::cublasLtMatmulDesc_t,
    layouts: [sys::cublasLtMatrixLayout_t; 3],
}

/// A search preference, destroyed when dropped.
struct Preference {
    library: &'static Cublaslt,
    raw: sys::cublasLtMatmulPreference_t,
}

impl Lt {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Self, DeviceError> {
        let library = &libraries::stack()?.cublaslt;
        // SAFETY: never read before cuBLASLt writes it.
        let workspace = unsafe { stream.alloc::<u8>(WORKSPACE_BYTES) }?;
        stream.context().bind_to_thread()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: `handle` is where the new handle goes; a context is current.
        library.check(unsafe { (library.create)(&mut handle) })?;
        Ok(Lt { library, handle, stream: stream.clone(), workspace })
    }

    /// The algorithms that the heuristic offers for a GEMM, `at_most` of them, its best guess
    /// first. Unsupported where it offers none.
    pub fn algorithms(
        &self,
        shape: GemmShape,
        dtype: DType,
        at_most: usize,
    ) -> Result<Vec<Matmul>, DeviceError> {
        let library = self.library;
        let problem = Rc::new(Problem::new(library, shape, dtype)?);
        let preference = Preference::new(library)?;
        let [b, a, c] = problem.layouts;
        let mut found = vec![HeuristicResult::default(); at_most];
        let mut count = 0;
        // SAFETY: the descriptors are alive, and `found` has room for `at_most` results.
        let status = unsafe {
            (library.heuristic)(
                self.handle,
                problem.desc,
                b,
                a,
                c,
                c,
                preference.raw,
                at_most as i32,
                found.as_mut_ptr(),
                &mut count,
            )
        };
        library.check(status)?;
        found.truncate(count as usize);
        found.retain(|result| result.status == 0);
        if found.is_empty() {
            return Err(DeviceError::unsupported("cuBLASLt offers no algorithm for this GEMM"));
        }
        let offered = found.len();
        let named = found.into_iter().enumerate().map(|(rank, result)| {
            let number = |attribute| config(library, &result.algorithm, attribute);
            let algorithm = Algorithm {
                id: number(Attribute::CUBLASLT_ALGO_CONFIG_ID),
                tile: number(Attribute::CUBLASLT_ALGO_CONFIG_TILE_ID),
                stages: number(Attribute::CUBLASLT_ALGO_CONFIG_STAGES_ID),
                // cuBLASLt's 0 is "not split" as well.
                split_k: number(Attribute::CUBLASLT_ALGO_CONFIG_SPLITK_NUM).max(1),
                workspace_bytes: result.workspace_bytes,
                rank,
                offered,
            };
            Matmul { problem: problem.clone(), algo: result.algorithm, algorithm }
        });
        Ok(named.collect())
    }

    /// Enqueues `C = A B` with float32 accumulation on the stream of this handle. Panics if a
    /// tensor does not have the elements of its matrix.
    pub fn multiply(&self, matmul: &Matmul, [a, b, c]: [&Tensor; 3]) -> Result<(), DeviceError> {
        let GemmShape { m, n, k } = matmul.problem.shape;
        let lengths = [a, b, c].map(|tensor| Some(tensor.len()));
        assert_eq!(lengths, [m.checked_mul(k), k.checked_mul(n), m.checked_mul(n)]);
        let (one, zero) = (1.0f32, 0.0f32);
        let at = |tensor| address(tensor) as *mut c_void;
        let [b_layout, a_layout, c_layout] = matmul.problem.layouts;
        // SAFETY: the descriptors live in `matmul`; the factors are host memory, read before the
        // call returns; the tensors have the sizes of the shape, as asserted above, and are freed
        // in the order of the main stream, which waits for the others (`Branches::run`); the
        // workspace is used by one GEMM at a time, as there is one stream.
        let status = unsafe {
            (self.library.matmul)(
                self.handle,
                matmul.problem.desc,
                (&raw const one).cast(),
                at(b),
                b_layout,
                at(a),
                a_layout,
                (&raw const zero).cast(),
                at(c),
                c_layout,
                at(c),
                c_layout,
                &matmul.algo,
                address(&self.workspace) as *mut c_void,
                WORKSPACE_BYTES,
                self.stream.cu_stream().cast(),
            )
        };
        self.library.check(status)
    }
}

impl Drop for Lt {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed once.
        unsafe { (self.library.destroy)(self.handle) };
    }
}

impl Problem {
    fn new(
        library: &'static Cublaslt,
        shape: GemmShape,
        dtype: DType,
    ) -> Result<Self, DeviceError> {
        let kind = match dtype {
            DType::Fp16 => sys::cudaDataType::CUDA_R_16F,
            DType::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        };
        let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let scale = sys::cudaDataType::CUDA_R_32F;
        let mut desc = std::ptr::null_mut();
        // SAFETY: `desc` is where the new descriptor goes.
        library.check(unsafe { (library.desc_create)(&mut desc, compute, scale) })?;
        let mut problem = Problem { library, shape, desc, layouts: [std::ptr::null_mut(); 3] };
        let GemmShape { m, n, k } = shape;
        // Rows and columns as cuBLASLt sees them: those of the transpose. One by one, so that a
        // failure drops those there are.
        for (slot, (rows, columns)) in problem.layouts.iter_mut().zip([(n, k), (k, m), (n, m)]) {
            let (rows, columns, leading) = (rows as u64, columns as u64, rows as i64);
            // SAFETY: `slot` is where the new layout goes.
            let status = unsafe { (library.layout_create)(slot, kind, rows, columns, leading) };
            library.check(status)?;
        }
        Ok(problem)
    }
}

impl Drop for Problem {
    fn drop(&mut self) {
        // SAFETY: each was created once and is destroyed once; null is one that was not created.
        unsafe {
            for layout in self.layouts.into_iter().filter(|layout| !layout.is_null()) {
                (self.library.layout_destroy)(layout);
            }
            (self.library.desc_destroy)(self.desc);
        }
    }
}

impl Preference {
    fn new(library: &'static Cublaslt) -> Result<Self, DeviceError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is where the new preference goes.
        library.check(unsafe { (library.preference_create)(&mut raw) })?;
        let preference = Preference { library, raw };
        let most_bytes = WORKSPACE_BYTES;
        // SAFETY: the preference is alive; the attribute takes a size.
        let status = unsafe {
            (library.preference_set)(
                raw,
                sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                (&raw const most_bytes).cast(),
                size_of::<usize>(),
            )
        };
        library.check(status)?;
        Ok(preference)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed once.
        unsafe { (self.library.preference_destroy)(self.raw) };
    }
}

/// A number that an algorithm is configured with; 0 where the library does not know it.
fn config(library: &Cublaslt, algo: &sys::cublasLtMatmulAlgo_t, attribute: Attribute) -> u32 {
    let (mut value, mut written) = (0u32, 0);
    let at = (&raw mut value).cast();
    // SAFETY: writes at most the four bytes of `value`.
    let status =
        unsafe { (library.algorithm_config)(algo, attribute, at, size_of::<u32>(), &mut written) };
    library.check(status).map_or(0, |()| value)
}
