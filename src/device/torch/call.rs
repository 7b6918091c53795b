//! Calls of PyTorch's operators by its dispatcher, as `torch` itself makes them.

use super::library::{Library, RawGuard, Switches, Value};
use super::tensor::{Handle, Memory, MemoryMut, Operand, Output, strides_of};
use super::{Torch, Versions};
use crate::device::{Device, DeviceError, cudnn};
use crate::workload::{DType, GemmLayout};
use cudarc::driver::CudaStream;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::Arc;

/// PyTorch at work on one device, on the stream of this program. Of one thread: that whose current
/// stream it sets.
pub struct Session {
    torch: &'static Torch,
    stream: Option<Stream>,
}

/// PyTorch's current stream is ours for as long as this lives.
struct Stream {
    library: &'static Library,
    guard: RawGuard,
    index: i32,
    stream: Arc<CudaStream>,
}

/// An attention backend of PyTorch's, in its own words `SDPBackend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `MATH`.
    Math,
    /// `FLASH_ATTENTION`.
    Flash,
    /// `EFFICIENT_ATTENTION`.
    MemEfficient,
    /// `CUDNN_ATTENTION`.
    Cudnn,
}

/// How attention is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionCall {
    /// The only backend that may be chosen; all of them where none is named.
    pub only: Option<Choice>,
    /// `is_causal`.
    pub causal: bool,
    /// Whether keys and values have fewer heads: `enable_gqa`.
    pub grouped: bool,
    /// Factor of the scores, if not `1 / sqrt(head_dim)`.
    pub scale: Option<f64>,
}

/// A matrix multiplication of PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// `aten::mm`: `[m, k]` times `[k, n]`.
    Mm,
    /// `aten::linear`: `[m, k]` times the transpose of the weights, `[n, k]`.
    Linear,
    /// `aten::bmm`: a batch of `[m, k]` times `[k, n]`.
    Bmm,
}

impl Product {
    /// What a program calls for matrices that are stored so: `x @ weights.T` is `F.linear`, and a
    /// batch takes `torch.bmm`.
    pub fn of(layout: GemmLayout, batch: usize) -> Product {
        match (layout, batch) {
            (_, 2..) => Product::Bmm,
            (GemmLayout::Nt, _) => Product::Linear,
            _ => Product::Mm,
        }
    }

    /// `aten::mm`.
    pub fn name(self) -> &'static CStr {
        match self {
            Product::Mm => c"aten::mm",
            Product::Linear => c"aten::linear",
            Product::Bmm => c"aten::bmm",
        }
    }
}

/// Memory of ours that a call writes: a tensor of `sizes`, whose rows are `row_stride` apart.
pub struct Target<'a> {
    /// At least as large.
    pub memory: MemoryMut<'a>,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions, columns last.
    pub sizes: Vec<usize>,
    /// Elements from one row to the next.
    pub row_stride: usize,
}

const ATTENTION: &CStr = c"aten::scaled_dot_product_attention";
const CHOICE: &CStr = c"aten::_fused_sdp_choice";

impl Session {
    /// On a device: a GPU's kernels go to its stream.
    pub fn new(torch: &'static Torch, device: &Device) -> Result<Self, DeviceError> {
        let stream = match device {
            Device::Cpu => None,
            Device::Cuda(cuda) => {
                Some(Stream::new(&torch.library, cuda.stream(), cuda.index() as i32)?)
            }
        };
        // SAFETY: sets a flag of this thread: without it the tensors of autograd would be made.
        unsafe { (torch.library.set_grad_mode)(false) };
        Ok(Session { torch, stream })
    }

