//! Every kernel file compiles for every architecture we name, wherever libnvrtc is; it needs no
//! GPU.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use night_sweep::device::cuda::{
    DecodeVariant, Define, FlashTiling, FlashVariant, MemEfficientTile, MemEfficientVariant,
    SOURCES, compile,
};
use night_sweep::workload::shape::DType;

/// A100, its smaller sisters, Ada, Hopper, and their shared memory per multiprocessor.
const ARCHITECTURES: [(&str, usize); 4] =
    [("sm_80", 164 << 10), ("sm_86", 100 << 10), ("sm_89", 100 << 10), ("sm_90", 228 << 10)];
const VARIANTS: [(DType, bool); 4] =
    [(DType::Fp16, false), (DType::Bf16, true), (DType::Fp16, true), (DType::Bf16, false)];

/// What to compile: a file, its macros, and the architecture.
type Job = (&'static str, Vec<Define>, &'static str);

/// Every file without macros, every tile of NS_MEM_EFFICIENT, every head_dim of NS_FLASH
/// and some of NS_FLASH_DECODE; element types, masks and architectures take turns.
fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (architecture, _) in ARCHITECTURES {
        let whole = SOURCES
            .iter()
            .filter(|(file, _)| !file.starts_with("flash") && *file != "mem_efficient.cu");
        jobs.extend(whole.map(|(file, _)| (*file, vec![], architecture)));
        for tile in MemEfficientTile::ALL {
            let (dtype, causal) = VARIANTS[jobs.len() % 4];
            let variant = MemEfficientVariant { tile, dtype, causal };
            jobs.push(("mem_efficient.cu", variant.defines(), architecture));
        }
    }
    let flash = |head_dim: usize, turn: usize, (dtype, causal)| {
        let (architecture, shared_bytes_per_sm) = ARCHITECTURES[turn % 4];
        let unpadded = !head_dim.is_multiple_of(8);
        let tiling =
            FlashTiling::choose(head_dim.next_multiple_of(8), shared_bytes_per_sm).unwrap();
        let variant = FlashVariant { head_dim, unpadded, dtype, causal, tiling };
        ("flash.cu", variant.defines(), architecture)
    };
    jobs.extend((1..=32).map(|turn| flash(8 * turn, turn, VARIANTS[turn / 4 % 4])));
    // NS_FLASH_UNPADDED: units of 8 and of 4 bytes, and rows that are moved.
    let misaligned = [100, 106, 107, 255].into_iter().enumerate();
    jobs.extend(misaligned.map(|(turn, head_dim)| flash(head_dim, turn, VARIANTS[turn])));
    // NS_FLASH_DECODE: every alignment of rows, the smallest and the largest.
    let decode = [1, 4, 8, 64, 106, 107, 108, 112, 128, 200, 255, 256].into_iter().enumerate();
    jobs.extend(decode.map(|(turn, head_dim)| {
        let (architecture, shared_bytes_per_sm) = ARCHITECTURES[turn % 4];
        let (dtype, group) = (VARIANTS[turn % 4].0, [1, 4][turn / 4 % 2]);
        let variant = DecodeVariant::choose(head_dim, group, dtype, shared_bytes_per_sm);
        ("flash_decode.cu", variant.defines(), architecture)
    }));
    jobs
}

#[test]
#[ignore = "needs libnvrtc"]
fn every_kernel_compiles_for_every_architecture() {
    let cache = tempfile::tempdir().unwrap();
    // SAFETY: this test binary has one test, and its threads start below: no other thread reads the
    // environment.
    unsafe { std::env::set_var("XDG_CACHE_HOME", cache.path()) };
    let jobs = jobs();
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let share = jobs.iter().skip(thread).step_by(threads);
            scope.spawn(move || {
                for (file, defines, architecture) in share {
                    let cubin = compile(file, defines, architecture).unwrap();
                    assert!(cubin.starts_with(b"\x7fELF"), "{file} for {architecture} is no cubin");
                }
            });
        }
    });
    let cached = std::fs::read_dir(cache.path().join("night-sweep")).unwrap().count();
    assert_eq!(cached, jobs.len(), "each variant has a place of its own in the cache");
}
