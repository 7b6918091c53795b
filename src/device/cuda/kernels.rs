//! Our own kernels, loaded: one safe function for each.

use super::compile::compile;
use super::error;
use crate::plan::CaseError;
use crate::shape::DType;
use cudarc::driver::sys::{CUfunction_attribute, cuMemsetD16Async};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig,
    PushKernelArg, ValidAsZeroBits,
};
use cudarc::nvrtc::Ptx;
use std::sync::Arc;

/// Plain numbers, valid whatever their bits.
pub trait Bits: DeviceRepr + ValidAsZeroBits {}
impl Bits for u8 {}
impl Bits for u16 {}
impl Bits for u32 {}
impl Bits for f32 {}

/// A tensor of 16-bit numbers in device memory.
pub type Tensor = CudaSlice<u16>;

/// The functions of kernels/*.cu.
pub struct Kernels {
    fill_normal: CudaFunction,
    verify_gemm: CudaFunction,
    verify_sdpa: CudaFunction,
    count_nonfinite: CudaFunction,
    widen: CudaFunction,
    narrow: CudaFunction,
    softmax_f32: CudaFunction,
    softmax_16bit: CudaFunction,
    resize: CudaFunction,
    spin: CudaFunction,
    hold: CudaFunction,
    stamp_cycles: CudaFunction,
    trap: CudaFunction,
    empty: CudaFunction,
    copy: CudaFunction,
}

/// The `Matrices` of kernels/pad.cu.
#[repr(C)]
struct ResizedMatrices {
    from: [u64; 3],
    to: [u64; 3],
}
// SAFETY: the kernel's struct is six addresses as well.
unsafe impl DeviceRepr for ResizedMatrices {}

/// The `Sizes` of kernels/pad.cu.
#[repr(C)]
struct ResizedSizes {
    from_rows: u32,
    from_columns: u32,
    to_rows: u32,
    to_columns: u32,
}
// SAFETY: the kernel's struct is the same four numbers.
unsafe impl DeviceRepr for ResizedSizes {}

/// The `THREADS` of kernels/pad.cu.
const RESIZE_THREADS: u32 = 128;
/// What a block writes: `CHUNKS * CHUNK * THREADS` numbers.
const RESIZED_PER_BLOCK: usize = 2 * 8 * RESIZE_THREADS as usize;
const THREADS: u32 = 256;
/// Dynamic shared memory of a block without asking for more.
const DEFAULT_SHARED_BYTES: u32 = 48 * 1024;

impl Kernels {
    /// Compiles (or takes from the cache) and loads all of them.
    ///
    /// # Errors
    /// The compiler's log, or what the driver says of the module.
    pub fn load(context: &Arc<CudaContext>, (major, minor): (i32, i32)) -> Result<Self, String> {
        let arch = format!("sm_{major}{minor}");
        let module = |file| {
            let cubin = compile(file, &[], &arch)?;
            context
                .load_module(Ptx::from_binary(cubin))
                .map_err(|failure| format!("{file} does not load: {}", error(failure)))
        };
        let (fill, verify, math) = (module("fill.cu")?, module("verify.cu")?, module("math.cu")?);
        let (pad, timing) = (module("pad.cu")?, module("timing.cu")?);
        let function = |module: &Arc<cudarc::driver::CudaModule>, name| {
            module
                .load_function(name)
                .map_err(|failure| format!("kernel {name}: {}", error(failure)))
        };
        Ok(Kernels {
            fill_normal: function(&fill, "fill_normal")?,
            verify_gemm: function(&verify, "verify_gemm")?,
            verify_sdpa: function(&verify, "verify_sdpa")?,
            count_nonfinite: function(&verify, "count_nonfinite")?,
            widen: function(&math, "widen")?,
            narrow: function(&math, "narrow")?,
            softmax_f32: function(&math, "softmax_f32")?,
            softmax_16bit: function(&math, "softmax_16bit")?,
            resize: function(&pad, "resize")?,
            spin: function(&timing, "spin")?,
            hold: function(&timing, "hold")?,
            stamp_cycles: function(&timing, "stamp_cycles")?,
            trap: function(&timing, "trap")?,
            empty: function(&timing, "empty")?,
            copy: function(&timing, "copy")?,
        })
    }

