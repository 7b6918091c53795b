//! The search on trees of empty files.

use super::*;
use std::collections::HashMap;

/// A machine: files below a folder, and an environment whose values are relative to it.
struct Machine {
    root: tempfile::TempDir,
    variables: HashMap<&'static str, OsString>,
}

impl Machine {
    fn new(variables: &[(&'static str, &[&str])], files: &[&str]) -> Machine {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let value = |folders: &[&str]| {
            std::env::join_paths(folders.iter().map(|folder| root.path().join(folder))).unwrap()
        };
        let variables = variables.iter().map(|(name, folders)| (*name, value(folders))).collect();
        Machine { root, variables }
    }

    fn places(&self, preferred: &[&str]) -> Places {
        let preferred: Vec<_> = preferred.iter().map(|at| self.root.path().join(at)).collect();
        Places::new(&preferred, |name| self.variables.get(name).cloned(), self.root.path())
    }

    /// What is found, relative to the root; a bare name is as it is.
    fn files(&self, preferred: &[&str], soname: &str) -> Vec<String> {
        let relative = |file: PathBuf| {
            let file = file.strip_prefix(self.root.path()).unwrap_or(&file).to_path_buf();
            file.to_str().unwrap().to_owned()
        };
        self.places(preferred).files(soname).map(relative).collect()
    }

    fn majors(&self, preferred: &[&str], allowed: &[u32]) -> Vec<u32> {
        self.places(preferred).majors(allowed, |major| format!("libcublas.so.{major}"))
    }
}

#[test]
fn wheels_of_cuda_12_and_13_are_found_in_the_active_environment() {
    let twelve = "venv/lib/python3.11/site-packages/nvidia/cublas/lib/libcublas.so.12";
    let thirteen = "venv/lib/python3.11/site-packages/nvidia/cu13/lib/libcublas.so.13";
    let cudnn = "venv/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9";
    let machine = Machine::new(&[("VIRTUAL_ENV", &["venv"])], &[twelve, thirteen, cudnn]);
    assert_eq!(machine.files(&[], "libcublas.so.12"), ["libcublas.so.12", twelve]);
    assert_eq!(machine.files(&[], "libcublas.so.13"), ["libcublas.so.13", thirteen]);
    assert_eq!(machine.files(&[], "libcudnn.so.9"), ["libcudnn.so.9", cudnn]);
    let inactive = Machine::new(&[], &[twelve, thirteen, cudnn]);
    assert_eq!(inactive.files(&[], "libcublas.so.13"), ["libcublas.so.13"]);
}

#[test]
fn the_newest_python_of_an_environment_comes_first() {
    let of = |python: &str| {
        format!("venv/lib/{python}/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
    };
    let [old, new, newest] = ["python3.9", "python3.12", "python3.14t"].map(of);
    let machine = Machine::new(&[("VIRTUAL_ENV", &["venv"])], &[&old, &new, &newest]);
    let found = machine.files(&[], "libnvrtc.so.12");
    assert_eq!(found, ["libnvrtc.so.12".to_owned(), newest, new, old]);
}

#[test]
fn toolkit_comes_before_conda_and_conda_before_wheels() {
    let files = [
        "opt/cuda/lib64/libcublas.so.13",
        "usr/local/cuda/targets/x86_64-linux/lib/libcublas.so.13",
        "conda/lib/libcublas.so.13",
        "conda/targets/x86_64-linux/lib/libcublas.so.13",
        "venv/lib/python3.11/site-packages/nvidia/cu13/lib/libcublas.so.13",
        "conda/lib/python3.12/site-packages/nvidia/cu13/lib/libcublas.so.13",
    ];
    let variables: [(&str, &[&str]); 3] =
        [("VIRTUAL_ENV", &["venv"]), ("CONDA_PREFIX", &["conda"]), ("CUDA_HOME", &["opt/cuda"])];
    let machine = Machine::new(&variables, &files);
    assert_eq!(machine.files(&[], "libcublas.so.13")[1..], files);
}

#[test]
fn pytorchs_folders_come_first_and_then_ld_library_path() {
    let torch = "venv/lib/python3.11/site-packages/torch/lib";
    let (in_torch, given) = (format!("{torch}/libnvrtc.so.13"), "given/libnvrtc.so.13");
    let toolkit = "usr/local/cuda/lib64/libnvrtc.so.13";
    let variables: [(&str, &[&str]); 1] = [("LD_LIBRARY_PATH", &["nothing", "given"])];
    let machine = Machine::new(&variables, &[&in_torch, given, toolkit]);
    let found = machine.files(&[torch], "libnvrtc.so.13");
    assert_eq!(found, [&in_torch, given, "libnvrtc.so.13", toolkit]);
}

#[test]
fn the_first_folder_that_has_the_library_decides_the_cuda_version() {
    let files = ["given/libcublas.so.12", "usr/local/cuda/lib64/libcublas.so.13"];
    let given: [(&str, &[&str]); 1] = [("LD_LIBRARY_PATH", &["given"])];
    assert_eq!(Machine::new(&given, &files).majors(&[], &[13, 12]), [12, 13]);
    let machine = Machine::new(&[], &files);
    assert_eq!(machine.majors(&[], &[13, 12]), [13, 12]);
    assert_eq!(machine.majors(&["given"], &[13, 12]), [12, 13]);
    assert_eq!(machine.majors(&[], &[12]), [12], "the driver runs no other");
    assert_eq!(Machine::new(&[], &[]).majors(&[], &[13, 12]), [13, 12]);
}

#[test]
fn the_places_are_named_in_order() {
    let variables: [(&str, &[&str]); 3] =
        [("VIRTUAL_ENV", &["venv"]), ("LD_LIBRARY_PATH", &["a"]), ("CUDA_PATH", &["cuda"])];
    let machine = Machine::new(&variables, &["usr/local/cuda-12/lib64/libcublas.so.12"]);
    let names = machine.places(&["torch"]).names();
    let names = names.replace(machine.root.path().to_str().unwrap(), "");
    assert_eq!(
        names,
        "PyTorch's folders, LD_LIBRARY_PATH, the linker's cache, CUDA_PATH /cuda, /usr/local/cuda, \
         /usr/local/cuda-12, the wheels of VIRTUAL_ENV /venv"
    );
    let variables: [(&str, &[&str]); 1] = [("CUDA_HOME", &[])];
    let empty = Machine::new(&variables, &[]);
    assert_eq!(empty.places(&[]).names(), "the linker's cache, /usr/local/cuda");
}
