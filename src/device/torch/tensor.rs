//! Tensors as PyTorch sees them: memory of ours, and the results that it allocates itself.

use super::library::{Library, RawTensor, Value};
use crate::device::DeviceError;
use crate::device::cuda::{self, Tensor};
use cudarc::driver::{CudaStream, sys};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

/// 16-bit numbers of ours that a call works on.
#[derive(Clone, Copy)]
pub enum Memory<'a> {
    /// Of the host.
    Host(&'a [u16]),
    /// Of the GPU.
    Cuda(&'a Tensor),
}

impl Memory<'_> {
    pub(super) fn place(self) -> (u64, usize) {
        match self {
            Memory::Host(bits) => (bits.as_ptr() as u64, bits.len()),
            Memory::Cuda(tensor) => (cuda::address(tensor), tensor.len()),
        }
    }
}

/// 16-bit numbers of ours that a call writes.
pub enum MemoryMut<'a> {
    /// Of the host.
    Host(&'a mut [u16]),
    /// Of the GPU.
    Cuda(&'a mut Tensor),
}

impl MemoryMut<'_> {
    pub(super) fn place(self) -> (u64, usize) {
        match self {
            MemoryMut::Host(bits) => (bits.as_mut_ptr() as u64, bits.len()),
            MemoryMut::Cuda(tensor) => (cuda::address(tensor), tensor.len()),
        }
    }
}

/// A tensor of PyTorch's heap, freed when dropped.
pub(super) struct Handle {
    library: &'static Library,
    raw: RawTensor,
}

impl Handle {
    /// Takes over a tensor.
    pub(super) fn own(library: &'static Library, raw: RawTensor) -> Self {
        Handle { library, raw }
    }

    /// Another handle of the same tensor, for a call that takes it over.
    pub(super) fn argument(&self) -> Result<Value, DeviceError> {
        let mut raw = null_mut();
        // SAFETY: the handle is alive; a new one is written.
        let status = unsafe { (self.library.new_handle)(self.raw, &mut raw) };
        self.library.check(status, "a tensor's handle")?;
        Ok(raw as Value)
    }

    fn number(
        &self,
        read: impl FnOnce(RawTensor, *mut i64) -> i32,
        what: &str,
    ) -> Result<usize, DeviceError> {
        let mut number = 0;
        let status = read(self.raw, &mut number);
        self.library.check(status, what)?;
        Ok(number as usize)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made once, deleted once.
        unsafe { (self.library.delete)(self.raw) };
    }
}

/// Memory of ours as a tensor. A call gets the memory again, so that it is alive.
pub struct Operand {
    handle: Handle,
    place: (u64, usize),
}

impl Operand {
    /// A tensor over memory at an address, as long as that: its dimensions, and elements from one
    /// to the next of each. Panics if the memory is not as large.
    pub(super) fn new(
        library: &'static Library,
        (address, len): (u64, usize),
        (sizes, strides): (&[usize], &[usize]),
        kind: [i32; 3],
    ) -> Result<Self, DeviceError> {
        assert_eq!(sizes.len(), strides.len(), "a stride for each dimension");
        let dims = sizes.iter().zip(strides);
        let last = dims.fold(0_usize, |last, (size, stride)| {
            last.saturating_add(size.saturating_sub(1).saturating_mul(*stride))
        });
        assert!(last < len, "the memory holds the tensor");
        let strides: Vec<i64> = strides.iter().map(|&stride| stride as i64).collect();
        let sizes: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        let ([dtype, device, index], mut raw) = (kind, null_mut());
        // SAFETY: sizes and strides stay within the memory, as asserted. PyTorch neither frees it
        // nor reads it before a call, to which `Operand::argument` lets only living memory.
        let status = unsafe {
            (library.from_blob)(
                address as *mut c_void,
                sizes.len() as i64,
                sizes.as_ptr(),
                strides.as_ptr(),
                0,
                dtype,
                device,
                index,
                &mut raw,
            )
        };
        library.check(status, "a tensor over our memory")?;
        Ok(Operand { handle: Handle::own(library, raw), place: (address, len) })
    }

    /// The argument of a call that reads it. Panics if `memory` is not what it was made over.
    pub(super) fn argument(&self, memory: Memory) -> Result<Value, DeviceError> {
        assert_eq!(memory.place(), self.place, "the memory is the tensor's");
        self.handle.argument()
    }

    /// The argument of a call at once, whose caller has the memory borrowed still.
    pub(super) fn argument_at_once(&self) -> Result<Value, DeviceError> {
        self.handle.argument()
    }
}

/// The strides of a tensor whose rows, the last dimension, are `row_stride` elements apart, without
/// other gaps.
pub(super) fn strides_of(sizes: &[usize], row_stride: usize) -> Vec<usize> {
    let (columns, outer) = sizes.split_last().expect("a tensor has a dimension");
    assert!(*columns <= row_stride, "rows do not overlap");
    let mut strides = vec![1; sizes.len()];
    let mut stride = row_stride;
    for (at, size) in outer.iter().enumerate().rev() {
        strides[at] = stride;
        stride *= size;
    }
    strides
}

/// A result, in memory that PyTorch allocated.
pub struct Output {
    pub(super) handle: Handle,
    /// None on the host.
    pub(super) stream: Option<Arc<CudaStream>>,
}

impl Output {
    /// Where it lies, and its elements with the gaps between its rows.
    fn place(&self) -> Result<(*mut c_void, usize), DeviceError> {
        let Handle { library, raw } = self.handle;
        let mut address = null_mut();
        // SAFETY: the handle is alive; an address is written.
        library.check(unsafe { (library.data_ptr)(raw, &mut address) }, "a result's address")?;
        // SAFETY: as above; a number is written.
        let dims = self.handle.number(|raw, to| unsafe { (library.dim)(raw, to) }, "a rank")?;
        let mut last = 0;
        for dim in 0..dims as i64 {
            // SAFETY: as above, and the dimension is one of the tensor's.
            let size =
                self.handle.number(|raw, to| unsafe { (library.size)(raw, dim, to) }, "a size")?;
            // SAFETY: as above.
            let stride = self
                .handle
                .number(|raw, to| unsafe { (library.stride)(raw, dim, to) }, "a stride")?;
            last += size.saturating_sub(1) * stride;
        }
        Ok((address, last + 1))
    }

    /// Where it lies.
    pub fn address(&self) -> Result<u64, DeviceError> {
        Ok(self.place()?.0 as u64)
    }

    /// Fills it, and what lies between its rows.
    pub fn fill(&mut self, bits: u16) -> Result<(), DeviceError> {
        let (address, elements) = self.place()?;
        match &self.stream {
            None => {
                // SAFETY: the elements of a result of ours alone, which PyTorch computed before the
                // call returned.
                let all =
                    unsafe { std::slice::from_raw_parts_mut(address.cast::<u16>(), elements) };
                all.fill(bits);
                Ok(())
            }
            Some(stream) => {
                let to = address as sys::CUdeviceptr;
                // SAFETY: as above, on the stream that PyTorch works on.
                let status =
                    unsafe { sys::cuMemsetD16Async(to, bits, elements, stream.cu_stream()) };
                Ok(status.result()?)
            }
        }
    }
}
