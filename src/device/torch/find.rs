//! Where the user's PyTorch lies on disk, and which it is. Nothing is loaded here.

use crate::device::hearer::hearing;
use crate::device::libraries;
use crate::files;
use regex::Regex;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// Which PyTorch to take: `NIGHT_SWEEP_TORCH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorchChoice {
    /// That of the active virtual environment, else of the conda environment, else of `python3`.
    Auto,
    /// None, whether there is one or not.
    No,
    /// This one: an environment, its `torch` package, or `torch/lib`.
    Path(PathBuf),
}

impl FromStr for TorchChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(TorchChoice::Auto),
            "no" => Ok(TorchChoice::No),
            _ if Path::new(text).components().next().is_none() => Err(ALLOWED.to_owned()),
            _ => Ok(TorchChoice::Path(PathBuf::from(text))),
        }
    }
}

/// What `NIGHT_SWEEP_TORCH` may be.
pub const ALLOWED: &str = "auto, no, or the path of an environment, a torch package or torch/lib";

/// The oldest release whose C shim has what is called here.
pub(super) const OLDEST: (u32, u32) = (2, 6);

/// A PyTorch on disk, by what its `version.py` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The folder `torch` of its `site-packages`.
    pub package: PathBuf,
    /// `2.11.0+cu130`.
    pub version: String,
    /// The CUDA version that it was built for, `13.0`; none of a build for the CPU.
    pub cuda: Option<String>,
    /// The ROCm version that it was built for.
    hip: Option<String>,
}

/// What a search found, and each place that was looked at, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The PyTorch of the first place that has one.
    pub found: Option<Installation>,
    /// `VIRTUAL_ENV: /home/me/venv has no torch`.
    pub looked_at: Vec<String>,
}

impl Search {
    /// Looks for PyTorch as `choice` says, in the environment that `variable` reads. An error is
    /// one line: the path that was named holds none.
    pub fn run(
        choice: &TorchChoice,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Search, String> {
        match choice {
            TorchChoice::No => Ok(Search::default()),
            TorchChoice::Path(path) => {
                let package = package_in(path).ok_or_else(|| {
                    format!(
                        "{}: no PyTorch there; give an environment, its torch package or torch/lib",
                        path.display()
                    )
                })?;
                let looked_at = vec![path.display().to_string()];
                Ok(Search { found: Some(Installation::read(package)?), looked_at })
            }
            TorchChoice::Auto => Search::automatic(variable),
        }
    }

    fn automatic(variable: impl Fn(&str) -> Option<OsString>) -> Result<Search, String> {
        let mut looked_at = Vec::new();
        for name in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
            let Some(path) = variable(name).filter(|path| !path.is_empty()).map(PathBuf::from)
            else {
                looked_at.push(format!("{name} is not set"));
                continue;
            };
            match package_in(&path) {
                Some(package) => {
                    looked_at.push(format!("{name}: {}", path.display()));
                    return Ok(Search { found: Some(Installation::read(package)?), looked_at });
                }
                None => looked_at.push(format!("{name}: {} has no torch", path.display())),
            }
        }
        let found = match package_of("python3") {
            Ok(package) => {
                looked_at.push("python3".to_owned());
                Some(Installation::read(package)?)
            }
            Err(why) => {
                looked_at.push(format!("python3: {why}"));
                None
            }
        };
        Ok(Search { found, looked_at })
    }
}

impl Installation {
    fn read(package: PathBuf) -> Result<Self, String> {
        let path = package.join("version.py");
        let text = files::read_text(&path, files::SMALL_BYTES)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        // `__version__ = '2.11.0+cu130'`, `cuda: Optional[str] = '13.0'`, `hip = None`.
        let value = |name: &str| {
            let line = Regex::new(&format!(r"(?m)^{name}\b[^=\n]*=\s*'([^'\n]+)'")).ok()?;
            line.captures(&text)?.get(1).map(|value| value.as_str().to_owned())
        };
        let version = value("__version__")
            .ok_or_else(|| format!("{}: it names no version", path.display()))?;
        Ok(Installation { package, version, cuda: value("cuda"), hip: value("hip") })
    }

    /// The folder of its libraries.
    pub fn lib(&self) -> PathBuf {
        self.package.join("lib")
    }

