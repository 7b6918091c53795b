//! What plans by PyTorch share: buffers that it sees as tensors, and a result in its own memory.

use crate::device::cuda::{DeviceArray, Tensor};
use crate::device::torch::{Memory, MemoryMut, Output, Session, Target};
use crate::device::{Cuda, DeviceError};
use crate::ops::verify::POISON;
use crate::workload::{CaseError, HostArray};
use std::rc::Rc;

/// A buffer that PyTorch can work on: of the host, or of a GPU.
pub trait Buffer {
    /// To be read.
    fn memory(&self) -> Memory<'_>;
    /// To be written.
    fn memory_mut(&mut self) -> MemoryMut<'_>;
}

impl Buffer for Vec<u16> {
    fn memory(&self) -> Memory<'_> {
        Memory::Host(self)
    }

    fn memory_mut(&mut self) -> MemoryMut<'_> {
        MemoryMut::Host(self)
    }
}

impl Buffer for Tensor {
    fn memory(&self) -> Memory<'_> {
        Memory::Cuda(self)
    }

    fn memory_mut(&mut self) -> MemoryMut<'_> {
        MemoryMut::Cuda(self)
    }
}

impl Buffer for HostArray {
    fn memory(&self) -> Memory<'_> {
        Memory::HostArray(self)
    }

    fn memory_mut(&mut self) -> MemoryMut<'_> {
        MemoryMut::HostArray(self)
    }
}

impl Buffer for DeviceArray {
    fn memory(&self) -> Memory<'_> {
        Memory::DeviceArray(self)
    }

    fn memory_mut(&mut self) -> MemoryMut<'_> {
        MemoryMut::DeviceArray(self)
    }
}

/// A plan whose buffers are those of a GPU.
pub struct OnCuda<P> {
    pub cuda: Rc<Cuda>,
    pub plan: P,
}

/// The result of the last launch. It is kept until the next one, as a program keeps it: so each of
/// several plans has a result of its own, and cold caches are cold for results too.
#[derive(Default)]
pub struct Kept(Option<Output>);

/// Places tried until PyTorch hands out the memory that was poisoned.
const TRIES: usize = 4;

impl Kept {
    /// One launch: its memory is mostly that of the result before, which is given back first.
    pub fn launch(
        &mut self,
        call: impl FnOnce() -> Result<Output, DeviceError>,
    ) -> Result<(), CaseError> {
        self.0 = None;
        self.0 = Some(call()?);
        Ok(())
    }

    /// A launch into memory filled with NaN.
    pub fn launch_poisoned(
        &mut self,
        call: impl Fn() -> Result<Output, DeviceError>,
    ) -> Result<(), CaseError> {
        // PyTorch chooses the place of a result: mostly the one that was given back last.
        for _ in 0..TRIES {
            let poisoned = match &mut self.0 {
                None => None,
                Some(before) => {
                    before.fill(POISON)?;
                    Some(before.address()?)
                }
            };
            self.launch(&call)?;
            if let (Some(poisoned), Some(result)) = (poisoned, &self.0)
                && poisoned == result.address()?
            {
                break;
            }
        }
        Ok(())
    }

    /// The result of the last launch.
    pub fn result(&self) -> Option<&Output> {
        self.0.as_ref()
    }

    /// Copies the result, or the first columns of it.
    pub fn copy_to(&self, session: &Session, to: Target) -> Result<(), CaseError> {
        match &self.0 {
            Some(result) => Ok(session.copy_out(result, to)?),
            None => Ok(()),
        }
    }
}
