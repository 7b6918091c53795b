//! What has to stay the same from the first pair of a gate to its answer: the executables, by what
//! is in them, and the libraries that they find.

use super::request::variables;
use crate::device::torch::{Search, TorchChoice};
use crate::process::child::Bench;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A build, as it was when the gate began.
pub struct Identity {
    /// For the plan of the gate.
    pub plan: Value,
    build: Bench,
    stamp: Stamp,
    folders: Vec<PathBuf>,
    libraries: String,
}

/// What changes whenever a file does.
type Stamp = [i128; 5];

impl Identity {
    pub fn of(build: &Bench) -> Result<Identity> {
        let mut plan = build.executable.identity()?;
        let (torch, folders) = libraries(build);
        let libraries = digest(&folders);
        plan["variables"] = json!(variables(build));
        plan["pytorch"] = json!(torch);
        plan["libraries"] = json!(libraries);
        let stamp = stamp(&fs::metadata(&build.executable.path)?);
        Ok(Identity { plan, build: build.clone(), stamp, folders, libraries })
    }

    /// Refuses a build that is another than when the gate began.
    pub fn ensure_same(&mut self) -> Result<()> {
        let path = &self.build.executable.path;
        let now = fs::metadata(path).map(|found| stamp(&found)).unwrap_or_default();
        if now != self.stamp {
            let is_same = self.build.executable.identity().is_ok_and(|found| {
                ["executable", "sha256"].iter().all(|key| found[key] == self.plan[key])
            });
            ensure!(
                is_same,
                "{} changed while the gate ran: what was measured is of two builds; remove the \
                 state, or choose another with --state, and start again",
                path.display()
            );
            self.stamp = now;
        }
        ensure!(
            digest(&self.folders) == self.libraries,
            "the libraries of {} changed while the gate ran (one of {}): remove the state, or \
             choose another with --state, and start again",
            path.display(),
            self.folders.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ")
        );
        Ok(())
    }
}

fn stamp(found: &Metadata) -> Stamp {
    let time = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    [
        found.dev().into(),
        found.ino().into(),
        found.size().into(),
        time(found.mtime(), found.mtime_nsec()),
        time(found.ctime(), found.ctime_nsec()),
    ]
}

/// The PyTorch that a build finds, and the folders whose libraries it prefers to the system's.
fn libraries(build: &Bench) -> (Option<String>, Vec<PathBuf>) {
    let variable = |name: &str| -> Option<OsString> {
        let own = build.set.iter().rev().find(|(own, _)| own == name);
        own.map(|(_, value)| value.clone()).or_else(|| std::env::var_os(name))
    };
    let set = variable("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&set).filter(|folder| !folder.as_os_str().is_empty()).collect();
    let choice = variable("NIGHT_SWEEP_TORCH").and_then(|value| value.into_string().ok());
    let choice = choice.map_or(Ok(TorchChoice::Auto), |text| text.parse());
    // What is wrong with it is for the bench to say.
    let found = choice.and_then(|choice| Search::run(&choice, variable)).unwrap_or_default().found;
    let named = found.map(|found| {
        folders.extend(found.library_folders());
        format!("{} in {}", found.version, found.package.display())
    });
    (named, folders)
}

/// The libraries in some folders, by name, size and time: they are gigabytes.
fn digest(folders: &[PathBuf]) -> String {
    let mut found = Vec::new();
    for entry in folders.iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Links are followed: they are what the loader opens.
        if let (true, Ok(is)) = (name.contains(".so"), fs::metadata(entry.path())) {
            found.push(format!(
                "{} {} {} {}",
                entry.path().display(),
                is.size(),
                is.mtime(),
                is.mtime_nsec()
            ));
        }
    }
    found.sort();
    format!("{:x}", Sha256::digest(found.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::executable::Executable;

    #[test]
    fn a_build_that_changes_or_whose_libraries_do_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench");
        let folder = dir.path().join("lib");
        fs::create_dir(&folder).unwrap();
        fs::write(&path, "one").unwrap();
        let build = Bench::new(Executable { path: path.clone(), within: None })
            .set("LD_LIBRARY_PATH", &folder)
            .set("NIGHT_SWEEP_TORCH", "no");
        let mut identity = Identity::of(&build).unwrap();
        identity.ensure_same().unwrap();
        // Written again with what was in it.
        fs::write(&path, "one").unwrap();
        identity.ensure_same().unwrap();
        fs::write(folder.join("notes.txt"), "").unwrap();
        identity.ensure_same().unwrap();
        let before = identity.plan.clone();
        fs::write(&path, "two").unwrap();
        let error = identity.ensure_same().unwrap_err().to_string();
        assert!(error.contains("bench changed while the gate ran"), "{error}");
        fs::write(&path, "one").unwrap();
        fs::write(folder.join("libcublas.so.13"), "").unwrap();
        let error = identity.ensure_same().unwrap_err().to_string();
        assert!(error.contains("the libraries of"), "{error}");
        assert_ne!(Identity::of(&build).unwrap().plan["libraries"], before["libraries"]);
    }
}
