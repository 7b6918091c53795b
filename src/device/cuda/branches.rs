//! Streams beside the main one: they start together, and are waited for together.

use super::{Cuda, Lt};
use crate::device::DeviceError;
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, CudaStream};
use std::sync::Arc;

/// Branches of work: within a capture, parallel branches of the graph, whose edges are the events.
pub struct Branches {
    fork: CudaEvent,
    branches: Vec<Branch>,
}

/// A stream and what works on it. GEMMs that run at the same time may not share a workspace.
struct Branch {
    done: CudaEvent,
    lt: Lt,
    stream: Arc<CudaStream>,
}

impl Branches {
    /// `count` branches, the first of which is the main stream.
    pub fn new(cuda: &Cuda, count: usize) -> Result<Self, DeviceError> {
        let context = cuda.stream().context();
        let event = || context.new_event(Some(CUevent_flags::CU_EVENT_DISABLE_TIMING));
        let branch = |_| {
            let stream = context.new_stream()?;
            Ok(Branch { done: event()?, lt: Lt::new(&stream)?, stream })
        };
        let branches = (1..count).map(branch).collect::<Result<_, DeviceError>>()?;
        Ok(Branches { fork: event()?, branches })
    }

    /// Enqueues branch after branch by `enqueue`, which gets the number of the branch and its
    /// cuBLASLt. The main stream waits for all of them.
    pub fn run<E: From<DeviceError>>(
        &self,
        cuda: &Cuda,
        enqueue: impl FnMut(usize, &Lt) -> Result<(), E>,
    ) -> Result<(), E> {
        // Operands are freed in the order of the main stream, which waits for the branches only as
        // far as the enqueueing got.
        self.fork_and_join(cuda, enqueue).inspect_err(|_| self.finish())
    }

    fn fork_and_join<E: From<DeviceError>>(
        &self,
        cuda: &Cuda,
        mut enqueue: impl FnMut(usize, &Lt) -> Result<(), E>,
    ) -> Result<(), E> {
        let main = cuda.stream();
        self.fork.record(main).map_err(DeviceError::from)?;
        for (index, branch) in self.branches.iter().enumerate() {
            branch.stream.wait(&self.fork).map_err(DeviceError::from)?;
            enqueue(index + 1, &branch.lt)?;
            branch.done.record(&branch.stream).map_err(DeviceError::from)?;
        }
        enqueue(0, cuda.lt())?;
        let joined = self.branches.iter().try_for_each(|branch| main.wait(&branch.done));
        Ok(joined.map_err(DeviceError::from)?)
    }

    fn finish(&self) {
        for branch in &self.branches {
            let _ = branch.stream.synchronize();
        }
    }
}

impl Drop for Branches {
    /// The workspaces are freed in the order of their own streams.
    fn drop(&mut self) {
        self.finish();
    }
}
