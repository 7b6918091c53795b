//! Host memory that the GPU reads and writes where it lies.

use crate::device::DeviceError;
use cudarc::driver::{CudaContext, result, sys};
use std::sync::Arc;

/// `LEN` 64-bit words of page-locked host memory. On the 64-bit systems that CUDA has, the GPU
/// knows them by the host's address.
pub struct Mapped<const LEN: usize> {
    words: *mut u64,
    /// The memory belongs to this context.
    _context: Arc<CudaContext>,
}

impl<const LEN: usize> Mapped<LEN> {
    /// Allocates the words, all 0.
    pub fn new(context: &Arc<CudaContext>) -> Result<Self, DeviceError> {
        // SAFETY: the size is not 0; the memory is freed when dropped.
        let words =
            unsafe { result::malloc_host(LEN * size_of::<u64>(), sys::CU_MEMHOSTALLOC_DEVICEMAP) };
        let words: *mut u64 = words?.cast();
        let mapped = Mapped { words, _context: context.clone() };
        (0..LEN).for_each(|index| mapped.write(index, 0));
        Ok(mapped)
    }

    /// The word at `index`, as it is now.
    pub fn read(&self, index: usize) -> u64 {
        assert!(index < LEN);
        // SAFETY: inside the allocation and aligned; volatile, as the GPU may write it.
        unsafe { self.words.add(index).read_volatile() }
    }

    /// Writes the word at `index`.
    pub fn write(&self, index: usize, word: u64) {
        assert!(index < LEN);
        // SAFETY: inside the allocation and aligned; volatile, as the GPU may be waiting for it.
        unsafe { self.words.add(index).write_volatile(word) }
    }

    /// The address of the word at `index`, for a kernel.
    pub fn address(&self, index: usize) -> u64 {
        assert!(index < LEN);
        self.words as u64 + (index * size_of::<u64>()) as u64
    }
}

impl<const LEN: usize> Drop for Mapped<LEN> {
    fn drop(&mut self) {
        // SAFETY: allocated by malloc_host, freed once. A failure to free leaves nothing to do.
        let _ = unsafe { result::free_host(self.words.cast()) };
    }
}
