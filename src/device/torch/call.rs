//! Calls of PyTorch's operators by its dispatcher, as `torch` itself makes them.

use super::direct::{Direct, Lacks};
use super::library::{Library, RawGuard, Switches, Value};
use super::operators::{AttentionCall, Choice, Product};
use super::tensor::{Handle, Memory, MemoryMut, Operand, Output, strides_of};
use super::{Torch, Versions};
use crate::device::{Device, DeviceError, cudnn};
use crate::workload::{Element, Precision};
use cudarc::driver::CudaStream;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::Arc;

/// PyTorch at work on one device, on the stream of this program. Of one thread: that whose current
/// stream it sets.
pub struct Session {
    torch: &'static Torch,
    stream: Option<Stream>,
    /// For operators that the dispatcher cannot be asked for.
    direct: Option<Direct>,
}

/// PyTorch's current stream is ours for as long as this lives.
struct Stream {
    library: &'static Library,
    guard: RawGuard,
    index: i32,
    stream: Arc<CudaStream>,
}

/// Memory of ours that a call writes: a tensor of `sizes`, whose rows are `row_stride` apart.
pub struct Target<'a> {
    /// At least as large.
    pub memory: MemoryMut<'a>,
    /// Its element type.
    pub dtype: Element,
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
        let lacks = match (torch.library.call, &torch.library.switches) {
            (None, _) => Some(Lacks::Dispatcher),
            (Some(_), None) => Some(Lacks::Switches),
            (Some(_), Some(_)) => None,
        };
        Ok(Session { torch, stream, direct: lacks.map(|lacks| direct(torch, lacks)) })
    }

    /// Calls what can be called without the dispatcher and only that, as of 2.6: for tests.
    pub fn without_dispatcher(self) -> Self {
        Session { direct: Some(direct(self.torch, Lacks::Dispatcher)), ..self }
    }

    /// Whether it calls PyTorch's dispatcher.
    pub fn has_dispatcher(&self) -> bool {
        self.direct_for_all().is_none()
    }

    fn direct_for_all(&self) -> Option<&Direct> {
        self.direct.as_ref().filter(|direct| direct.is_for_all())
    }

    fn direct_for(&self, call: &AttentionCall) -> Option<&Direct> {
        self.direct.as_ref().filter(|direct| direct.is_for_all() || call.only.is_some())
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
        dtype: impl Into<Element>,
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
        dtype: impl Into<Element>,
        sizes: &[usize],
        strides: &[usize],
    ) -> Result<Operand, DeviceError> {
        let (library, dtype) = (&self.torch.library, dtype.into());
        Operand::new(library, memory.place(), (sizes, strides), self.kind(dtype)?, dtype)
    }

    /// Element type, device type and device index in PyTorch's numbers.
    pub(super) fn kind(&self, element: Element) -> Result<[i32; 3], DeviceError> {
        let Library { float16, bfloat16, float32, float8_e4m3, .. } = self.torch.library;
        let has_no_fp8 = || {
            let version = &self.torch.installation.version;
            DeviceError::unsupported(format!("PyTorch {version} has no float8_e4m3fn"))
        };
        // SAFETY: constants of PyTorch's.
        let dtype = unsafe {
            match element {
                Element::Fp16 => float16(),
                Element::Bf16 => bfloat16(),
                Element::Fp32 => float32(),
                Element::E4m3 => float8_e4m3.ok_or_else(has_no_fp8)?(),
            }
        };
        let [device, index] = self.device();
        Ok([dtype, device, index])
    }

    fn device(&self) -> [i32; 2] {
        let Library { device_cpu, device_cuda, .. } = self.torch.library;
        // SAFETY: as above.
        unsafe {
            match &self.stream {
                None => [device_cpu(), 0],
                Some(stream) => [device_cuda(), stream.index],
            }
        }
    }

    /// `F.scaled_dot_product_attention` of Q, K and V, `[batch, heads, seq, head_dim]` each.
    pub fn attention(
        &self,
        operands: [(&Operand, Memory); 3],
        call: &AttentionCall,
    ) -> Result<Output, DeviceError> {
        let element = operands[0].0.element;
        if let Some(direct) = self.direct_for(call) {
            let tensors = operands.map(|(operand, memory)| operand.handle(memory));
            let result = direct.attention(tensors, call, self.stream.is_some())?;
            return Ok(self.output_of(result, element));
        }
        let stack = self.attend(ATTENTION, operands, call)?;
        Ok(self.output(stack[0], element))
    }

    /// Which backend PyTorch takes for these; unsupported if it has none to take. What it would
    /// print of that is left out where a refusal is `expected`.
    pub fn choice(
        &self,
        operands: [(&Operand, Memory); 3],
        call: &AttentionCall,
        expected: bool,
    ) -> Result<Choice, DeviceError> {
        if let Some(direct) = self.direct_for(call) {
            return match call.only {
                // By itself it checks less than PyTorch does before it takes it.
                Some(only) if !expected => self.attention(operands, call).map(|_| only),
                _ => Err(direct.cannot(call.asked().name())),
            };
        }
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

    /// The product of two matrices. Those of float32 are multiplied in tf32, or whole: so does
    /// PyTorch unless it is told.
    pub fn multiply(
        &self,
        product: Product,
        operands: [(&Operand, Memory); 2],
        precision: Precision,
    ) -> Result<Output, DeviceError> {
        let handles = operands.map(|(operand, memory)| operand.handle(memory));
        self.product(product, handles, operands[1].0.dtype, precision)
    }

    /// `F.linear` of a result: `[m, k]` times the transpose of the weights, `[n, k]`.
    pub fn linear_of(
        &self,
        x: &Output,
        (weights, memory): (&Operand, Memory),
        precision: Precision,
    ) -> Result<Output, DeviceError> {
        let handles = [&x.handle, weights.handle(memory)];
        self.product(Product::Linear, handles, weights.dtype, precision)
    }

    fn product(
        &self,
        product: Product,
        [a, b]: [&Handle; 2],
        dtype: i32,
        precision: Precision,
    ) -> Result<Output, DeviceError> {
        self.allow_tf32(precision)?;
        let element = precision.result();
        if let Some(direct) = self.direct_for_all() {
            let [device, index] = self.device();
            let kind = [dtype, device, index];
            return Ok(self.output_of(direct.multiply(product, [a, b], kind)?, element));
        }
        // The third is the bias of `linear`, which there is none of.
        let mut stack = [a.argument()?, b.argument()?, 0];
        self.call(product.name(), &mut stack)?;
        Ok(self.output(stack[0], element))
    }

    /// Copies a result, or the first columns of it, into memory of ours.
    pub fn copy_out(&self, from: &Output, to: Target) -> Result<(), DeviceError> {
        self.copy_from(&from.view(&to.sizes, self.kind(to.dtype)?)?, to)
    }

    /// Copies memory of ours into other memory of ours.
    pub fn copy(&self, (from, memory): (&Operand, Memory), to: Target) -> Result<(), DeviceError> {
        self.copy_from(from.handle(memory), to)
    }

    fn copy_from(&self, from: &Handle, to: Target) -> Result<(), DeviceError> {
        let Target { memory, dtype, sizes, row_stride } = to;
        let place = memory.place();
        let library = &self.torch.library;
        let strides = strides_of(&sizes, row_stride);
        let to = Operand::new(library, place, (&sizes, &strides), self.kind(dtype)?, dtype)?;
        let to = to.handle_at_once();
        if let Some(direct) = self.direct_for_all() {
            return direct.copy(from, to);
        }
        let mut stack = [to.argument()?, from.argument()?, 0];
        self.call(c"aten::copy_", &mut stack)?;
        // The first argument once more, to be deleted.
        drop(Handle::own(library, stack[0] as *mut _));
        Ok(())
    }

    fn attend(
        &self,
        name: &CStr,
        [q, k, v]: [(&Operand, Memory); 3],
        call: &AttentionCall,
    ) -> Result<[Value; 8], DeviceError> {
        self.switch(call.only);
        let mut stack = [
            q.0.handle(q.1).argument()?,
            k.0.handle(k.1).argument()?,
            v.0.handle(v.1).argument()?,
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
    /// Without switches it may choose any: one that is forced is called directly then.
    fn switch(&self, only: Option<Choice>) {
        let Some(switches) = &self.torch.library.switches else { return };
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
        let library = &self.torch.library;
        let call = library.call.ok_or_else(|| DeviceError::driver("PyTorch has no dispatcher"))?;
        // SAFETY: the stack holds as many values as the operator has arguments, each as its type
        // asks for.
        let status = unsafe { call(name.as_ptr(), c"".as_ptr(), stack.as_mut_ptr()) };
        library.check(status, &name.to_string_lossy())
    }

    fn output(&self, raw: Value, element: Element) -> Output {
        self.output_of(Handle::own(&self.torch.library, raw as *mut _), element)
    }

    pub(super) fn output_of(&self, handle: Handle, element: Element) -> Output {
        let stream = self.stream.as_ref().map(|stream| stream.stream.clone());
        Output { handle, stream, element }
    }
}

fn direct(torch: &'static Torch, lacks: Lacks) -> Direct {
    Direct::new(&torch.library, &torch.installation.version, lacks)
}

/// `std::nullopt`.
const NONE: Value = 0;

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
