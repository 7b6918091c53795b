//! Operators by functions of their own: PyTorch 2.6 has no dispatcher that C can call, and a
//! dispatcher without switches of its attention backends cannot be held to one of them.

use super::library::{Library, RawTensor, Status};
use super::operators::{AttentionCall, Choice, Product};
use super::tensor::Handle;
use crate::device::DeviceError;
use std::ptr::{self, null, null_mut};

/// Where a result goes, or an optional tensor comes from.
type Place = *mut RawTensor;
type Count = *mut i64;
/// Null for the default.
type Scale = *const f64;

type Empty = unsafe extern "C" fn(i64, *const i64, *const i64, i32, i32, i32, Place) -> Status;
type CopyInto = unsafe extern "C" fn(RawTensor, RawTensor, i32) -> Status;
/// The result first.
type Multiply = unsafe extern "C" fn(RawTensor, RawTensor, RawTensor) -> Status;
#[rustfmt::skip]
type Flash = unsafe extern "C" fn(
    RawTensor, RawTensor, RawTensor, f64, i32, i32, Scale,
    Place, Place, Place, Place, Count, Count, Place, Place, Place,
) -> Status;
#[rustfmt::skip]
type MemEfficient = unsafe extern "C" fn(
    RawTensor, RawTensor, RawTensor, Place, i32, f64, i32, Scale, Place, Place, Place, Place,
) -> Status;
#[rustfmt::skip]
type Cudnn = unsafe extern "C" fn(
    RawTensor, RawTensor, RawTensor, Place, i32, f64, i32, i32, Scale,
    Place, Place, Place, Place, Count, Count, Place, Place, Place,
) -> Status;
#[rustfmt::skip]
type FlashOnCpu = unsafe extern "C" fn(
    RawTensor, RawTensor, RawTensor, f64, i32, Place, Scale, Place, Place,
) -> Status;

/// Functions of one operator each; those for a GPU are in builds for CUDA alone.
pub(super) struct Direct {
    library: &'static Library,
    version: &'static str,
    lacks: Lacks,
    empty: Option<Empty>,
    copy: Option<CopyInto>,
    mm: Option<Multiply>,
    bmm: Option<Multiply>,
    flash: Option<Flash>,
    mem_efficient: Option<MemEfficient>,
    cudnn: Option<Cudnn>,
    flash_on_cpu: Option<FlashOnCpu>,
}

/// Why operators are called directly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacks {
    /// It has none: all of them are.
    Dispatcher,
    /// Its dispatcher takes any attention backend: those that are forced are.
    Switches,
}

/// What head_dim has to be a multiple of on a GPU: these functions pad nothing.
const ALIGNMENT: usize = 8;

impl Direct {
    pub(super) fn new(library: &'static Library, version: &'static str, lacks: Lacks) -> Self {
        // SAFETY: each type is that of the declaration in shim.h, c_shim_cuda.h or c_shim_cpu.h,
        // which are the same in 2.6 and 2.15.
        unsafe {
            Direct {
                library,
                version,
                lacks,
                empty: library.function("aoti_torch_empty_strided"),
                copy: library.function("aoti_torch_copy_"),
                mm: library.function("aoti_torch_mm_out"),
                bmm: library.function("aoti_torch_bmm_out"),
                flash: library.function("aoti_torch_cuda__scaled_dot_product_flash_attention"),
                mem_efficient: library
                    .function("aoti_torch_cuda__scaled_dot_product_efficient_attention"),
                cudnn: library.function("aoti_torch_cuda__scaled_dot_product_cudnn_attention"),
                flash_on_cpu: library
                    .function("aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu"),
            }
        }
    }

    /// Whether there is no dispatcher for the other operators.
    pub(super) fn is_for_all(&self) -> bool {
        self.lacks == Lacks::Dispatcher
    }

    /// The error of what has no function here.
    pub(super) fn cannot(&self, what: &str) -> DeviceError {
        let version = self.version;
        let why = match self.lacks {
            Lacks::Dispatcher => "its dispatcher can be called since 2.7",
            Lacks::Switches => "it has no switches of its attention backends",
        };
        let text = format!("PyTorch {version} cannot be asked for {what} without Python: {why}");
        DeviceError::unsupported(text)
    }