    /// Which PyTorch.
    pub fn torch(&self) -> &'static Torch {
        self.torch
    }

    /// What identifies what it runs.
    pub fn versions(&self) -> Versions {
        let library = self.stream.as_ref().and_then(|_| cudnn::Library::get().ok());
        let cudnn = library.map(|library| library.version_text());
        Versions { version: self.torch.installation.version.clone(), cudnn }
    }

    /// A contiguous tensor of `sizes` over memory of ours; the first `sizes.last()` columns of
    /// rows that are `row_stride` apart. Panics if the memory is not as large.
    pub fn operand(
        &self,
        memory: Memory,
        dtype: DType,
        sizes: &[usize],
        row_stride: usize,
    ) -> Result<Operand, DeviceError> {
        self.view(memory, dtype, sizes, &strides_of(sizes, row_stride))
    }

    /// A tensor of `sizes` over memory of ours, with the elements from one to the next of each
    /// dimension. Panics if the memory is not as large.
    pub fn view(
        &self,
        memory: Memory,
        dtype: DType,
        sizes: &[usize],
        strides: &[usize],
    ) -> Result<Operand, DeviceError> {
        let library = &self.torch.library;
        Operand::new(library, memory.place(), (sizes, strides), self.kind(dtype))
    }

    /// Element type, device type and device index in PyTorch's numbers.
    fn kind(&self, dtype: DType) -> [i32; 3] {
        let library = &self.torch.library;
        // SAFETY: constants of PyTorch's.
        unsafe {
            let dtype = match dtype {
                DType::Fp16 => (library.float16)(),
                DType::Bf16 => (library.bfloat16)(),
            };
            match &self.stream {
                None => [dtype, (library.device_cpu)(), 0],
                Some(stream) => [dtype, (library.device_cuda)(), stream.index],
            }
        }
    }

    /// `F.scaled_dot_product_attention` of Q, K and V, `[batch, heads, seq, head_dim]` each.
    pub fn attention(
        &self,
        operands: [(&Operand, Memory); 3],
        call: &AttentionCall,
    ) -> Result<Output, DeviceError> {
        let stack = self.attend(ATTENTION, operands, call)?;
        Ok(self.output(stack[0]))
    }

    /// Which backend PyTorch takes for these; unsupported if it has none to take. What it would
    /// print of that is left out where a refusal is `expected`.
    pub fn choice(
        &self,
        operands: [(&Operand, Memory); 3],
        call: &AttentionCall,
        expected: bool,
    ) -> Result<Choice, DeviceError> {
        let ask = || self.attend(CHOICE, operands, call);
        let chosen = if expected { self.torch.library.quietly(ask) } else { ask() };
        match chosen?[0] as i64 {
            0 => Ok(Choice::Math),
            1 => Ok(Choice::Flash),
            2 => Ok(Choice::MemEfficient),
            3 => Ok(Choice::Cudnn),
            other => Err(DeviceError::unsupported(format!("PyTorch takes backend {other}"))),
        }
    }

    /// The product of two matrices.
    pub fn multiply(
        &self,
        product: Product,
        [(a, a_memory), (b, b_memory)]: [(&Operand, Memory); 2],
    ) -> Result<Output, DeviceError> {
        // The third is the bias of `linear`, which there is none of.
        let mut stack = [a.argument(a_memory)?, b.argument(b_memory)?, 0];
        self.call(product.name(), &mut stack)?;
        Ok(self.output(stack[0]))
    }

    /// Copies a result, or the first columns of it, into memory of ours.
    pub fn copy_out(&self, from: &Output, to: Target) -> Result<(), DeviceError> {
        let mut stack =
            [from.handle.argument()?, LAST_DIM, 0, to.sizes.last().map_or(0, |&n| n as Value)];
        self.call(c"aten::narrow", &mut stack)?;
        self.copy_value(stack[0], to)
    }

    /// Copies memory of ours into other memory of ours.
    pub fn copy(&self, (from, memory): (&Operand, Memory), to: Target) -> Result<(), DeviceError> {
        self.copy_value(from.argument(memory)?, to)
    }

    fn copy_value(&self, from: Value, to: Target) -> Result<(), DeviceError> {
        let Target { memory, dtype, sizes, row_stride } = to;
        let place = memory.place();
        let library = &self.torch.library;
        let strides = strides_of(&sizes, row_stride);
        let to = Operand::new(library, place, (&sizes, &strides), self.kind(dtype))?;
        let mut stack = [to.argument_at_once()?, from, 0];
        self.call(c"aten::copy_", &mut stack)?;
        // The first argument once more, to be deleted.
        drop(self.output(stack[0]));
        Ok(())
    }

    fn attend(
        &self,
        name: &CStr,
        [q, k, v]: [(&Operand, Memory); 3],
        call: &AttentionCall,
    ) -> Result<[Value; 8], DeviceError> {
        self.switch(call.only)?;
        let mut stack = [
            q.0.argument(q.1)?,
            k.0.argument(k.1)?,
            v.0.argument(v.1)?,
            NONE,               // attn_mask
            0.0_f64.to_bits(),  // dropout_p
            call.causal.into(), // is_causal
            self.optional(call.scale.map(f64::to_bits)),
            call.grouped.into(), // enable_gqa
        ];
        self.call(name, &mut stack)?;
        Ok(stack)
    }

    /// Lets PyTorch choose among these backends, as `torch.nn.attention.sdpa_kernel` does.
    fn switch(&self, only: Option<Choice>) -> Result<(), DeviceError> {
        let Some(switches) = &self.torch.library.switches else {
            return match only {
                None => Ok(()),
                Some(_) => Err(DeviceError::unsupported(format!(
                    "PyTorch {} has no switch of its attention backends",
                    self.torch.installation.version
                ))),
            };
        };
        let is_on = |choice| only.is_none_or(|only| only == choice);
        let Switches { context, flash, mem_efficient, math, cudnn } = switches;
        // SAFETY: setters of flags of PyTorch's one context.
        unsafe {
            let context = context();
            flash(context, is_on(Choice::Flash));
            mem_efficient(context, is_on(Choice::MemEfficient));
            math(context, is_on(Choice::Math));
            cudnn(context, is_on(Choice::Cudnn));
        }
        Ok(())
    }

    /// An optional number: where it is, in memory that the dispatcher frees.
    fn optional(&self, bits: Option<u64>) -> Value {
        let Some(bits) = bits else { return NONE };
        // SAFETY: C++'s allocator gives memory that is aligned for a number, or does not return.
        unsafe {
            let place = (self.torch.library.operator_new)(size_of::<Value>()).cast::<Value>();
            place.write(bits);
            place as Value
        }
    }

    /// Calls an operator. What it takes over of `stack` is gone afterwards, in failure too; its
    /// results stand first.
    fn call<const N: usize>(&self, name: &CStr, stack: &mut [Value; N]) -> Result<(), DeviceError> {
        let Torch { installation, library } = self.torch;
        let call = library.call.ok_or_else(|| {
            DeviceError::unsupported(format!(
                "PyTorch {} has no dispatcher that can be called without Python: that came with 2.7",
                installation.version
            ))
        })?;
        // SAFETY: the stack holds as many values as the operator has arguments, each as its type
        // asks for.
        let status = unsafe { call(name.as_ptr(), c"".as_ptr(), stack.as_mut_ptr()) };
        library.check(status, &name.to_string_lossy())
    }

    fn output(&self, raw: Value) -> Output {
        let handle = Handle::own(&self.torch.library, raw as *mut _);
        Output { handle, stream: self.stream.as_ref().map(|stream| stream.stream.clone()) }
    }
}

/// `std::nullopt`.
const NONE: Value = 0;
/// -1.
const LAST_DIM: Value = Value::MAX;

impl Stream {
    fn new(
        library: &'static Library,
        stream: &Arc<CudaStream>,
        index: i32,
    ) -> Result<Self, DeviceError> {
        let streams = library.streams.as_ref().ok_or_else(|| {
            DeviceError::unsupported("PyTorch was loaded for the CPU, without its CUDA libraries")
        })?;
        stream.context().bind_to_thread()?;
        let mut guard = null_mut();
        // SAFETY: the stream is alive, and stays so as long as the guard, in the same struct.
        let status =
            unsafe { (streams.create_guard)(stream.cu_stream().cast(), index, &mut guard) };
        library.check(status, "its current stream")?;
        Ok(Stream { library, guard, index, stream: stream.clone() })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(streams) = &self.library.streams {
            // SAFETY: made once, deleted once, on the thread that made it: a session is not sent.
            unsafe { (streams.delete_guard)(self.guard) };
        }
    }
}
