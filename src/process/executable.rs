//! The executable of a bench: found in a folder of builds, and told from another build.

use crate::files::{self, cannot, plain_name};
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where cargo puts benches below a checkout, a target folder and a profile's.
const BENCHES: [&str; 4] = ["", "deps", "release/deps", "target/release/deps"];

const PROGRAMS: [&str; 3] = ["", "release", "target/release"];

const NIGHT_SWEEP: &str = "night-sweep";

/// On Linux: what this process runs, even where a build has put another file in its place.
pub const RUNNING: &str = "/proc/self/exe";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    pub path: PathBuf,
    /// The name of the bench, where the file is `night-sweep` and has to be told.
    pub within: Option<String>,
}

impl Executable {
    /// What runs `bench`: `place` itself, if it is a file, else the newest `<bench>` or
    /// `<bench>-<hash>` in it or in cargo's folders below it, else the `night-sweep` there.
    pub fn find(place: &Path, bench: &str) -> Result<Executable> {
        // It becomes part of paths.
        plain_name(bench)
            .map_err(|allowed| anyhow!("{bench:?} is no name of a bench: allowed is {allowed}"))?;
        let found = match place.is_file() {
            true => Some(place.to_owned()),
            false => newest(place, &BENCHES, |name| is_named(name, bench))
                .or_else(|| newest(place, &PROGRAMS, |name| name == NIGHT_SWEEP)),
        };
        let path = found.with_context(|| {
            format!(
                "{}: there is neither an executable {bench} or {bench}-<hash> nor a night-sweep; \
                 `cargo bench --no-run --bench {bench}` builds the bench, in target/release/deps",
                place.display()
            )
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let within = name.starts_with(NIGHT_SWEEP).then(|| bench.to_owned());
        let path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
        Ok(Executable { path, within })
    }

    /// What runs `bench` where no build is named: that beside this program, else this program.
    pub fn here(bench: &str) -> Result<Executable> {
        let program = std::env::current_exe().context("cannot find the folder of this program")?;
        let folder = program.parent().unwrap_or(Path::new(".")).to_owned();
        Executable::find(&folder, bench)
            .or_else(|_| Ok(Executable { path: program, within: Some(bench.to_owned()) }))
    }

    /// Its path, and what is in it: size and time may stay when it is built anew.
    pub fn identity(&self) -> Result<Value> {
        let sha256 = sha256(&self.path).with_context(cannot("read", &self.path))?;
        Ok(json!({ "executable": self.path, "sha256": sha256 }))
    }
}

/// What this process runs, as long as there is a `/proc`.
pub fn this_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from(RUNNING);
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

/// By this a build is known: two of one git revision may differ in their flags, or in what was not
/// committed.
pub fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (files::open(path)?, Sha256::new());
    std::io::copy(&mut file, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

fn newest(place: &Path, folders: &[&str], is_it: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(place.join(folder)) else { continue };
        found.extend(entries.flatten().filter_map(|entry| {
            let named = is_it(entry.file_name().to_str()?);
            let metadata = std::fs::metadata(entry.path()).ok()?;
            let is_program = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
            (named && is_program).then_some((metadata.modified().ok()?, entry.path()))
        }));
    }
    found.into_iter().max().map(|(_, path)| path)
}

fn is_named(file: &str, bench: &str) -> bool {
    let Some(rest) = file.strip_prefix(bench) else { return false };
    let is_hash =
        |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    rest.is_empty() || rest.strip_prefix('-').is_some_and(is_hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

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
        let find = |place: &Path, bench: &str| Executable::find(place, bench);
        let found = find(target.path(), "g3_gemm").unwrap();
        assert_eq!(found.path, deps.join("g3_gemm-fedcba9876543210"));
        assert_eq!(find(&found.path, "anything").unwrap(), found, "a file is itself");
        let error = format!("{:#}", find(target.path(), "s1").unwrap_err());
        assert!(error.contains("cargo bench --no-run --bench s1"), "{error}");

        // `night-sweep` is every bench, where there is none of the name.
        file("../night-sweep", 0o755, 0);
        assert_eq!(find(target.path(), "g3_gemm").unwrap(), found);
        let program = target.path().join("release/night-sweep").canonicalize().unwrap();
        for place in [target.path(), &*program] {
            let found = find(place, "s1").unwrap();
            assert_eq!(found.path.canonicalize().unwrap(), program);
            assert_eq!(found.within.as_deref(), Some("s1"));
        }

        let path = deps.join("g3_gemm-fedcba9876543210");
        let executable = Executable { path: path.clone(), within: None };
        let identity = || executable.identity().unwrap();
        fs::write(&path, "first").unwrap();
        let before = identity();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        for (text, is_same) in [("other", false), ("first", true)] {
            fs::write(&path, text).unwrap();
            fs::File::open(&path).unwrap().set_modified(modified).unwrap();
            assert_eq!(identity() == before, is_same, "{text}: of one size and time");
        }
    }
}
