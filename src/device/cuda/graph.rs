//! CUDA graphs: launches captured once and replayed without the host, and the names of the kernels
//! in them.

use super::Cuda;
use crate::device::Clock;
use crate::device::DeviceError;
use crate::device::kernel::Kernel;
use cpp_demangle::{DemangleOptions, Symbol};
use cudarc::driver::{CudaGraph, DriverError, sys};
use std::ffi::CStr;

/// Launches captured from the stream.
pub struct Graph(CudaGraph);

impl Graph {
    /// Captures what `enqueue` puts on the stream, `launches` times over.
    ///
    /// # Errors
    /// A library call that cannot be captured is one.
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
        Ok(Self::uploaded(graph)?)
    }

    fn uploaded(graph: Result<Option<CudaGraph>, DriverError>) -> Result<Self, DeviceError> {
        let graph = graph?.ok_or_else(|| {
            DeviceError::driver("the captured graph is empty: nothing was launched")
        })?;
        graph.upload()?;
        Ok(Graph(graph))
    }

    /// Enqueues all captured launches.
    pub fn launch(&self) -> Result<(), DeviceError> {
        self.0.launch().map_err(DeviceError::from)
    }

    /// Median time of a replay in nanoseconds, over a few in a row after one that is not counted.
    pub fn replay_ns(&self, cuda: &Cuda, replays: usize) -> Result<f64, DeviceError> {
        let clock = Clock::events(cuda.stream().clone());
        let mut marks = Vec::with_capacity(replays + 1);
        for _ in 0..=replays {
            let start = clock.mark()?;
            self.launch()?;
            marks.push((start, clock.mark()?));
        }
        let times: Result<Vec<f64>, _> =
            marks[1..].iter().map(|(start, end)| clock.elapsed_ns(start, end)).collect();
        let mut times_ns = times?;
        times_ns.sort_by(f64::total_cmp);
        Ok(times_ns[replays / 2])
    }

    /// The kernels in the graph, in the order they were captured.
    pub fn kernels(&self, cuda: &Cuda) -> Result<Vec<Kernel>, DeviceError> {
        let graph = self.0.cu_graph();
        let mut count = 0;
        // SAFETY: a null array asks for the number of nodes.
        unsafe { sys::cuGraphGetNodes(graph, std::ptr::null_mut(), &mut count) }.result()?;
        let mut nodes = vec![std::ptr::null_mut(); count];
        // SAFETY: the array has room for `count` nodes; the graph lives as long as `self`.
        unsafe { sys::cuGraphGetNodes(graph, nodes.as_mut_ptr(), &mut count) }.result()?;
        let sm_count = cuda.properties().sm_count as u32;
        let kernels: Result<Vec<_>, _> =
            nodes.into_iter().map(|node| kernel(node, sm_count)).collect();
        Ok(kernels?.into_iter().flatten().collect())
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
    // The driver takes a kernel without a context in the place of a function, says its
    // documentation.
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

/// The kernel's symbol. A library's kernel is known by its `kern` where it has no `func` in this
/// context.
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

/// The name that a symbol stands for, without its parameters; a symbol that is no C++ name is its
/// own.
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
        for (symbol, name) in [
            (
                "_ZN7cutlass7Kernel2I55cutlass_75_tensorop_f16_s1688gemm_f16_128x128_nn_align1EEv\
                 NT_6ParamsE",
                "cutlass::Kernel2<cutlass_75_tensorop_f16_s1688gemm_f16_128x128_nn_align1>",
            ),
            (
                "nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_NNT",
                "nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_NNT",
            ),
            ("softmax_f32", "softmax_f32"),
            ("_Znot a symbol", "_Znot a symbol"),
        ] {
            assert_eq!(readable(symbol), name);
        }
    }
}