    /// The folders that hold the CUDA libraries which came with it: its own, those of the wheels
    /// beside it, and that of a conda environment.
    pub fn library_folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.lib()];
        if let Some(site_packages) = self.package.parent() {
            folders.extend(libraries::wheel_folders(site_packages));
        }
        // <environment>/lib/python3.12/site-packages/torch
        let environment = self.package.ancestors().nth(4);
        if let Some(environment) = environment.filter(|it| it.join("conda-meta").is_dir()) {
            folders.push(environment.join("lib"));
        }
        folders
    }

    /// The major CUDA version that it was built for.
    pub fn cuda_major(&self) -> Option<u32> {
        self.cuda.as_ref()?.split('.').next()?.parse().ok()
    }

    /// Why it cannot serve; `driver_major` is the newest CUDA version of the driver, none on the
    /// CPU.
    pub(super) fn refusal(&self, driver_major: Option<u32>) -> Option<String> {
        let Installation { package, version, .. } = self;
        let (major, minor) = OLDEST;
        let what = if release(version).is_none_or(|release| release < OLDEST) {
            format!("is older than {major}.{minor}, the first that can be called without Python")
        } else if let Some(hip) = &self.hip {
            format!("is a build for ROCm {hip}; Night Sweep measures CUDA GPUs")
        } else {
            match (driver_major, &self.cuda, self.cuda_major()) {
                (Some(_), None, _) => "is a build for the CPU, without CUDA".to_owned(),
                (Some(driver), Some(cuda), Some(major)) if major > driver => {
                    format!("is a build for CUDA {cuda}, and the driver ends at CUDA {driver}")
                }
                _ => return None,
            }
        };
        Some(format!("PyTorch {version} in {} {what}", package.display()))
    }
}

/// `(2, 11)` of `2.11.0+cu130`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The torch package that a path names, or the environment there holds.
fn package_in(path: &Path) -> Option<PathBuf> {
    let is_package = |path: &Path| path.join("version.py").is_file() && path.join("lib").is_dir();
    let mut candidates = vec![path.to_owned(), path.join("torch")];
    if path.ends_with("lib") {
        candidates.extend(path.parent().map(Path::to_owned));
    }
    let sites = libraries::site_packages(path);
    candidates.extend(sites.iter().map(|site| site.join("torch")));
    candidates.into_iter().find(|candidate| is_package(candidate))
}

