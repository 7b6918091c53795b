//! cuBLASLt: a GEMM whose algorithm is chosen once, and can be named.

use super::address;
use super::array::{DeviceArray, Elements};
use crate::device::libraries::{self, Cublaslt, HeuristicResult};
use crate::device::{Algorithm, DeviceError, DeviceErrorKind};
use crate::workload::precision::{E4M3_SCALE, FP8_ALIGNMENT};
use crate::workload::{Element, Gemm, GemmLayout, GemmShape, Precision};
use cudarc::cublaslt::sys;
use cudarc::cublaslt::sys::cublasLtMatmulAlgoConfigAttributes_t as Attribute;
use cudarc::cublaslt::sys::cublasLtMatmulDescAttributes_t as DescAttribute;
use cudarc::cublaslt::sys::cublasLtMatrixLayoutAttribute_t as LayoutAttribute;
use cudarc::driver::{CudaSlice, CudaStream};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

/// `CUBLAS_OP_T`. An operand is multiplied as it is stored where nothing else is said.
static TRANSPOSED: i32 = 1;

/// As cuBLAS's own on Hopper. An algorithm that needs more is not offered.
const WORKSPACE_BYTES: usize = 32 << 20;

/// A handle of cuBLASLt, and the workspace of its GEMMs: one at a time may run.
pub struct Lt {
    library: &'static Cublaslt,
    handle: sys::cublasLtHandle_t,
    stream: Arc<CudaStream>,
    workspace: CudaSlice<u8>,
    /// [`E4M3_SCALE`], one number, for both operands of every fp8 GEMM.
    scale: Arc<CudaSlice<f32>>,
}

/// A GEMM `C[M,N] = A[M,K] B[K,N]` of row-major matrices in any layout, or a batch of them, with
/// one algorithm to compute it.
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
    /// Elements of A, B and C, those of the whole batch.
    lengths: [usize; 3],
    desc: sys::cublasLtMatmulDesc_t,
    /// Of B, A and C.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    /// Of A, B and C.
    elements: [Element; 3],
    /// The descriptor of an fp8 GEMM has its address.
    scale: Option<Arc<CudaSlice<f32>>>,
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
        let scale = Arc::new(stream.clone_htod(&[E4M3_SCALE])?);
        Ok(Lt { library, handle, stream: stream.clone(), workspace, scale })
    }

    /// The algorithms that the heuristic offers for a GEMM, `at_most` of them, its best guess
    /// first. Unsupported where it offers none. Which part of the operands holds data is nothing
    /// to it.
    pub fn algorithms(
        &self,
        gemm: &Gemm,
        precision: impl Into<Precision>,
        at_most: usize,
    ) -> Result<Vec<Matmul>, DeviceError> {
        let precision = precision.into();
        match precision {
            Precision::Fp8E4m3 => {
                check_fp8(gemm, self.stream.context().compute_capability()?)?;
                self.offered(gemm, precision, at_most).map_err(|error| fp8_refusal(gemm, error))
            }
            _ => self.offered(gemm, precision, at_most),
        }
    }

    fn offered(
        &self,
        gemm: &Gemm,
        precision: Precision,
        at_most: usize,
    ) -> Result<Vec<Matmul>, DeviceError> {
        let library = self.library;
        let scale = (precision == Precision::Fp8E4m3).then(|| self.scale.clone());
        let problem = Rc::new(Problem::new(library, gemm, precision, scale)?);
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

    /// Enqueues `C = A B`, of the whole batch, with float32 accumulation on the stream of this
    /// handle. Panics if a tensor does not have the elements of its matrices.
    pub fn multiply(
        &self,
        matmul: &Matmul,
        [a, b, c]: [&DeviceArray; 3],
    ) -> Result<(), DeviceError> {
        assert_eq!([a, b, c].map(Elements::count), matmul.problem.lengths);
        assert_eq!([a, b, c].map(DeviceArray::element), matmul.problem.elements);
        let (one, zero) = (1.0f32, 0.0f32);
        let at = |array: &DeviceArray| array.address() as *mut c_void;
        let [b_layout, a_layout, c_layout] = matmul.problem.layouts;
        // SAFETY: the descriptors live in `matmul`; the factors are host memory, read before the
        // call returns; the tensors hold the matrices of the layouts, as asserted above, and are
        // freed in the order of the main stream, which waits for the others (`Branches::run`); the
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
        gemm: &Gemm,
        precision: Precision,
        of_operands: Option<Arc<CudaSlice<f32>>>,
    ) -> Result<Self, DeviceError> {
        let (operand, result) = (precision.operand(), precision.result());
        let compute = match precision {
            Precision::Tf32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            _ => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        };
        let scale = sys::cudaDataType::CUDA_R_32F;
        let GemmShape { m, n, k } = gemm.shape;
        let (layout, batch) = (gemm.layout, gemm.batch);
        let too_large = || DeviceError::unsupported("a matrix has 2^64 elements or more");
        let length = |rows: usize, columns: usize| {
            let elements = rows.checked_mul(columns).and_then(|one| one.checked_mul(batch));
            elements.ok_or_else(too_large)
        };
        let lengths = [length(m, k)?, length(k, n)?, length(m, n)?];
        let mut desc = std::ptr::null_mut();
        // SAFETY: `desc` is where the new descriptor goes.
        library.check(unsafe { (library.desc_create)(&mut desc, compute, scale) })?;
        // From here on, a failure drops what there is.
        let mut problem = Problem {
            library,
            lengths,
            desc,
            layouts: [std::ptr::null_mut(); 3],
            elements: [operand, operand, result],
            scale: of_operands,
        };
        let stored = |size: [usize; 2], transposed: bool| match transposed {
            true => [size[1], size[0]],
            false => size,
        };
        let a = stored([m, k], layout.a_transposed());
        let b = stored([k, n], layout.b_transposed());
        let stored = [(b, operand), (a, operand), ([m, n], result)];
        for (slot, (size, element)) in problem.layouts.iter_mut().zip(stored) {
            *slot = new_layout(library, kind(element), size)?;
        }
        if let Some(scale) = &problem.scale {
            let scale = address(scale);
            problem.scale(DescAttribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, scale)?;
            problem.scale(DescAttribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, scale)?;
        }
        if layout.b_transposed() {
            problem.multiply_transposed(DescAttribute::CUBLASLT_MATMUL_DESC_TRANSA)?;
        }
        if layout.a_transposed() {
            problem.multiply_transposed(DescAttribute::CUBLASLT_MATMUL_DESC_TRANSB)?;
        }
        if batch > 1 {
            problem.repeat(batch)?;
        }
        Ok(problem)
    }

    /// Multiplies one of cuBLASLt's operands by the number at a device address.
    fn scale(&mut self, operand: DescAttribute, address: u64) -> Result<(), DeviceError> {
        let value = (&raw const address).cast();
        // SAFETY: the descriptor is alive; the attribute takes the eight bytes of an address.
        let status =
            unsafe { (self.library.desc_set)(self.desc, operand, value, size_of::<u64>()) };
        self.library.check(status)
    }

    /// Takes the transpose of one of cuBLASLt's operands.
    fn multiply_transposed(&mut self, operand: DescAttribute) -> Result<(), DeviceError> {
        let value = (&raw const TRANSPOSED).cast();
        // SAFETY: the descriptor is alive; the attribute takes the four bytes of a
        // `cublasOperation_t`.
        let status =
            unsafe { (self.library.desc_set)(self.desc, operand, value, size_of::<i32>()) };
        self.library.check(status)
    }

    /// Makes a batch of it, whose matrices lie one after the other.
    fn repeat(&mut self, batch: usize) -> Result<(), DeviceError> {
        let count = i32::try_from(batch).map_err(|_| {
            DeviceError::unsupported(format!("cuBLASLt takes batches below 2^31, not {batch}"))
        })?;
        let [a, b, c] = self.lengths.map(|length| (length / batch) as i64);
        for (layout, stride) in self.layouts.into_iter().zip([b, a, c]) {
            let count = (&raw const count).cast();
            let stride = (&raw const stride).cast();
            // SAFETY: the layout is alive; the attributes take a number of 32 bits and one of 64.
            unsafe {
                let attribute = LayoutAttribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
                let status = (self.library.layout_set)(layout, attribute, count, size_of::<i32>());
                self.library.check(status)?;
                let attribute = LayoutAttribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET;
                let status = (self.library.layout_set)(layout, attribute, stride, size_of::<i64>());
                self.library.check(status)?;
            }
        }
        Ok(())
    }
}

