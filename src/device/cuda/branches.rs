//! Streams beside the main one: they start together, and are waited for together.

use super::{Cuda, Lt, error};
use crate::device::error::CaseError;
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, CudaStream};
use std::sync::Arc;

/// Branches of work. Within a capture they become parallel branches of the graph: the events are its edges.
pub struct Branches {
    /// Reached where the branches part.
    fork: CudaEvent,
    branches: Vec<Branch>,
}

/// A stream and what works on it. Products that run at the same time may not share a workspace.
struct Branch {
    /// Reached where the branch ends.
    done: CudaEvent,
    lt: Lt,
    stream: Arc<CudaStream>,
}

impl Branches {
    /// `count` branches, the first of which is the main stream.
    ///
    /// # Errors
    /// Out of memory, or what cuBLASLt or the driver reports.
    pub fn new(cuda: &Cuda, count: usize) -> Result<Self, CaseError> {
        let context = cuda.stream().context();
        let event = || context.new_event(Some(CUevent_flags::CU_EVENT_DISABLE_TIMING));
        let branch = |_| {
            let stream = context.new_stream().map_err(error)?;
            Ok(Branch { done: event().map_err(error)?, lt: Lt::new(&stream)?, stream })
        };
        let branches = (1..count).map(branch).collect::<Result<_, CaseError>>()?;
        Ok(Branches { fork: event().map_err(error)?, branches })
    }

    /// Enqueues branch after branch by `enqueue`, which gets the number of the branch and its cuBLASLt.
    ///
    /// # Errors
    /// What `enqueue` or the driver reports.
    pub fn run(
        &self,
        cuda: &Cuda,
        mut enqueue: impl FnMut(usize, &Lt) -> Result<(), CaseError>,
    ) -> Result<(), CaseError> {
        let main = cuda.stream();
        self.fork.record(main).map_err(error)?;
        for (index, branch) in self.branches.iter().enumerate() {
            branch.stream.wait(&self.fork).map_err(error)?;
            enqueue(index + 1, &branch.lt)?;
            branch.done.record(&branch.stream).map_err(error)?;
        }
        enqueue(0, cuda.lt())?;
        self.branches.iter().try_for_each(|branch| main.wait(&branch.done).map_err(error))
    }
}

impl Drop for Branches {
    fn drop(&mut self) {
        // The workspaces are freed in the order of their streams; operands, in that of the main one, which waits for
        // the branches only as far as `run` got.
        for branch in &self.branches {
            let _ = branch.stream.synchronize();
        }
    }
}
