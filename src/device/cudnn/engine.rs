//! From the nodes of a graph to an engine of cuDNN's that runs them as one kernel.

use super::{Attribute::*, Cudnn, CudnnError, Descriptor, Draft, HeuristicMode, Kind::*, Library};
use crate::device::DeviceError;
use std::rc::Rc;

/// First cuDNN's choice for speed, then whatever works. Each takes some 10 ms.
const HEURISTICS: [HeuristicMode; 2] =
    [HeuristicMode::CUDNN_HEUR_MODE_A, HeuristicMode::CUDNN_HEUR_MODE_FALLBACK];

/// The device that engines are sought for.
#[derive(Clone)]
pub enum Target {
    Handle(Rc<Cudnn>),
    /// One described by its properties: the recipe is tested so, without a GPU.
    #[cfg_attr(not(test), expect(dead_code))]
    Described(Descriptor),
}

pub struct Graph {
    library: &'static Library,
    descriptor: Descriptor,
    target: Target,
}

/// A compiled graph: its plan, and the bytes of workspace that a launch needs.
pub struct Executable {
    pub plan: Descriptor,
    pub workspace_bytes: usize,
}

impl Graph {
    /// The graph of `nodes`, which are in topological order.
    pub fn new(
        library: &'static Library,
        nodes: &[Descriptor],
        target: Target,
    ) -> Result<Self, CudnnError> {
        let draft = Draft::new(library, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)?
            .set_parts(CUDNN_ATTR_OPERATIONGRAPH_OPS, nodes)?;
        let draft = match &target {
            Target::Handle(cudnn) => draft.set_handle(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, cudnn)?,
            Target::Described(_) => draft,
        };
        Ok(Graph { library, descriptor: draft.finalize()?, target })
    }

    /// Whether there is an engine for the graph; unsupported, with the reason, if there is none.
    pub fn supported(&self) -> Result<(), DeviceError> {
        self.first_success(|_| Ok(()))
    }

    /// The first engine that compiles, or the error of the first that was tried.
    pub fn compile(&self) -> Result<Executable, DeviceError> {
        self.first_success(|config| Ok(Executable::new(self.library, config)?))
    }

    /// What `attempt` makes of the best engine that it succeeds with, or else the first error.
    fn first_success<T>(
        &self,
        attempt: impl Fn(&Descriptor) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let mut failure = None;
        for mode in HEURISTICS {
            let configs = self.configs(mode)?;
            if configs.is_empty() {
                failure.get_or_insert_with(|| self.no_engine());
            }
            for config in &configs {
                match attempt(config) {
                    Ok(success) => return Ok(success),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.no_engine()))
    }

    /// The engines that `mode` finds, best first; may be none.
    fn configs(&self, mode: HeuristicMode) -> Result<Vec<Descriptor>, CudnnError> {
        // What an earlier graph left there is no reason for this one.
        self.library.take_last_error();
        let draft = Draft::new(self.library, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)?
            .set_part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, &self.descriptor)?
            .set(CUDNN_ATTR_ENGINEHEUR_MODE, &[mode])?;
        let draft = match &self.target {
            Target::Handle(_) => draft,
            Target::Described(device) => {
                draft.set_part(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device)?
            }
        };
        draft
            .finalize()?
            .get_parts(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
    }

    fn no_engine(&self) -> DeviceError {
        let reason = self.library.take_last_error();
        let colon = if reason.is_empty() { "" } else { ": " };
        DeviceError::unsupported(format!(
            "cuDNN {} has no engine for this attention on this device{colon}{reason}",
            self.library.version_text()
        ))
    }
}

impl Executable {
    fn new(library: &'static Library, config: &Descriptor) -> Result<Self, CudnnError> {
        let engine_id = engine_id(config)?;
        let plan = Draft::new(library, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)?
            .set_part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config)?
            .finalize()
            .map_err(|error| error.at(&format!("engine {engine_id}")))?;
        let workspace_bytes = plan.get_i64(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)? as usize;
        Ok(Executable { plan, workspace_bytes })
    }
}