fn kind(element: Element) -> sys::cudaDataType {
    match element {
        Element::Fp16 => sys::cudaDataType::CUDA_R_16F,
        Element::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        Element::Fp32 => sys::cudaDataType::CUDA_R_32F,
        Element::E4m3 => sys::cudaDataType::CUDA_R_8F_E4M3,
    }
}

/// What no cuBLASLt multiplies in fp8.
fn check_fp8(gemm: &Gemm, (major, minor): (i32, i32)) -> Result<(), DeviceError> {
    if (major, minor) < (8, 9) {
        return Err(DeviceError::unsupported(format!(
            "fp8 needs compute capability 8.9 (Ada, Hopper) or later: this GPU has {major}.{minor}"
        )));
    }
    match gemm.layout {
        GemmLayout::Nt => Ok(()),
        other => Err(DeviceError::unsupported(format!(
            "cuBLASLt multiplies fp8 where both operands are contiguous along K, in layout nt, \
             not {}",
            other.name()
        ))),
    }
}

/// Why cuBLASLt refuses an fp8 GEMM, where its dimensions say it.
fn fp8_refusal(gemm: &Gemm, error: DeviceError) -> DeviceError {
    let GemmShape { n, k, .. } = gemm.shape;
    let is_aligned = [n, k].iter().all(|size| size.is_multiple_of(FP8_ALIGNMENT));
    match error.kind {
        DeviceErrorKind::OutOfMemory => error,
        _ if is_aligned => error,
        _ => DeviceError::unsupported(format!(
            "cuBLASLt multiplies fp8 where K and N are multiples of {FP8_ALIGNMENT}, not K={k} \
             N={n}"
        )),
    }
}

/// The layout of a matrix that is stored row-major: cuBLASLt sees the rows and columns of its
/// transpose.
fn new_layout(
    library: &Cublaslt,
    kind: sys::cudaDataType,
    [rows, columns]: [usize; 2],
) -> Result<sys::cublasLtMatrixLayout_t, DeviceError> {
    let mut layout = std::ptr::null_mut();
    let (rows, columns, leading) = (columns as u64, rows as u64, columns as i64);
    // SAFETY: `layout` is where the new layout goes.
    let status = unsafe { (library.layout_create)(&mut layout, kind, rows, columns, leading) };
    library.check(status)?;
    Ok(layout)
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
