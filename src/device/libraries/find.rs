//! Where libraries are looked for: places in order, each with its folders. Nothing is opened here.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The places to search, in order.
pub struct Places(Vec<Place>);

struct Place {
    /// As an error names it.
    name: String,
    folders: Vec<PathBuf>,
}

impl Places {
    /// The places of a machine: `preferred` folders, what the dynamic linker searches, toolkits,
    /// conda, and the wheels of the active environments. `variable` reads the environment, and
    /// `root` is `/`, for tests to put another.
    pub fn new(
        preferred: &[PathBuf],
        variable: impl Fn(&str) -> Option<OsString>,
        root: &Path,
    ) -> Places {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut places = Vec::new();
        let mut add = |name: String, folders: Vec<PathBuf>| places.push(Place { name, folders });
        if !preferred.is_empty() {
            add("PyTorch's folders".to_owned(), preferred.to_vec());
        }
        // The linker reads the variable as well. It is here for the choice of the CUDA version.
        if let Some(value) = set("LD_LIBRARY_PATH") {
            let folders = std::env::split_paths(&value);
            let folders = folders.filter(|folder| !folder.as_os_str().is_empty()).collect();
            add("LD_LIBRARY_PATH".to_owned(), folders);
        }
        // No folder: a bare name, which the linker looks up in its cache.
        add("the linker's cache".to_owned(), vec![PathBuf::new()]);

        let of_variable = |name: &str| {
            let folder = PathBuf::from(set(name)?);
            Some((format!("{name} {}", folder.display()), folder))
        };
        for (name, folder) in ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(of_variable) {
            add(name, toolkit_folders(&folder));
        }
        // Packages install versions side by side, and link these names to them.
        for name in ["/usr/local/cuda", "/usr/local/cuda-13", "/usr/local/cuda-12"] {
            let folder = root.join(name.trim_start_matches('/'));
            if name == "/usr/local/cuda" || folder.exists() {
                add(name.to_owned(), toolkit_folders(&folder));
            }
        }
        if let Some((name, prefix)) = of_variable("CONDA_PREFIX") {
            add(name, vec![prefix.join("lib"), prefix.join("targets/x86_64-linux/lib")]);
        }
        for (name, prefix) in ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(of_variable) {
            let sites = site_packages(&prefix);
            let folders = sites.iter().flat_map(|site| wheel_folders(site)).collect();
            add(format!("the wheels of {name}"), folders);
        }
        Places(places)
    }

    /// The files of this name, in order. A bare name stands where the linker searches: it may exist
    /// or not.
    pub fn files(&self, soname: &str) -> impl Iterator<Item = PathBuf> {
        let folders = self.0.iter().flat_map(|place| &place.folders);
        let files = folders.map(move |folder| (folder, folder.join(soname)));
        let is_there = |(folder, file): &(&PathBuf, PathBuf)| is_linkers(folder) || file.is_file();
        files.filter(is_there).map(|(_, file)| file)
    }

    /// CUDA major versions in the order to try them: the first folder that has the library of one
    /// decides, so that a user's LD_LIBRARY_PATH does; the newest first where none has it.
    pub fn majors(&self, allowed: &[u32], soname: impl Fn(u32) -> String) -> Vec<u32> {
        let folders: Vec<_> = self.0.iter().flat_map(|place| &place.folders).collect();
        let first = |major: u32| {
            let soname = soname(major);
            let has = |folder: &&PathBuf| !is_linkers(folder) && folder.join(&soname).is_file();
            folders.iter().position(has).unwrap_or(usize::MAX)
        };
        let mut majors = allowed.to_vec();
        majors.sort_by_cached_key(|major| (first(*major), Reverse(*major)));
        majors
    }

    /// The names of all places, for an error.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|place| &*place.name).collect();
        names.join(", ")
    }
}

fn is_linkers(folder: &Path) -> bool {
    folder.as_os_str().is_empty()
}

fn toolkit_folders(toolkit: &Path) -> Vec<PathBuf> {
    // The last one is CUPTI's.
    let folders = ["lib64", "targets/x86_64-linux/lib", "extras/CUPTI/lib64"];
    folders.map(|folder| toolkit.join(folder)).to_vec()
}

/// The `site-packages` of an environment, those of its newest Python first.
pub fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut pythons: Vec<(u32, PathBuf)> = ["lib", "lib64"]
        .into_iter()
        .flat_map(|lib| children(&prefix.join(lib)))
        .filter_map(|python| {
            // `python3.14`, and `python3.14t` without the global lock.
            let version = python.file_name()?.to_str()?.strip_prefix("python3.")?;
            let minor = version.trim_end_matches('t').parse().ok()?;
            Some((minor, python.join("site-packages")))
        })
        .collect();
    pythons.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    pythons.into_iter().map(|(_, site)| site).collect()
}

/// The folders of NVIDIA's wheels in a `site-packages`: `nvidia/cublas/lib` and others of CUDA 12,
/// `nvidia/cu13/lib` and `nvidia/cudnn/lib` of CUDA 13.
pub fn wheel_folders(site_packages: &Path) -> Vec<PathBuf> {
    let wheels = children(&site_packages.join("nvidia")).into_iter();
    wheels.map(|wheel| wheel.join("lib")).filter(|folder| folder.is_dir()).collect()
}

/// In the order of their names; none where the folder cannot be read.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
