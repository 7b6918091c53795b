//! The machine and the software a run was made with: env.json.

use crate::device::torch::{Installation, Session};
use crate::device::{Device, cudnn, libraries, nvml::Monitor};
use crate::journal::record::CRITERION_VERSION;
use crate::process::executable::{sha256, this_program};
use serde_json::{Map, Value, json};
use std::path::Path;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The git revision this was built from, with `-dirty` if the tree differed; empty outside a
/// checkout.
const GIT: &str = git_version::git_version!(
    args = ["--always", "--dirty=-dirty", "--abbrev=40", "--exclude=*"],
    fallback = ""
);

/// Slurm's variables that say where a job ran. Others may hold secrets.
const SLURM: [&str; 9] = [
    "SLURM_JOB_ID",
    "SLURM_JOB_NAME",
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_NODELIST",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_RESTART_COUNT",
    "SLURM_CLUSTER_NAME",
    "SLURMD_NODENAME",
];

/// Describes the host, the device, the libraries and this program; what cannot be found out is
/// null.
pub fn describe(device: &Device, torch: Option<&Session>) -> Value {
    let is_setting =
        |name: &str| name.starts_with("NIGHT_SWEEP_") || name == "CUDA_VISIBLE_DEVICES";
    json!({
        "host": host(),
        "gpu": gpu(device),
        "libraries": versions(device, torch),
        "library_paths": paths(device),
        "pytorch": torch.map(pytorch),
        "software": {
            "night_sweep": env!("CARGO_PKG_VERSION"),
            "criterion": CRITERION_VERSION,
            "rustc": rustc_version_runtime::version().to_string(),
            "git_revision": GIT.split('-').next().filter(|revision| !revision.is_empty()),
            "git_dirty": (!GIT.is_empty()).then(|| GIT.ends_with("-dirty")),
            "executable_sha256": this_program().and_then(|path| sha256(&path)).ok(),
        },
        "slurm": variables(|name| SLURM.contains(&name)),
        "settings": variables(is_setting).unwrap_or_else(|| json!({})),
    })
}

fn host() -> Value {
    let everything = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(everything);
    json!({
        "hostname": System::host_name(),
        "cpu": system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()),
        "cores": system.cpus().len(),
        "memory_bytes": system.total_memory(),
        "os": System::long_os_version(),
        "kernel": System::kernel_version(),
    })
}

fn gpu(device: &Device) -> Value {
    let Device::Cuda(cuda) = device else { return Value::Null };
    let properties = cuda.properties();
    let (major, minor) = properties.compute_capability;
    let mut gpu = json!({
        "name": properties.name,
        "uuid": properties.uuid,
        "compute_capability": format!("{major}.{minor}"),
        "sm_count": properties.sm_count,
        "l2_bytes": properties.l2_bytes,
        "memory_bytes": properties.memory_bytes,
    });
    let nvml = Monitor::open(&properties.uuid).map_or(json!({}), |monitor| monitor.describe());
    if let (Value::Object(gpu), Value::Object(nvml)) = (&mut gpu, nvml) {
        gpu.extend(nvml);
    }
    gpu
}

/// The versions of what is called; all of them belong to the identity of a run.
fn versions(device: &Device, torch: Option<&Session>) -> Value {
    let pytorch = torch.map(|session| &session.torch().installation().version);
    let Device::Cuda(cuda) = device else {
        return json!({
            "cuda_driver": null, "cublas": null, "cudnn": null, "nvrtc": null, "pytorch": pytorch,
        });
    };
    let nvrtc = crate::device::cuda::nvrtc_version();
    json!({
        "cuda_driver": cuda.driver_cuda_version(),
        "cublas": cuda.blas().version(),
        "cudnn": cudnn::Library::get().ok().map(|library| library.version_text()),
        "nvrtc": nvrtc.map(|(major, minor)| format!("{major}.{minor}")),
        "pytorch": pytorch,
    })
}

/// The PyTorch that is called, and where it lies.
fn pytorch(session: &Session) -> Value {
    let Installation { package, version, cuda, .. } = session.torch().installation();
    let cudnn = session.versions().cudnn;
    json!({ "version": version, "cuda": cuda, "cudnn": cudnn, "package": package })
}

/// Where the libraries came from. Beside their versions, because paths may differ between the parts
/// of a run.
fn paths(device: &Device) -> Option<Map<String, Value>> {
    let (Device::Cuda(_), Ok(stack)) = (device, libraries::stack()) else { return None };
    let path = |path: &Path| Value::String(path.display().to_string());
    Some(stack.describe().into_iter().map(|(name, at)| (name.to_owned(), path(at))).collect())
}

fn variables(wanted: impl Fn(&str) -> bool) -> Option<Value> {
    let found: Map<String, Value> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    (!found.is_empty()).then_some(Value::Object(found))
}
