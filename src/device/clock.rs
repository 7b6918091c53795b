//! The two clocks: CUDA events on a stream, and the host's.

use crate::device::DeviceError;
use cudarc::driver::{CudaEvent, CudaStream, sys::CUevent_flags};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// A clock that can be read where the work is.
pub enum Clock {
    /// The host's monotonic clock; work on the CPU is done when its call returns.
    Host,
    /// Events recorded on the stream that the work is enqueued on.
    Events {
        /// The stream.
        stream: Arc<CudaStream>,
        /// Events made so far. One that nobody holds any more is recorded again.
        pool: RefCell<Vec<Rc<CudaEvent>>>,
    },
}

/// A point in time on a [`Clock`].
#[derive(Clone)]
pub enum Mark {
    /// Read already.
    Host(Instant),
    /// Reached when the stream gets there.
    Event(Rc<CudaEvent>),
}

impl Clock {
    /// A clock of CUDA events on `stream`.
    pub fn events(stream: Arc<CudaStream>) -> Self {
        Clock::Events { stream, pool: RefCell::default() }
    }

    /// Marks the point after everything enqueued so far. Does not wait.
    pub fn mark(&self) -> Result<Mark, DeviceError> {
        match self {
            Clock::Host => Ok(Mark::Host(Instant::now())),
            Clock::Events { stream, pool } => {
                let event = free_event(stream, &mut pool.borrow_mut())?;
                event.record(stream)?;
                Ok(Mark::Event(event))
            }
        }
    }

    /// Whether the work has got there. Does not wait; an error of work before it shows here.
    pub fn is_reached(&self, mark: &Mark) -> Result<bool, DeviceError> {
        match mark {
            Mark::Host(_) => Ok(true),
            Mark::Event(event) => Ok(event.try_is_complete()?),
        }
    }

    /// Nanoseconds from `start` to `end`; waits until `end` is reached.
    pub fn elapsed_ns(&self, start: &Mark, end: &Mark) -> Result<f64, DeviceError> {
        match (start, end) {
            (Mark::Host(start), Mark::Host(end)) => {
                Ok(end.duration_since(*start).as_nanos() as f64)
            }
            (Mark::Event(start), Mark::Event(end)) => {
                end.synchronize()?;
                Ok(f64::from(start.elapsed_ms(end)?) * 1e6)
            }
            _ => unreachable!("both marks come from one clock"),
        }
    }

    /// The same of each pair.
    pub fn elapsed_each_ns(&self, marks: &[(Mark, Mark)]) -> Result<Vec<f64>, DeviceError> {
        marks.iter().map(|(start, end)| self.elapsed_ns(start, end)).collect()
    }
}

fn free_event(
    stream: &CudaStream,
    pool: &mut Vec<Rc<CudaEvent>>,
) -> Result<Rc<CudaEvent>, DeviceError> {
    if let Some(event) = pool.iter().find(|event| Rc::strong_count(event) == 1) {
        return Ok(event.clone());
    }
    // The default flags: cudarc's own choice, `None`, makes events that cannot tell the time.
    let event = Rc::new(stream.context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?);
    pool.push(event.clone());
    Ok(event)
}
