//! Every kernel file compiles for every architecture we name, wherever libnvrtc is; it needs no GPU.

use night_sweep::device::cuda::{SOURCES, compile};

/// A100, its smaller sisters, Ada, Hopper.
const ARCHITECTURES: [&str; 4] = ["sm_80", "sm_86", "sm_89", "sm_90"];

#[test]
#[ignore = "needs libnvrtc"]
fn every_kernel_compiles_for_every_architecture() {
    let cache = tempfile::tempdir().unwrap();
    // SAFETY: this test binary has one test, so no other thread reads the environment.
    unsafe { std::env::set_var("XDG_CACHE_HOME", cache.path()) };
    for (file, _) in SOURCES {
        for architecture in ARCHITECTURES {
            let cubin = compile(file, architecture).unwrap();
            assert!(cubin.starts_with(b"\x7fELF"), "{file} for {architecture} is no cubin");
        }
    }
    let cached = std::fs::read_dir(cache.path().join("night-sweep")).unwrap().count();
    assert_eq!(cached, SOURCES.len() * ARCHITECTURES.len());
}
