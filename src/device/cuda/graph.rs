//! CUDA graphs: launches captured once and replayed without the host, and the names of the kernels
//! in them.

use super::Cuda;
use crate::device::DeviceError;
use crate::device::{Clock, Kernel};
use cpp_demangle::{DemangleOptions, Symbol};
use cudarc::driver::{CudaGraph, sys};
use std::ffi::CStr;

/// Launches captured from the stream.
pub struct Graph(CudaGraph);

impl Graph {
    /// Captures what `enqueue` puts on the stream, `launches` times over.
    pub fn capture<E: From<DeviceError>>(
        cuda: &Cuda,
        launches: usize,
        mut enqueue: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        let stream = cuda.stream();
        // Thread-local: a call that would break the capture is refused in this thread only, which
        // is all we have.
        stream
            .begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(DeviceError::from)?;
        let enqueued = (0..launches).try_for_each(|_| enqueue());
        // The capture has to be ended whatever happened, or the stream stays unusable.
        let graph = stream.end_capture(
            sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH,
        );
        enqueued?;
        let empty = || DeviceError::driver("the captured graph is empty: nothing was launched");
        let graph = graph.map_err(DeviceError::from)?.ok_or_else(empty)?;
        graph.upload().map_err(DeviceError::from)?;
        Ok(Graph(graph))
    }

    /// Enqueues all captured launches.
    pub fn launch(&self) -> Result<(), DeviceError> {
        Ok(self.0.launch()?)
    }

    /// Median nanoseconds of a replay, over some in a row after one that is not counted.
    pub fn replay_ns(&self, cuda: &Cuda, replays: usize) -> Result<f64, DeviceError> {
        let clock = Clock::events(cuda.stream().clone());
        let mut marks = Vec::with_capacity(replays + 1);
        for _ in 0..=replays {
            let start = clock.mark()?;
            self.launch()?;
            marks.push((start, clock.mark()?));
        }
        let mut times_ns = clock.elapsed_each_ns(&marks[1..])?;
        times_ns.sort_by(f64::total_cmp);
        Ok(times_ns[replays / 2])
    }

    /// The kernels in the graph, as they were captured.
    pub fn kernels(&self, cuda: &Cuda) -> Result<Vec<Kernel>, DeviceError> {
        let graph = self.0.cu_graph();
        let mut count = 0;
        // SAFETY: a null array asks for the number of nodes.
        unsafe { sys::cuGraphGetNodes(graph, std::ptr::null_mut(), &mut count) }.result()?;
        let mut nodes = vec![std::ptr::null_mut(); count];
        // SAFETY: the array has room for `count` nodes; the graph lives as long as `self`.
        unsafe { sys::cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count) }.result()?;
        let sm_count = cuda.properties().sm_count as u32;
        let kernels = nodes.into_iter().map(|node| kernel(node, sm_count));
        kernels.filter_map(Result::transpose).collect()
    }
}

/// The kernel of a node; none for a memset, a copy, an event.
fn kernel(node: sys::CUgraphNode, sm_count: u32) -> Result<Option<Kernel>, DeviceError> {
    let mut kind = std::mem::MaybeUninit::uninit();
    // SAFETY: the node belongs to a living graph; `kind` is read only after success.
    unsafe { sys::cuGraphNodeGetType(node, kind.as_mut_ptr()) }.result()?;
    // SAFETY: written by the call above.
    if unsafe { kind.assume_init() } != sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_KERNEL {
        return Ok(None);
    }
    // SAFETY: a struct of integers and pointers, for which zero is valid.
    let mut params: sys::CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
    // SAFETY: the node is a kernel node.
    unsafe { sys::cuGraphKernelNodeGetParams_v2(node, &mut params) }.result()?;
    let grid = [params.gridDimX, params.gridDimY, params.gridDimZ];
    let blocks_per_sm = blocks_per_sm(&params);
    let blocks: f64 = grid.iter().map(|&blocks| f64::from(blocks)).product();
    let waves = blocks_per_sm.map(|at_once| blocks / f64::from(at_once * sm_count));
    let name = symbol(&params);
    Ok(Some(Kernel {
        alignment: Kernel::alignment_of(&name),
        name,
        grid,
        block: [params.blockDimX, params.blockDimY, params.blockDimZ],
        smem_bytes: params.sharedMemBytes,
        blocks_per_sm,
        waves,
        tail_efficiency: waves.map(|waves| waves / waves.ceil()),
    }))
}

/// Blocks of the kernel that one SM holds at once; none where the driver does not say.
fn blocks_per_sm(params: &sys::CUDA_KERNEL_NODE_PARAMS) -> Option<u32> {
    // A kernel without a context takes the place of a function, says the driver's documentation.
    let function = if params.func.is_null() { params.kern.cast() } else { params.func };
    let threads = (params.blockDimX * params.blockDimY * params.blockDimZ) as i32;
    let mut blocks = 0;
    // SAFETY: the handle comes from the driver; one int is written.
    let status = unsafe {
        sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(
            &mut blocks,
            function,
            threads,
            params.sharedMemBytes as usize,
        )
    };
    (status.result().is_ok() && blocks > 0).then_some(blocks as u32)
}

/// The kernel's symbol. A library's kernel may have a `kern` and no `func` in this context.
fn symbol(params: &sys::CUDA_KERNEL_NODE_PARAMS) -> String {
    let mut name = std::ptr::null();
    // SAFETY: both handles come from the driver and are checked for null; a name lives as long as
    // its module.
    unsafe {
        if !params.func.is_null() {
            let _ = sys::cuFuncGetName(&mut name, params.func);
        }
        if name.is_null() && !params.kern.is_null() {
            let _ = sys::cuKernelGetName(&mut name, params.kern);
        }
        if name.is_null() {
            return "(a kernel without a name)".to_owned();
        }
        readable(&CStr::from_ptr(name).to_string_lossy())
    }
}

/// The name that a symbol stands for, without parameters; one that is no C++ name is its own.
fn readable(symbol: &str) -> String {
    let options = DemangleOptions::new().no_params().no_return_type();
    let name = Symbol::new(symbol).ok().and_then(|name| name.demangle_with_options(&options).ok());
    name.unwrap_or_else(|| symbol.to_owned())
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn kernels_are_named_as_their_source_names_them() {
        let cutlass = "cutlass_75_tensorop_f16_s1688gemm_f16_128x128_nn_align1";
        let mangled = format!("_ZN7cutlass7Kernel2I55{cutlass}EEvNT_6ParamsE");
        assert_eq!(readable(&mangled), format!("cutlass::Kernel2<{cutlass}>"));
        for plain in ["nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_NNT", "_Znot a symbol"] {
            assert_eq!(readable(plain), plain);
        }
    }
}
