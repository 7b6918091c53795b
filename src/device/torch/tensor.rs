//! Tensors as PyTorch sees them: memory of ours, and the results that it allocates itself.

use super::library::{Library, RawTensor, Value};
use crate::device::DeviceError;
use crate::device::cuda::{self, DeviceArray, Elements, Tensor};
use crate::workload::{Element, HostArray};
use cudarc::driver::{CudaStream, sys};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

/// Numbers of ours that a call works on.
#[derive(Clone, Copy)]
pub enum Memory<'a> {
    /// 16-bit ones of the host.
    Host(&'a [u16]),
    /// 16-bit ones of the GPU.
    Cuda(&'a Tensor),
    /// Any of the host.
    HostArray(&'a HostArray),
    /// Any of the GPU.
    DeviceArray(&'a DeviceArray),
}

/// Where memory is: its address, its elements and the bytes of each.
pub(super) type Place = (u64, usize, usize);

impl Memory<'_> {
    pub(super) fn place(self) -> Place {
        match self {
            Memory::Host(bits) => (bits.as_ptr() as u64, bits.len(), 2),
            Memory::Cuda(tensor) => (cuda::address(tensor), tensor.len(), 2),
            Memory::HostArray(array) => {
                let address = match array {
                    HostArray::Half(_, bits) => bits.as_ptr() as u64,
                    HostArray::Single(values) => values.as_ptr() as u64,
                    HostArray::E4m3(bits) => bits.as_ptr() as u64,
                };
                (address, array.len(), array.element().bytes())
            }
            Memory::DeviceArray(array) => (array.address(), array.count(), array.element_bytes()),
        }
    }
}

/// Numbers of ours that a call writes.
pub enum MemoryMut<'a> {
    /// 16-bit ones of the host.
    Host(&'a mut [u16]),
    /// 16-bit ones of the GPU.
    Cuda(&'a mut Tensor),
    /// Any of the host.
    HostArray(&'a mut HostArray),
    /// Any of the GPU.
    DeviceArray(&'a mut DeviceArray),
}

impl MemoryMut<'_> {
    pub(super) fn place(self) -> Place {
        match self {
            MemoryMut::Host(bits) => (bits.as_mut_ptr() as u64, bits.len(), 2),
            MemoryMut::Cuda(tensor) => (cuda::address(tensor), tensor.len(), 2),
            MemoryMut::HostArray(array) => {
                let address = match array {
                    HostArray::Half(_, bits) => bits.as_mut_ptr() as u64,
                    HostArray::Single(values) => values.as_mut_ptr() as u64,
                    HostArray::E4m3(bits) => bits.as_mut_ptr() as u64,
                };
                (address, array.len(), array.element().bytes())
            }
            MemoryMut::DeviceArray(array) => {
                (array.address(), array.count(), array.element_bytes())
            }
        }
    }
}

/// The size of a dimension, and the elements from one index to the next.
type Dim = [i64; 2];

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

    /// A tensor over memory that is not PyTorch's to free.
    ///
    /// # Safety
    /// A call may get it only while the memory is alive, in which the dimensions stay.
    unsafe fn over(
        library: &'static Library,
        address: u64,
        dims: &[Dim],
        [dtype, device, index]: [i32; 3],
    ) -> Result<Self, DeviceError> {
        let [sizes, strides] = [0, 1].map(|at| dims.iter().map(|dim| dim[at]).collect::<Vec<_>>());
        let (data, rank, mut raw) = (address as *mut c_void, dims.len() as i64, null_mut());
        let (sizes, strides) = (sizes.as_ptr(), strides.as_ptr());
        let from_blob = library.from_blob;
        // SAFETY: as many sizes and strides as the rank says; the rest is the caller's promise.
        let status =
            unsafe { from_blob(data, rank, sizes, strides, 0, dtype, device, index, &mut raw) };
        library.check(status, "a tensor over memory of ours")?;
        Ok(Handle { library, raw })
    }

    /// For a call that takes nothing over.
    pub(super) fn raw(&self) -> RawTensor {
        self.raw
    }

    /// Another handle of the same tensor, for a call that takes it over.
    pub(super) fn argument(&self) -> Result<Value, DeviceError> {
        let mut raw = null_mut();
        // SAFETY: the handle is alive; a new one is written.
        let status = unsafe { (self.library.new_handle)(self.raw, &mut raw) };
        self.library.check(status, "a tensor's handle")?;
        Ok(raw as Value)
    }

    /// Its dimensions.
    pub(super) fn dims(&self) -> Result<Vec<Dim>, DeviceError> {
        let Handle { library, raw } = *self;
        let mut rank = 0;
        // SAFETY: the handle is alive; a number is written.
        library.check(unsafe { (library.dim)(raw, &mut rank) }, "a rank")?;
        let dim = |at| {
            let [mut size, mut stride] = [0; 2];
            // SAFETY: as above, and the dimension is one of the tensor's.
            library.check(unsafe { (library.size)(raw, at, &mut size) }, "a size")?;
            // SAFETY: as above.
            library.check(unsafe { (library.stride)(raw, at, &mut stride) }, "a stride")?;
            Ok([size, stride])
        };
        (0..rank).map(dim).collect()
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
    /// Address, and elements.
    place: (u64, usize),
    /// Of its elements, in PyTorch's numbers.
    pub(super) dtype: i32,
    pub(super) element: Element,
}

impl Operand {
    /// A tensor over memory at an address, as long as that: its dimensions, and elements from one
    /// to the next of each. Panics if the memory is not as large, or of other elements.
    pub(super) fn new(
        library: &'static Library,
        place: Place,
        (sizes, strides): (&[usize], &[usize]),
        kind: [i32; 3],
        element: Element,
    ) -> Result<Self, DeviceError> {
        let (address, len, element_bytes) = place;
        assert_eq!(element_bytes, element.bytes(), "the memory holds such elements");
        assert_eq!(sizes.len(), strides.len(), "a stride for each dimension");
        let dims = || sizes.iter().zip(strides);
        let last = dims().fold(0_usize, |last, (size, stride)| {
            last.saturating_add(size.saturating_sub(1).saturating_mul(*stride))
        });
        assert!(last < len, "the memory holds the tensor");
        let dims: Vec<Dim> = dims().map(|(&size, &stride)| [size as i64, stride as i64]).collect();
        // SAFETY: they stay within the memory, as asserted, and `Operand::handle` lets only living
        // memory to a call.
        let handle = unsafe { Handle::over(library, address, &dims, kind)? };
        Ok(Operand { handle, place: (address, len), dtype: kind[0], element })
    }

    /// For a call that reads it. Panics if `memory` is not what it was made over.
    pub(super) fn handle(&self, memory: Memory) -> &Handle {
        let (address, len, element_bytes) = memory.place();
        let is_same = (address, len) == self.place && element_bytes == self.element.bytes();
        assert!(is_same, "the memory is the tensor's");
        &self.handle
    }

    /// For a call at once, whose caller has the memory borrowed still.
    pub(super) fn handle_at_once(&self) -> &Handle {
        &self.handle
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
    /// How its elements are stored.
    pub(super) element: Element,
}

impl Output {
    /// Where it lies.
    pub fn address(&self) -> Result<u64, DeviceError> {
        let Handle { library, raw } = self.handle;
        let mut address = null_mut();
        // SAFETY: the handle is alive; an address is written.
        library.check(unsafe { (library.data_ptr)(raw, &mut address) }, "a result's address")?;
        Ok(address as u64)
    }

    /// The first `sizes` of it as a tensor that may be read as long as this one lives. Panics if it
    /// has not as many.
    pub(super) fn view(&self, sizes: &[usize], kind: [i32; 3]) -> Result<Handle, DeviceError> {
        let mut dims = self.handle.dims()?;
        assert_eq!(sizes.len(), dims.len(), "a view has the result's dimensions");
        for (dim, &size) in dims.iter_mut().zip(sizes) {
            assert!(size as i64 <= dim[0], "a view is no larger than the result");
            dim[0] = size as i64;
        }
        // SAFETY: within a result of PyTorch's that the caller keeps.
        unsafe { Handle::over(self.handle.library, self.address()?, &dims, kind) }
    }

    /// Fills it, and what lies between its rows, with 16 bits: once for each of as many bits, twice
    /// for each of float32.
    pub fn fill(&mut self, bits: u16) -> Result<(), DeviceError> {
        let address = self.address()?;
        // With the gaps between its rows.
        let last: i64 =
            self.handle.dims()?.iter().map(|[size, stride]| (size - 1).max(0) * stride).sum();
        let elements = (last as usize + 1) * self.element.bytes() / 2;
        match &self.stream {
            None => {
                // SAFETY: the elements of a result of ours alone, which PyTorch computed before the
                // call returned.
                let all = unsafe { std::slice::from_raw_parts_mut(address as *mut u16, elements) };
                all.fill(bits);
                Ok(())
            }
            Some(stream) => {
                // SAFETY: as above, on the stream that PyTorch works on.
                let status =
                    unsafe { sys::cuMemsetD16Async(address, bits, elements, stream.cu_stream()) };
                Ok(status.result()?)
            }
        }
    }
}
