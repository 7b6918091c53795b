//! A bad spec, through a bench: refused in one line that says where, before anything is allocated.

use crate::sandbox::{SPEC, Sandbox, assert_contains, bench, finish};
use crate::support::assert_valid;

/// Runs G3 on [`SPEC`] with `from` replaced by `to`, and returns the refusal behind the path of the
/// spec.
fn refusal(from: &str, to: &str) -> String {
    assert_eq!(SPEC.matches(from).count(), 1, "{from}");
    refusal_of(&SPEC.replace(from, to))
}

fn refusal_of(spec: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write_spec(spec);
    let line = sandbox.g3(&[]).refused();
    sandbox.assert_untouched();
    let path = format!("night-sweep: {}", sandbox.spec().display());
    line.strip_prefix(&path).unwrap_or(&line).to_owned()
}

/// tests/spec has them all.
#[test]
fn a_wrong_key_or_value_is_refused_where_it_stands() {
    for (from, to, at, what) in [
        ("K_range:", "K_rang:", ":13:5: ", "did you mean \"K_range\"?"),
        ("M: 16", "M: -16", ":12:16: ", "an integer from 1 "),
        ("type: gemm_k_dense", "type: [gemm]", ":10:11: ", "a string"),
    ] {
        let line = refusal(from, to);
        assert!(line.starts_with(at), "{line}");
        assert_contains(&line, &[what, "G3_gemm_k_dense"]);
    }
}

#[test]
fn sizes_that_fit_nowhere_are_refused() {
    // Below the limit of a tensor, and above what any host has: 2.2 TB.
    let line = refusal("M: 16, N: 16", "M: 1048570, N: 1048570");
    assert_contains(&line, &["2199.0 GB", "smaller"]);
}

#[test]
fn a_file_cut_short_is_refused_and_so_is_none() {
    let inside = SPEC.find(", N: 16").unwrap();
    let line = refusal_of(&SPEC[..inside]);
    assert_contains(&line, &["not valid YAML"]);
    let line = refusal_of(&SPEC[..SPEC.find("    K_range").unwrap()]);
    assert_contains(&line, &["\"K_range\" is missing"]);
    let line = refusal_of(&SPEC[..SPEC.find("  G3_").unwrap()]);
    assert_contains(&line, &["there are S1_sdpa_dense_sweep"]);
    let line = refusal_of("");
    assert!(line.starts_with(":1:1: ") && line.contains("\"experiments\" is missing"), "{line}");

    let sandbox = Sandbox::new();
    let line = sandbox.g3_with(&[("NIGHT_SWEEP_SPEC", "nosuch.yaml")], &[]).refused();
    assert_contains(&line, &["nosuch.yaml: cannot be read: No such file"]);
    sandbox.assert_untouched();
}

/// Nine lines that stand for 10^9 items, and a short text that stands again and again for a long
/// one.
#[test]
fn aliases_that_stand_for_gigabytes_are_refused() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        laughs += &format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", "));
    }
    let long = "x".repeat(100_000);
    let texts = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 100_000].join(","));
    let names = (0..20_000).map(|i| format!("  X{i}: {{type: *a}}\n"));
    let types = format!("experiments:\n  X: {{type: &a {long}}}\n{}", names.collect::<String>());
    for bomb in [laughs, texts, types] {
        let line = refusal_of(&bomb);
        assert_contains(&line, &["more than 16 MB once its aliases are followed"]);
        assert!(line.len() < 300, "{line}");
    }
    // An anchor or two are fine.
    let sandbox = Sandbox::new();
    sandbox.write_spec(&SPEC.replacen("[fp16]", "&types [fp16]", 1));
    sandbox.g3(&["--list"]).succeeded();
}

#[test]
fn a_file_that_is_no_spec_by_its_size_is_not_read() {
    let sandbox = Sandbox::new();
    let path = sandbox.spec();
    std::fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
    for (path, why) in [(path.to_str().unwrap(), "larger than 1 MB"), ("/dev/zero", "is a device")]
    {
        let line = sandbox.g3_with(&[("NIGHT_SWEEP_SPEC", path)], &[]).refused();
        assert_contains(&line, &[path, why]);
    }
    let folder = sandbox.dir().to_str().unwrap();
    let line = sandbox.g3_with(&[("NIGHT_SWEEP_SPEC", folder)], &[]).refused();
    assert_contains(&line, &["cannot be read"]);
    sandbox.assert_untouched();
}

#[test]
fn names_that_lead_out_of_a_folder_are_refused() {
    let names =
        ["../../G3_x", "G3/x", "..", ".G3", "/G3", "'G3\\n'", "'G3 x'", "'Gä'", "\"G3\\0\""];
    for name in names {
        let spec = SPEC.replace("G3_gemm_k_dense:", &format!("{name}:"));
        let line = refusal_of(&spec);
        assert_contains(&line, &["the name stands in ids and folders"]);
    }
    for name in ["..", ".", "a/b", "../x"] {
        let line = refusal_of(&format!(
            "experiments:
  HET1_x:
    type: hetero_batching
    total_N: 8
    H: 1
    patterns: {{{name}: {{groups: [{{dim: 8, count: 1}}]}}}}
"
        ));
        assert_contains(&line, &["a pattern's name stands in ids"]);
    }
}

#[test]
fn dtypes_that_a_cpu_has_are_measured_and_the_others_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write_spec(
        "experiments: {G3_x: {type: gemm_k_dense, dtypes: [fp16, tf32, fp32, fp8_e4m3], layout: nt,
           shape: {M: 16, N: 16}, K_range: [15, 16], warmup: 1, measure: 2, trials: 1}}",
    );
    let mut command = sandbox.command(bench("g3_gemm_k_dense"));
    command.arg("--bench").env("NIGHT_SWEEP_EXPERIMENT", "G3_x");
    let ran = finish(command).succeeded();
    assert_valid(&ran.folder());
    let raw = ran.json("raw");
    for row in raw["measurements"].as_array().unwrap() {
        let (dtype, error) = (row["dtype"].as_str().unwrap(), row["error"].as_str());
        match dtype {
            "fp16" | "fp32" => assert!(error.is_none() && row["timing"]["p50"].is_f64(), "{row}"),
            _ => {
                let says = "the CPU multiplies fp16, bf16 and fp32";
                assert!(error.unwrap().starts_with(dtype) && error.unwrap().ends_with(says));
                assert_eq!(row["error_kind"], "unsupported");
            }
        }
        let is_padded = dtype == "fp8_e4m3" && row["shape"]["K"] == 15;
        assert_eq!(row["variants"]["on_the_fly"]["error"].is_string(), is_padded, "{row}");
    }
    assert_eq!(raw["measurements"].as_array().unwrap().len(), 8);
}
