//! The executable of a bench: found in a folder of builds, and told from another one.

use crate::files::plain_name;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where cargo puts benches below a checkout, a target folder and a profile's.
const BELOW: [&str; 4] = ["", "deps", "release/deps", "target/release/deps"];

/// The newest executable `<bench>` or `<bench>-<hash>` in `place`, or in cargo's folders below it; `place` itself, if it
/// is a file.
///
/// # Errors
/// If there is none, or `bench` is no name.
pub fn find(place: &Path, bench: &str) -> Result<PathBuf> {
    // It becomes part of paths.
    plain_name(bench)
        .map_err(|allowed| anyhow!("{bench:?} is no name of a bench: allowed is {allowed}"))?;
    if place.is_file() {
        return absolute(place);
    }
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for folder in BELOW.map(|below| place.join(below)) {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        found.extend(entries.flatten().filter_map(|entry| {
            let named = is_named(entry.file_name().to_str()?, bench);
            let metadata = std::fs::metadata(entry.path()).ok()?;
            let is_program = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
            (named && is_program).then_some((metadata.modified().ok()?, entry.path()))
        }));
    }
    match found.into_iter().max() {
        Some((_, path)) => absolute(&path),
        None => bail!(
            "{}: there is no executable {bench} or {bench}-<hash>; `cargo bench --no-run --bench {bench}` builds it, \
             in target/release/deps",
            place.display()
        ),
    }
}

/// The folder of this program: cargo builds its benches beside it.
///
/// # Errors
/// If the system does not say where that is.
pub fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the folder of this program")?;
    Ok(program.parent().unwrap_or(Path::new(".")).to_owned())
}

/// What changes when an executable is built anew: its path, its size and its time.
///
/// # Errors
/// If it cannot be looked at.
pub fn identity(path: &Path) -> Result<Value> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let modified = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH);
    let modified_ns = modified.unwrap_or(Duration::ZERO).as_nanos().to_string();
    Ok(json!({ "executable": path, "bytes": metadata.len(), "modified_ns": modified_ns }))
}

fn is_named(file: &str, bench: &str) -> bool {
    let Some(rest) = file.strip_prefix(bench) else { return false };
    let is_hash =
        |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    rest.is_empty() || rest.strip_prefix('-').is_some_and(is_hash)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_newest_executable_of_that_name_is_found() {
        let target = tempfile::tempdir().unwrap();
        let deps = target.path().join("release/deps");
        fs::create_dir_all(&deps).unwrap();
        let file = |name: &str, mode: u32, age_s: u64| {
            let path = deps.join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age_s);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
        };
        file("g3_gemm-0123456789abcdef", 0o755, 60);
        file("g3_gemm-fedcba9876543210", 0o755, 30);
        file("g3_gemm-0123456789abcdef.d", 0o644, 0);
        file("g3_gemm_k-0123456789abcdef", 0o755, 0);
        file("g3_gemm-00000000000000ff", 0o644, 0);
        let found = find(target.path(), "g3_gemm").unwrap();
        assert_eq!(found, deps.join("g3_gemm-fedcba9876543210"));
        assert_eq!(find(&found, "anything").unwrap(), found, "a file is itself");
        let error = format!("{:#}", find(target.path(), "s1").unwrap_err());
        assert!(error.contains("cargo bench --no-run --bench s1"), "{error}");

        let (old, new) = ("0123456789abcdef", "fedcba9876543210");
        let identity = |hash: &str| identity(&deps.join(format!("g3_gemm-{hash}"))).unwrap();
        assert_ne!(identity(old), identity(new));
        let before = identity(new);
        fs::write(deps.join(format!("g3_gemm-{new}")), "rebuilt").unwrap();
        assert_ne!(identity(new), before);
    }
}
