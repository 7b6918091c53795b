//! The energy of launches: by the counter of a GPU, and nowhere else.

use crate::sandbox::{Ran, Sandbox, TRIALS, assert_contains};
use crate::support::assert_valid;
use serde_json::Value;

const ENERGY: (&str, &str) = ("NIGHT_SWEEP_ENERGY", "yes");

fn about_energy(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.contains("energy")).collect()
}

#[test]
fn the_cpu_has_no_energy_counter_and_the_run_says_so_once() {
    let sandbox = Sandbox::new();
    let ran = sandbox.g3_with(&[ENERGY], &["K8$"]).succeeded();
    assert_eq!(
        about_energy(&ran),
        ["night-sweep: there is no energy counter on the CPU; the run goes on without energy"]
    );
    let raw = ran.json("raw");
    assert_eq!(raw["metadata"]["status"], "complete");
    assert!(raw["measurements"][0].get("energy").is_none(), "{raw}");
    let run = sandbox.run(&ran.run_id());
    assert_eq!((run.trials.len(), run.energy.len()), (TRIALS, 0));

    // Once for all experiments of a process; by its flag too, and not unless it is asked for.
    let several = ["run", "--all", "--energy"];
    for (value, lines) in [("yes", 1), ("no", 0)] {
        let ran = sandbox.night_sweep(&[&several[..], &[value, "--", "d64$|K8$"]].concat());
        assert_eq!(about_energy(&ran.succeeded()).len(), lines, "{value}");
    }
}

/// Joules of a launch, how far off in per cent, mean and polled watts.
fn energy_of(row: &Value) -> [f64; 4] {
    let energy = &row["energy"];
    let value = |key: &str| energy[key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"));
    assert!((1.5..3.0).contains(&value("seconds")), "{energy}");
    let per_launch_s = value("seconds") / value("launches");
    let p50_s = row["timing"]["p50"].as_f64().unwrap() * 1e-3;
    // A card that works for long may have another clock than in a trial.
    assert!((0.7..1.6).contains(&(per_launch_s / p50_s)), "{per_launch_s} s, {p50_s} s");
    let joules = value("joules_per_launch");
    assert!((joules / per_launch_s / value("mean_watts") - 1.0).abs() < 1e-6, "{energy}");
    [joules, value("uncertainty_pct"), value("mean_watts"), value("polled_watts")]
}

/// On an H100 it is 0.149 J, on other GPUs another energy; what is tested holds on all.
#[test]
#[ignore = "needs a CUDA GPU"]
fn the_energy_of_a_gemm_is_the_same_twice_and_agrees_with_the_power() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(
        "experiments: {G3_gemm_k_dense: {type: gemm_k_dense, dtypes: [fp16], shape: {M: 4096, \
         N: 4096}, K_values: [4096], warmup: 20, measure: 100, trials: 2}}",
    );
    let energies = ["first", "second"].map(|run_id| {
        let set = [("NIGHT_SWEEP_DEVICE", "cuda"), ("NIGHT_SWEEP_RUN_ID", run_id), ENERGY];
        let ran = sandbox.g3_with(&set, &[]).succeeded();
        assert!(about_energy(&ran).is_empty(), "{}", ran.stderr);
        assert_valid(&ran.folder());
        let row = &ran.json("raw")["measurements"][0];
        eprintln!("{run_id}: {}", row["energy"]);
        energy_of(row)
    });
    for [_, uncertainty_pct, mean_watts, polled_watts] in energies {
        assert!(uncertainty_pct < 2.0, "{energies:?}");
        assert!((polled_watts / mean_watts - 1.0).abs() < 0.15, "{energies:?}");
    }
    let [first, second] = energies.map(|[joules, ..]| joules);
    assert!((first / second - 1.0).abs() < 0.02, "{energies:?}");
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_resumed_run_measures_the_energies_that_it_lacks() {
    let sandbox = Sandbox::new();
    let cuda = ("NIGHT_SWEEP_DEVICE", "cuda");
    let first = [cuda, ("NIGHT_SWEEP_RUN_ID", "night"), ("NIGHT_SWEEP_BURN_IN", "0")];
    sandbox.g3_with(&first, &[]).succeeded();
    assert!(sandbox.run("night").energy.is_empty());
    let resumed = [cuda, ("NIGHT_SWEEP_RESUME", "night"), ("NIGHT_SWEEP_BURN_IN", "0"), ENERGY];
    sandbox.g3_with(&resumed, &[]).succeeded();
    let rows = |run: &night_sweep::journal::Run| {
        run.header.cases.iter().filter(|case| case.variant.is_none()).count()
    };
    let once = sandbox.run("night");
    assert_eq!((once.energy.len(), once.trials.len()), (rows(&once), once.header.cases.len() * 2));

    // One is lost; the others are kept.
    let text = std::fs::read_to_string(sandbox.journal("night")).unwrap();
    let is_first = |line: &str| line.contains("\"line\":\"energy\"") && line.contains("/K8\"");
    let kept: String = text.lines().filter(|l| !is_first(l)).flat_map(|l| [l, "\n"]).collect();
    assert_ne!(kept, text);
    std::fs::write(sandbox.journal("night"), kept).unwrap();
    let ran = sandbox.g3_with(&resumed, &[]).succeeded();
    let twice = sandbox.run("night");
    assert_eq!(twice.trials, once.trials);
    assert_eq!(twice.energy.len(), once.energy.len());
    let before = once.energy.iter().filter(|energy| !energy.case_id.ends_with("/K8"));
    assert!(before.eq(&twice.energy[..once.energy.len() - 1]));
    assert!(twice.energy.last().unwrap().case_id.ends_with("/K8"));
    assert_contains(&ran.stdout, &["5 points, 0 failed"]);
}