    /// Fills a `rows x columns` tensor with the normal numbers of [`crate::philox`] in its first
    /// `data_rows x data_columns`, and zeros around them.
    ///
    /// # Errors
    /// What the driver reports, as in every function here.
    pub fn fill_normal(
        &self,
        stream: &CudaStream,
        out: &mut Tensor,
        dtype: DType,
        (seed, tensor): (u64, u32),
        (rows, columns): (usize, usize),
        (data_rows, data_columns): (usize, usize),
    ) -> Result<(), CaseError> {
        assert_eq!(out.len(), rows * columns, "the tensor has the size of its matrix");
        let sizes = [rows, columns, data_rows, data_columns].map(|size| size as u64);
        let (config, kind) = (threads_for(out.len(), 1), kind(dtype));
        let mut launch = stream.launch_builder(&self.fill_normal);
        launch.arg(out).arg(&seed).arg(&tensor);
        sizes.iter().for_each(|size| {
            launch.arg(size);
        });
        launch.arg(&kind);
        // SAFETY: the arguments are those of the kernel; it writes rows * columns elements, the length of `out`.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// Writes the same 16 bits to every element.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn fill_bits(
        &self,
        stream: &CudaStream,
        out: &mut Tensor,
        bits: u16,
    ) -> Result<(), CaseError> {
        // SAFETY: the address and the length are those of one allocation on this stream's device.
        unsafe { cuMemsetD16Async(address(out, stream), bits, out.len(), stream.cu_stream()) }
            .result()
            .map_err(error)
    }