    /// Attention of Q, K and V by the function of the backend that is forced.
    pub(super) fn attention(
        &self,
        [q, k, v]: [&Handle; 3],
        call: &AttentionCall,
        is_on_gpu: bool,
    ) -> Result<Handle, DeviceError> {
        let name = call.asked().name();
        let head_dim = q.dims()?.last().map_or(0, |[size, _]| *size as usize);
        let is_fused = !matches!(call.only, None | Some(Choice::Math));
        if is_fused && call.grouped {
            return Err(self.cannot(&format!("{name} with fewer KV heads")));
        }
        if is_fused && is_on_gpu && !head_dim.is_multiple_of(ALIGNMENT) {
            return Err(self.cannot(&format!("{name} at head_dim {head_dim}")));
        }
        let [q, k, v] = [q.raw(), k.raw(), v.raw()];
        let (causal, none) = (call.causal.into(), null_mut());
        let scale = call.scale.as_ref().map_or(null(), ptr::from_ref);
        // All but the first are for the backward pass and for debugging.
        let (mut results, mut counts) = ([null_mut(); 7], [0; 2]);
        let [a, b, c, d, e, f, g] = results.each_mut().map(ptr::from_mut);
        let [m, n] = counts.each_mut().map(ptr::from_mut);
        // SAFETY: Q, K and V are alive, dropout is 0, what is null is optional, and each result has
        // a place of its own.
        let status = unsafe {
            match (call.only, is_on_gpu) {
                (Some(Choice::Flash), true) => self
                    .flash
                    .map(|flash| flash(q, k, v, 0.0, causal, 0, scale, a, b, c, d, m, n, e, f, g)),
                (Some(Choice::MemEfficient), true) => self.mem_efficient.map(|mem_efficient| {
                    mem_efficient(q, k, v, none, 0, 0.0, causal, scale, a, b, c, d)
                }),
                (Some(Choice::Cudnn), true) => self.cudnn.map(|cudnn| {
                    cudnn(q, k, v, none, 0, 0.0, causal, 0, scale, a, b, c, d, m, n, e, f, g)
                }),
                (Some(Choice::Flash), false) => {
                    self.flash_on_cpu.map(|flash| flash(q, k, v, 0.0, causal, none, scale, a, b))
                }
                _ => None,
            }
        };
        let status = status.ok_or_else(|| self.cannot(name))?;
        let own = |raw: RawTensor| (!raw.is_null()).then(|| Handle::own(self.library, raw));
        let [result, ..] = results.map(own);
        self.library.check(status, name)?;
        result.ok_or_else(|| DeviceError::driver(format!("PyTorch: {name} gave nothing")))
    }

    /// A product of two matrices into a result that is allocated here, of `[dtype, device, index]`.
    pub(super) fn multiply(
        &self,
        product: Product,
        [a, b]: [&Handle; 2],
        [dtype, device, index]: [i32; 3],
    ) -> Result<Handle, DeviceError> {
        let name = product.name().to_string_lossy();
        let multiply = match product {
            Product::Mm => self.mm,
            Product::Bmm => self.bmm,
            Product::Linear => None,
        };
        let (Some(multiply), Some(empty)) = (multiply, self.empty) else {
            return Err(self.cannot(&name));
        };
        // The rows of A, the columns of B.
        let (mut dims, of_b) = (a.dims()?, b.dims()?);
        dims.pop();
        dims.extend(of_b.last());
        let sizes: Vec<i64> = dims.iter().map(|[size, _]| *size).collect();
        let strides: Vec<i64> = (1..=sizes.len()).map(|at| sizes[at..].iter().product()).collect();
        let (rank, mut raw) = (sizes.len() as i64, null_mut());
        // SAFETY: as many sizes and strides as the rank says; a new tensor is written.
        let status = unsafe {
            empty(rank, sizes.as_ptr(), strides.as_ptr(), dtype, device, index, &mut raw)
        };
        self.library.check(status, "a tensor for a product")?;
        let result = Handle::own(self.library, raw);
        // SAFETY: all three are alive, and the result is nobody else's.
        self.library.check(unsafe { multiply(result.raw(), a.raw(), b.raw()) }, &name)?;
        Ok(result)
    }

    /// `aten::copy_`.
    pub(super) fn copy(&self, from: &Handle, to: &Handle) -> Result<(), DeviceError> {
        let copy = self.copy.ok_or_else(|| self.cannot("aten::copy_"))?;
        // SAFETY: both are alive, and what is written is borrowed for this call.
        self.library.check(unsafe { copy(to.raw(), from.raw(), 0) }, "aten::copy_")
    }
}
