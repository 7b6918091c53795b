//! The variables of this process that decide what a bench measures.

use std::collections::BTreeMap;

/// How their names begin: ours, and those of the loader and of the libraries that are measured.
const PREFIXES: [&str; 19] = [
    "NIGHT_SWEEP_",
    "LD_",
    "CUDA",
    "CUBLAS",
    "CUDNN",
    "NVIDIA_",
    "NVRTC",
    "TORCH",
    "PYTORCH",
    "PYTHON",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "RAYON_",
    "GLIBC_TUNABLES",
];

/// Those of ours that make a process another run than that of whoever starts it, named without
/// `NIGHT_SWEEP_`.
pub const OF_ONE_RUN: [&str; 5] = ["RUN_ID", "RESUME", "SHARD", "RUN_BENCH", "RUN_LIST"];

/// What else whoever starts a bench for a part of its work sets itself.
const SET: [&str; 5] = ["SPEC", "RESULTS_ROOT", "REPORT", "LOST_CASE", "LEASH"];

/// The variables that decide what is measured, with their values. Not those of ours in `set`, named
/// without `NIGHT_SWEEP_`, which the caller gives values of its own.
pub fn relevant(set: &[&str]) -> BTreeMap<String, String> {
    let variables = std::env::vars_os();
    let text = variables.map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    });
    text.filter(|(name, _)| is_relevant(name, set)).collect()
}

fn is_relevant(name: &str, set: &[&str]) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && name
            .strip_prefix("NIGHT_SWEEP_")
            .is_none_or(|own| ![&OF_ONE_RUN[..], &SET, set].concat().contains(&own))
}

#[cfg(test)]
mod tests {
    use super::is_relevant;

    #[test]
    fn what_decides_what_is_measured_is_relevant() {
        for name in [
            "NIGHT_SWEEP_TORCH",
            "LD_LIBRARY_PATH",
            "LD_PRELOAD",
            "CUDA_VISIBLE_DEVICES",
            "RAYON_NUM_THREADS",
            "VIRTUAL_ENV",
        ] {
            assert!(is_relevant(name, &["SEED"]), "{name}");
        }
        for name in ["NIGHT_SWEEP_SEED", "NIGHT_SWEEP_RUN_ID", "HOME", "PATH", "CRITERION_HOME"] {
            assert!(!is_relevant(name, &["SEED"]), "{name}");
        }
    }
}