    /// Adds `‖C − reference‖²` and `‖reference‖²` of row `rows[i]` of `C = A B` to `errors[2 i]` and `errors[2 i + 1]`.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn verify_gemm(
        &self,
        stream: &CudaStream,
        [a, b, c]: [&Tensor; 3],
        rows: &CudaSlice<u32>,
        errors: &mut CudaSlice<f32>,
        (n, k): (usize, usize),
        dtype: DType,
    ) -> Result<(), CaseError> {
        let config = LaunchConfig {
            grid_dim: (rows.len() as u32, (n as u32).div_ceil(THREADS), 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes: 0,
        };
        let (n, k, kind) = (n as u32, k as u32, kind(dtype));
        let mut launch = stream.launch_builder(&self.verify_gemm);
        launch.arg(a).arg(b).arg(c).arg(rows).arg(errors).arg(&n).arg(&k).arg(&kind);
        // SAFETY: the arguments are those of the kernel; the caller's tensors are M x K, K x N, M x N and rows[i] < M.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// As [`Kernels::verify_gemm`] for row `rows[i]` of attention over `[heads * seq, dim]` tensors, of which K and V have
    /// one head for each `group` of the others.
    ///
    /// # Errors
    /// What the driver reports.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the kernel")]
    pub fn verify_sdpa(
        &self,
        stream: &CudaStream,
        [q, k, v, o]: [&Tensor; 4],
        rows: &CudaSlice<u32>,
        errors: &mut CudaSlice<f32>,
        (seq, dim, group): (usize, usize, usize),
        scale: f32,
        causal: bool,
        dtype: DType,
    ) -> Result<(), CaseError> {
        let shared_mem_bytes = 4 * (seq + dim) as u32;
        if shared_mem_bytes > DEFAULT_SHARED_BYTES {
            let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            self.verify_sdpa.set_attribute(attribute, shared_mem_bytes as i32).map_err(|_| {
                CaseError::unsupported(format!(
                    "sequences of {seq} tokens are too long for the reference"
                ))
            })?;
        }
        let config = LaunchConfig {
            grid_dim: (rows.len() as u32, 1, 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes,
        };
        let (seq, dim, group) = (seq as u32, dim as u32, group as u32);
        let (causal, kind) = (i32::from(causal), kind(dtype));
        let mut launch = stream.launch_builder(&self.verify_sdpa);
        launch.arg(q).arg(k).arg(v).arg(o).arg(rows).arg(errors);
        launch.arg(&seq).arg(&dim).arg(&group).arg(&scale).arg(&causal).arg(&kind);
        // SAFETY: the arguments are those of the kernel; the caller's tensors are [heads * seq, dim], rows[i] below that.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// Adds the number of NaN and infinite elements to `count[0]`.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn count_nonfinite(
        &self,
        stream: &CudaStream,
        values: &Tensor,
        count: &mut CudaSlice<u32>,
        dtype: DType,
    ) -> Result<(), CaseError> {
        let (len, kind) = (values.len() as u64, kind(dtype));
        let config = LaunchConfig { grid_dim: (1024, 1, 1), ..threads_for(1, 1) };
        let mut launch = stream.launch_builder(&self.count_nonfinite);
        launch.arg(values).arg(&len).arg(count).arg(&kind);
        // SAFETY: the arguments are those of the kernel, `len` is the length of `values`.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// `out = scale * values`, widened to float32.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn widen(
        &self,
        stream: &CudaStream,
        values: &Tensor,
        out: &mut CudaSlice<f32>,
        scale: f32,
        dtype: DType,
    ) -> Result<(), CaseError> {
        assert_eq!(values.len(), out.len());
        let (len, kind) = (values.len() as u64, kind(dtype));
        let mut launch = stream.launch_builder(&self.widen);
        launch.arg(values).arg(out).arg(&len).arg(&scale).arg(&kind);
        // SAFETY: the arguments are those of the kernel, `len` is the length of both.
        unsafe { launch.launch(threads_for(values.len(), 4)) }.map(drop).map_err(error)
    }

    /// `out = values`, rounded to 16 bits.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn narrow(
        &self,
        stream: &CudaStream,
        values: &CudaSlice<f32>,
        out: &mut Tensor,
        dtype: DType,
    ) -> Result<(), CaseError> {
        assert_eq!(values.len(), out.len());
        let (len, kind) = (values.len() as u64, kind(dtype));
        let mut launch = stream.launch_builder(&self.narrow);
        launch.arg(values).arg(out).arg(&len).arg(&kind);
        // SAFETY: the arguments are those of the kernel, `len` is the length of both.
        unsafe { launch.launch(threads_for(values.len(), 4)) }.map(drop).map_err(error)
    }

    /// Softmax of each row of `scores[heads * seq, seq]`, in place.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn softmax_f32(
        &self,
        stream: &CudaStream,
        scores: &mut CudaSlice<f32>,
        seq: usize,
        causal: bool,
    ) -> Result<(), CaseError> {
        let config = softmax_config(scores.len(), seq);
        let (seq, causal) = (seq as u32, i32::from(causal));
        let mut launch = stream.launch_builder(&self.softmax_f32);
        launch.arg(scores).arg(&seq).arg(&causal);
        // SAFETY: the arguments are those of the kernel; a block a row of `seq` elements covers `scores`.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// As [`Kernels::softmax_f32`] on 16-bit scores; the arithmetic is float32.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn softmax_16bit(
        &self,
        stream: &CudaStream,
        scores: &mut Tensor,
        seq: usize,
        causal: bool,
        dtype: DType,
    ) -> Result<(), CaseError> {
        let config = softmax_config(scores.len(), seq);
        let (seq, causal, kind) = (seq as u32, i32::from(causal), kind(dtype));
        let mut launch = stream.launch_builder(&self.softmax_16bit);
        launch.arg(scores).arg(&seq).arg(&causal).arg(&kind);
        // SAFETY: the arguments are those of the kernel; a block a row of `seq` elements covers `scores`.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// Copies each matrix into one of another size, in one launch: what `to` has beyond `from` becomes zero, what it
    /// lacks is left out. All matrices of a side have the same size.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn resize<const N: usize>(
        &self,
        stream: &CudaStream,
        from: [&Tensor; N],
        to: [&mut Tensor; N],
        (from_rows, from_columns): (usize, usize),
        (to_rows, to_columns): (usize, usize),
    ) -> Result<(), CaseError> {
        const { assert!(N >= 1 && N <= 3, "the kernel takes up to three matrices") };
        let len = to_rows * to_columns;
        if len == 0 {
            return Ok(());
        }
        let too_large = |size| {
            CaseError::unsupported(format!("matrices of {size} rows or columns are not padded"))
        };
        // The kernel adds the length of a block to a column in 32 bits.
        let count =
            |size: usize| i32::try_from(size).map(|size| size as u32).map_err(|_| too_large(size));
        let sizes = ResizedSizes {
            from_rows: count(from_rows)?,
            from_columns: count(from_columns)?,
            to_rows: count(to_rows)?,
            to_columns: count(to_columns)?,
        };
        let mut matrices = ResizedMatrices { from: [0; 3], to: [0; 3] };
        for (i, (from, to)) in from.into_iter().zip(to).enumerate() {
            assert_eq!(
                from.len(),
                from_rows * from_columns,
                "the tensor has the size of its matrix"
            );
            assert_eq!(to.len(), len, "the tensor has the size of its matrix");
            matrices.from[i] = address(from, stream);
            matrices.to[i] = address(to, stream);
        }
        let config = LaunchConfig {
            grid_dim: (len.div_ceil(RESIZED_PER_BLOCK) as u32, N as u32, 1),
            block_dim: (RESIZE_THREADS, 1, 1),
            shared_mem_bytes: 0,
        };
        let mut launch = stream.launch_builder(&self.resize);
        launch.arg(&matrices).arg(&sizes);
        // SAFETY: the arguments are those of the kernel; the sizes are those of the tensors, as asserted above.
        unsafe { launch.launch(config) }.map(drop).map_err(error)
    }

    /// Keeps the GPU busy for that long, and does nothing.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn spin(&self, stream: &CudaStream, nanoseconds: u64) -> Result<(), CaseError> {
        let mut launch = stream.launch_builder(&self.spin);
        launch.arg(&nanoseconds);
        // SAFETY: the argument is that of the kernel, which touches no memory.
        unsafe { launch.launch(blocks_of(1, 1)) }.map(drop).map_err(error)
    }

    /// Waits on the GPU until `gate` holds `ticket`, or for `limit_ns`.
    ///
    /// # Errors
    /// What the driver reports.
    pub(super) fn hold(
        &self,
        stream: &CudaStream,
        gate: u64,
        ticket: u32,
        limit_ns: u64,
    ) -> Result<(), CaseError> {
        let mut launch = stream.launch_builder(&self.hold);
        launch.arg(&gate).arg(&ticket).arg(&limit_ns);
        // SAFETY: the arguments are those of the kernel; `gate` is a word of mapped memory that lives as long as the
        // device.
        unsafe { launch.launch(blocks_of(1, 1)) }.map(drop).map_err(error)
    }

    /// Writes the cycle counter of SM 0 and the time to the two words at `stamp`.
    ///
    /// # Errors
    /// What the driver reports.
    pub(super) fn stamp_cycles(
        &self,
        stream: &CudaStream,
        stamp: u64,
        blocks: u32,
    ) -> Result<(), CaseError> {
        let mut launch = stream.launch_builder(&self.stamp_cycles);
        launch.arg(&stamp);
        // SAFETY: the argument is that of the kernel; `stamp` is two words of mapped memory, aligned to 16 bytes, that
        // live as long as the device.
        unsafe { launch.launch(blocks_of(blocks, 32)) }.map(drop).map_err(error)
    }

    /// Takes the context with it: every call of the driver after it fails. For faults on purpose.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn trap(&self, stream: &CudaStream) -> Result<(), CaseError> {
        let mut launch = stream.launch_builder(&self.trap);
        // SAFETY: the kernel has no arguments and touches no memory.
        unsafe { launch.launch(blocks_of(1, 1)) }.map(drop).map_err(error)
    }

    /// Does nothing.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn empty(&self, stream: &CudaStream) -> Result<(), CaseError> {
        let mut launch = stream.launch_builder(&self.empty);
        // SAFETY: the kernel has no arguments and touches no memory.
        unsafe { launch.launch(blocks_of(1, 32)) }.map(drop).map_err(error)
    }

    /// Copies `from` to `to`, as far as 16 bytes go into their length.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn copy(
        &self,
        stream: &CudaStream,
        from: &Tensor,
        to: &mut Tensor,
    ) -> Result<(), CaseError> {
        assert_eq!(from.len(), to.len());
        let len = from.len() as u64 / 8;
        let mut launch = stream.launch_builder(&self.copy);
        launch.arg(from).arg(to).arg(&len);
        // SAFETY: the arguments are those of the kernel; both hold `len` times 8 elements of 2 bytes.
        unsafe { launch.launch(threads_for(from.len(), 32)) }.map(drop).map_err(error)
    }
}

/// The device address of a buffer, for a library call. It stays valid while the buffer lives.
pub fn address<T>(buffer: &CudaSlice<T>, stream: &CudaStream) -> u64 {
    buffer.device_ptr(stream).0
}

/// The `Type` of kernels/common.cuh.
pub(super) fn kind(dtype: DType) -> i32 {
    match dtype {
        DType::Fp16 => 0,
        DType::Bf16 => 1,
    }
}

/// A block a row, of as many threads as keep the row in registers; the kernel has room for 8 scores a thread.
fn softmax_config(scores: usize, seq: usize) -> LaunchConfig {
    let threads = (seq as u32).div_ceil(8).next_multiple_of(32).clamp(32, 1024);
    blocks_of((scores / seq) as u32, threads)
}

fn blocks_of(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

fn threads_for(elements: usize, elements_per_thread: usize) -> LaunchConfig {
    blocks_of(elements.div_ceil(THREADS as usize * elements_per_thread) as u32, THREADS)
}
