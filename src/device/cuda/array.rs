//! Matrices in device memory, of any element type.

use super::kernels::{Bits, address};
use super::{Cuda, Kernels};
use crate::device::DeviceError;
use crate::workload::{DType, Element, HostArray};
use cudarc::driver::CudaSlice;

/// Numbers of one element type in device memory.
#[derive(Clone, Debug)]
pub struct DeviceArray {
    element: Element,
    len: usize,
    /// Whole units of [`ALIGNMENT`].
    bytes: CudaSlice<u8>,
}

/// Kernels read and write whole 16-byte chunks.
const ALIGNMENT: usize = 16;

/// Device memory that kernels work on, whatever it holds.
pub trait Elements {
    /// Where it begins. It stays valid while the buffer lives.
    fn address(&self) -> u64;
    /// Elements in it.
    fn count(&self) -> usize;
    /// Bytes of each.
    fn element_bytes(&self) -> usize;
}

impl<T: Bits> Elements for CudaSlice<T> {
    fn address(&self) -> u64 {
        address(self)
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn element_bytes(&self) -> usize {
        size_of::<T>()
    }
}

impl Elements for DeviceArray {
    fn address(&self) -> u64 {
        address(&self.bytes)
    }

    fn count(&self) -> usize {
        self.len
    }

    fn element_bytes(&self) -> usize {
        self.element.bytes()
    }
}

impl DeviceArray {
    /// How each is stored.
    pub fn element(&self) -> Element {
        self.element
    }

    /// All of its memory, for what fills it.
    pub(super) fn bytes(&self) -> &CudaSlice<u8> {
        &self.bytes
    }
}

impl Cuda {
    /// An array that is not initialised.
    pub fn alloc_array(&self, element: Element, len: usize) -> Result<DeviceArray, DeviceError> {
        let bytes = self.alloc((len * element.bytes()).next_multiple_of(ALIGNMENT))?;
        Ok(DeviceArray { element, len, bytes })
    }

    /// A matrix of `size` as [`Kernels::fill_normal`] fills it.
    pub fn normal_array(
        &self,
        element: Element,
        of: (u64, u32),
        size: [usize; 2],
        data: [usize; 2],
    ) -> Result<DeviceArray, DeviceError> {
        let mut array = self.alloc_array(element, size[0] * size[1])?;
        Kernels::fill_normal(self.kernels(), &mut array, element, of, size, data)?;
        Ok(array)
    }

    /// A copy in device memory.
    pub fn upload_array(&self, array: &HostArray) -> Result<DeviceArray, DeviceError> {
        let mut bytes: Vec<u8> = match array {
            HostArray::Half(_, bits) => bits.iter().flat_map(|bits| bits.to_ne_bytes()).collect(),
            HostArray::Single(values) => values.iter().flat_map(|x| x.to_ne_bytes()).collect(),
            HostArray::E4m3(bits) => bits.clone(),
        };
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let bytes = self.upload(&bytes)?;
        Ok(DeviceArray { element: array.element(), len: array.len(), bytes })
    }

    /// A copy in host memory; waits for everything enqueued before it.
    pub fn download_array(&self, array: &DeviceArray) -> Result<HostArray, DeviceError> {
        let mut bytes = self.download(&array.bytes)?;
        bytes.truncate(array.len * array.element.bytes());
        let halves = || bytes.chunks_exact(2).map(|two| u16::from_ne_bytes([two[0], two[1]]));
        Ok(match array.element {
            Element::Fp16 => HostArray::Half(DType::Fp16, halves().collect()),
            Element::Bf16 => HostArray::Half(DType::Bf16, halves().collect()),
            Element::Fp32 => {
                let four = |x: &[u8]| f32::from_ne_bytes([x[0], x[1], x[2], x[3]]);
                HostArray::Single(bytes.chunks_exact(4).map(four).collect())
            }
            Element::E4m3 => HostArray::E4m3(bytes),
        })
    }
}