fn engine_id(config: &Descriptor) -> Result<i64, CudnnError> {
    config
        .get_part(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR)?
        .get_i64(CUDNN_ATTR_ENGINE_GLOBAL_INDEX)
}

/// The recipe against the real library, on a machine without a GPU: cuDNN plans for a device that
/// it is told of.
///
/// It needs cuDNN, cuBLAS and NVRTC (the wheels nvidia-cudnn-cu12, nvidia-cublas-cu12 and
/// nvidia-cuda-nvrtc-cu12 in an active environment, say), and a libcuda.so.1 in LD_LIBRARY_PATH:
/// where there is no driver, stubs are enough, `int name(void) { return 0; }` for each function
/// that cuDNN names on stderr as missing.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceErrorKind;
    use crate::device::cudnn::graph::attention;
    use crate::workload::{DType, SdpaShape};

    fn described(library: &'static Library, compute_capability: u32) -> Target {
        let (name, shared_bytes, sms) = match compute_capability {
            80 => ("NVIDIA A100-SXM4-80GB", 166_912, 108),
            90 => ("NVIDIA H200", 232_448, 132),
            other => panic!("no properties of {other}"),
        };
        let properties = serde_json::json!({
            "deviceName": name, "deviceVer": compute_capability * 10, "driverVer": 13000,
            "cudaDeviceId": 0, "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1,
            "multiProcessorCount": sms, "smClockRateKHz": 1_980_000, "memClockRateKHz": 3_201_000,
            "totalGlobalMem": 80_000_000_000u64, "l2CacheSize": 40 << 20, "memoryBusWidth": 5_120,
            "maxSharedMemoryPerBlock": 49_152, "maxSharedMemoryPerBlockOptin": shared_bytes,
            "reservedSharedMemoryPerBlock": 1_024, "regsPerBlock": 65_536,
            "maxRegistersPerSM": 65_536, "maxCtasPerSM": 32, "maxThreadsPerSM": 2_048,
            "maxThreadsPerBlock": 1_024, "warpSize": 32,
            "maxGridSize": [2_147_483_647, 65_535, 65_535], "maxBlockSize": [1_024, 1_024, 64],
        });
        let device = Draft::new(library, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)
            .and_then(|draft| {
                let json = properties.to_string();
                draft.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, json.as_bytes())?.finalize()
            })
            .unwrap();
        Target::Described(device)
    }

    fn graph(
        target: &Target,
        n_kv_heads: Option<usize>,
        head_dim: usize,
        causal: bool,
        dtype: DType,
    ) -> Graph {
        let library = Library::get().unwrap();
        let shape =
            SdpaShape { batch: 2, n_heads: 4, n_kv_heads, seq_len: 1000, kv_len: None, head_dim };
        let nodes = attention(library, &shape, causal, dtype).unwrap();
        Graph::new(library, &nodes, target.clone()).unwrap()
    }

    #[test]
    #[ignore = "needs libcudnn"]
    fn engines_take_every_multiple_of_8_and_nothing_else() {
        let library = Library::get().unwrap();
        for target in [described(library, 80), described(library, 90)] {
            for head_dim in [64, 72, 104, 128, 136, 192, 256] {
                for causal in [false, true] {
                    for dtype in DType::ALL {
                        for n_kv_heads in [None, Some(2), Some(1)] {
                            let graph = graph(&target, n_kv_heads, head_dim, causal, dtype);
                            graph.supported().unwrap();
                        }
                    }
                }
            }
            for head_dim in [65, 107, 130] {
                let error =
                    graph(&target, None, head_dim, false, DType::Fp16).supported().unwrap_err();
                assert_eq!(error.kind, DeviceErrorKind::Unsupported);
                assert!(error.message.contains("has no engine"), "{error}");
                assert!(!error.message.contains('\n'), "{error}");
            }
        }
    }
}