/// The torch package that an interpreter would import, without importing it; or why there is none.
fn package_of(python: &str) -> Result<PathBuf, String> {
    // The working directory is no place to import from: it may hold a folder called torch.
    const ASK: &str = "import importlib.util, sys\n\
         sys.path = [path for path in sys.path if path]\n\
         spec = importlib.util.find_spec('torch')\n\
         print(spec.origin if spec and spec.origin else '')";
    let output = hearing(Command::new(python)).args(["-c", ASK]).output();
    let output = output.map_err(|error| format!("it does not start ({})", error.kind()))?;
    let origin = String::from_utf8_lossy(&output.stdout);
    let package = Path::new(origin.trim()).parent().filter(|package| package.is_absolute());
    package.map(Path::to_owned).ok_or_else(|| "it has no torch".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A tree with the files of a wheel that are read here.
    fn environment(version_py: &str) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("lib/python3.12/site-packages/torch");
        fs::create_dir_all(package.join("lib")).unwrap();
        fs::create_dir_all(package.join("../nvidia/cu13/lib")).unwrap();
        fs::write(package.join("version.py"), version_py).unwrap();
        (root, package)
    }

    fn version_py(version: &str, cuda: &str, hip: &str) -> String {
        format!(
            "from typing import Optional\n__all__ = ['__version__', 'cuda', 'hip']\n\
             __version__ = '{version}'\ndebug = False\ncuda: Optional[str] = {cuda}\n\
             git_version = '0123'\nhip: Optional[str] = {hip}\n"
        )
    }

    #[test]
    fn an_environment_a_package_and_its_lib_name_the_same_pytorch() {
        let (root, package) = environment(&version_py("2.11.0+cu130", "'13.0'", "None"));
        let site_packages = package.parent().unwrap();
        for path in [root.path(), site_packages, &package, &package.join("lib")] {
            let search = Search::run(&TorchChoice::Path(path.to_owned()), |_| None).unwrap();
            let found = search.found.unwrap();
            assert_eq!((&*found.version, found.cuda_major()), ("2.11.0+cu130", Some(13)));
            assert_eq!(found.package, package);
            let folders = [package.join("lib"), site_packages.join("nvidia/cu13/lib")];
            assert_eq!(found.library_folders(), folders);
        }
        fs::create_dir(root.path().join("conda-meta")).unwrap();
        let conda = Search::run(&TorchChoice::Path(root.path().to_owned()), |_| None).unwrap();
        let folders = conda.found.unwrap().library_folders();
        assert_eq!(folders.last(), Some(&root.path().join("lib")));
        let error = Search::run(&TorchChoice::Path(root.path().join("lib")), |_| None).unwrap_err();
        assert!(error.contains("no PyTorch there"), "{error}");
    }

    #[test]
    fn the_pytorch_of_the_newest_python_is_taken() {
        let (root, package) = environment(&version_py("2.11.0", "None", "None"));
        let older = root.path().join("lib/python3.9/site-packages/torch");
        fs::create_dir_all(older.join("lib")).unwrap();
        fs::write(older.join("version.py"), version_py("2.7.1", "None", "None")).unwrap();
        let search = Search::run(&TorchChoice::Path(root.path().to_owned()), |_| None).unwrap();
        assert_eq!(search.found.unwrap().package, package);
    }

    #[test]
    fn the_active_environment_comes_first_and_every_place_is_named() {
        let (venv, package) = environment(&version_py("2.7.1", "None", "None"));
        let (conda, _) = environment(&version_py("2.8.0", "None", "None"));
        let in_both = |name: &str| match name {
            "VIRTUAL_ENV" => Some(venv.path().into()),
            _ => Some(conda.path().into()),
        };
        let search = Search::run(&TorchChoice::Auto, in_both).unwrap();
        assert_eq!(search.found.unwrap().package, package);
        let empty = tempfile::tempdir().unwrap();
        let conda_only = |name: &str| match name {
            "VIRTUAL_ENV" => Some(empty.path().into()),
            _ => Some(conda.path().into()),
        };
        let search = Search::run(&TorchChoice::Auto, conda_only).unwrap();
        assert_eq!(search.found.unwrap().version, "2.8.0");
        assert!(search.looked_at[0].ends_with("has no torch"), "{:?}", search.looked_at);
        assert_eq!(Search::run(&TorchChoice::No, in_both), Ok(Search::default()));
    }

    #[test]
    fn what_cannot_serve_says_why() {
        let of = |version: &str, cuda: &str, hip: &str| {
            let (_root, package) = environment(&version_py(version, cuda, hip));
            Installation::read(package).unwrap()
        };
        for (installation, driver, says) in [
            (of("2.5.1+cu124", "'12.4'", "None"), None, Some("is older than 2.6")),
            (of("nightly", "'12.4'", "None"), None, Some("is older than 2.6")),
            (of("2.9.0+rocm6.4", "None", "'6.4'"), Some(13), Some("a build for ROCm 6.4")),
            (of("2.9.0+cpu", "None", "None"), Some(13), Some("a build for the CPU")),
            (of("2.11.0+cu130", "'13.0'", "None"), Some(12), Some("the driver ends at CUDA 12")),
            (of("2.9.0+cpu", "None", "None"), None, None),
            (of("2.11.0+cu130", "'13.0'", "None"), None, None),
            (of("2.6.0+cu124", "'12.4'", "None"), Some(13), None),
            (of("2.12.0.dev20260101+cu130", "'13.0'", "None"), Some(13), None),
        ] {
            let refusal = installation.refusal(driver);
            assert_eq!(refusal.is_some(), says.is_some(), "{refusal:?}");
            assert!(refusal.unwrap_or_default().contains(says.unwrap_or_default()));
        }
    }

    #[test]
    fn a_choice_is_a_word_or_a_path() {
        assert_eq!("auto".parse(), Ok(TorchChoice::Auto));
        assert_eq!("no".parse(), Ok(TorchChoice::No));
        assert_eq!("./venv".parse(), Ok(TorchChoice::Path("./venv".into())));
        assert!("".parse::<TorchChoice>().is_err());
    }
}
