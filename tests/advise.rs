//! Advice from runs that never happened, against what can be worked out by hand.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[allow(dead_code)]
mod synthetic;

use night_sweep::advise::budget::Plan;
use night_sweep::advise::input::{self, Item};
use night_sweep::advise::recommend::recommend;
use night_sweep::advise::times::{Operation, Times};
use night_sweep::advise::{Advice, Request, advise};
use night_sweep::results::raw::{Raw, Row};
use night_sweep::workload::error::ErrorKind;
use proptest::prelude::*;
use std::fs;
use support::{Ran, assert_contains, night_sweep};
use synthetic::{Outcome, g3_case, journal};
use tempfile::TempDir;

fn raw(group: &str, outcomes: &[Outcome]) -> Raw {
    let (header, lines) = journal(group, outcomes);
    synthetic::results(&synthetic::run(header, &lines)).0
}

/// A sweep of K with these times in ms.
fn sweep(times: impl IntoIterator<Item = (usize, f64)>) -> Raw {
    let outcome = |(k, ms): (usize, f64)| (g3_case(64, 64, k), Ok(ms));
    raw("G3", &times.into_iter().map(outcome).collect::<Vec<_>>())
}

fn request(dims: &str) -> Request {
    let items = input::dims(dims).unwrap();
    Request { operation: None, curve: None, items, max_overhead: 0.1, budget: None }
}

fn error(runs: &[Raw], request: &Request) -> String {
    let error = format!("{:#}", advise(runs, request).unwrap_err());
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn a_cliff_is_padded_and_the_reason_given() {
    let advice = advise(&[raw("G3", &synthetic::g3())], &request("107,112")).unwrap();
    assert_eq!((advice.operation, &*advice.curve), (Operation::GemmK, "fp16"));
    assert_eq!((advice.measured_dims, advice.run_ids.len()), ([64, 160], 1));
    let [padded, kept] = &advice.recommendations[..] else { panic!("two answers") };
    assert_eq!(padded.recommended_dim, Some(112));
    // The noise is at most 3 %, and half of it below 0.4 %.
    let true_ms = 1.4e-4 * (2.7 * 107.0 - 112.0);
    let [low, high] = padded.saved_ci95_ms.unwrap();
    assert!(low < padded.saved_ms.unwrap() && padded.saved_ms.unwrap() < high);
    assert!((padded.saved_ms.unwrap() / true_ms - 1.0).abs() < 0.02, "{padded:?}");
    assert!((padded.memory_overhead_pct.unwrap() - 100.0 * 5.0 / 107.0).abs() < 1e-9);
    let change = padded.kernel_change.as_ref().unwrap();
    assert_eq!([&change.from[..], &change.to].concat(), ["synthetic_align1", "synthetic_align8"]);
    assert!(padded.reason.starts_with("a cliff: 2.5"), "{}", padded.reason);
    assert_eq!((kept.recommended_dim, kept.saved_ms), (Some(112), Some(0.0)));
    assert_eq!(kept.reason, "nothing measured up to 123 is faster");
}

#[test]
fn what_may_save_nothing_is_not_recommended() {
    let mut noisy = sweep([(100, 1.0), (104, 0.9), (108, 0.95)]);
    let interval = |raw: &mut Raw, at: usize, interval: [f64; 2]| {
        let Row::Measured(row) = &mut raw.measurements[at] else { panic!("it has a time") };
        row.ci95_p50 = Some(interval);
    };
    interval(&mut noisy, 0, [0.98, 1.02]);
    interval(&mut noisy, 1, [0.7, 1.1]);
    let recommended = |raw: &Raw| {
        let mut advice = advise(std::slice::from_ref(raw), &request("100")).unwrap();
        advice.recommendations.remove(0)
    };
    // Not the fastest, whose interval reaches beyond what 100 takes, but the one that is sure.
    interval(&mut noisy, 2, [0.94, 0.96]);
    assert_eq!(recommended(&noisy).recommended_dim, Some(108));
    interval(&mut noisy, 2, [0.9, 1.0]);
    let kept = recommended(&noisy);
    assert_eq!((kept.recommended_dim, kept.saved_ci95_ms), (Some(100), Some([0.0, 0.0])));
    assert!(kept.reason.ends_with("nothing measured up to 110 is sure to be faster"), "{kept:?}");
}

#[test]
fn what_was_not_measured_is_said_and_not_guessed() {
    let advice = advise(&[raw("S1", &synthetic::s1())], &request("63,129,160,200")).unwrap();
    let [below, between, last, above] = &advice.recommendations[..] else { panic!("four answers") };
    // 63 may become 69: some of that was measured, 63 was not.
    assert_eq!((below.recommended_dim, below.p50_ms, below.saved_ms), (Some(64), None, None));
    assert_eq!(below.reason, "was not measured; 64 is the best up to 69");
    assert_eq!((between.recommended_dim, between.saved_ci95_ms), (Some(136), None));
    assert_eq!(last.recommended_dim, Some(160));
    assert_eq!(last.reason, "nothing above it was measured up to 176");
    assert_eq!((above.recommended_dim, above.recommended_p50_ms), (None, None));
    assert_eq!(above.reason, "outside what was measured, 64 to 160");

    let other = Request { curve: Some("batch 1, seq_len 4096".to_owned()), ..request("100") };
    let failed = advise(&[raw("S1", &synthetic::s1())], &other).unwrap().recommendations.remove(0);
    assert_eq!(failed.reason, "has no time (illegal address); 104 is the best up to 110");
}

#[test]
fn runs_are_joined_if_they_measured_the_same_thing() {
    let low = sweep((64..=80).map(|k| (k, k as f64)));
    let high = sweep((80..=96).map(|k| (k, 2.0 * k as f64)));
    let joined = Times::of(&[low.clone(), high.clone()], None, None).unwrap();
    assert_eq!(joined.range(), [64, 96]);
    assert!(joined.at(80).unwrap().p50_ms < 100.0, "the first run counts");
    assert!(joined.at(81).unwrap().p50_ms > 100.0);

    let mut elsewhere = high.clone();
    elsewhere.metadata.device_name = Some("Other GPU".to_owned());
    let says = error(&[low.clone(), elsewhere], &request("70"));
    assert_contains(&says, &["Synthetic GPU", "Other GPU"]);
    let other = raw("G3", &[(g3_case(128, 64, 96), Ok(1.0))]);
    let says = error(&[low, other], &request("70"));
    assert_contains(&says, &["differ in more than K"]);
}

#[test]
fn operations_and_curves_are_found_by_name() {
    let runs =
        [raw("S2", &synthetic::s2()), raw("G4", &synthetic::g4()), raw("P1", &synthetic::p1())];
    assert_eq!(advise(&runs, &request("107")).unwrap().curve, "AUTO");
    let of = |operation, curve: Option<&str>| Request {
        operation: Some(operation),
        curve: curve.map(str::to_owned),
        ..request("107")
    };
    let found = advise(&runs, &of(Operation::GemmN, Some("bf16 M=4096"))).unwrap();
    assert_eq!((found.operation, &*found.curve), (Operation::GemmN, "bf16 M=4096"));
    assert_eq!(advise(&runs, &of(Operation::GemmK, None)).unwrap().curve, "GEMM reduction");
    let says = error(&runs, &of(Operation::GemmN, Some("M=9")));
    assert!(
        says.contains("fp16 M=1024 | fp16 M=4096") && says.ends_with("GEMM projection"),
        "{says}"
    );
    assert!(error(&runs[1..2], &of(Operation::Sdpa, None)).contains("no points of sdpa"));
    assert!(
        error(&[raw("HET1", &synthetic::het1())], &request("107")).contains("sweep no dimension")
    );
    let mut failed = synthetic::g3();
    failed.iter_mut().for_each(|(_, outcome)| *outcome = Err((ErrorKind::Cuda, "broken")));
    assert!(error(&[raw("G3", &failed)], &request("107")).contains("no point of fp16 has a time"));
}

/// What a plan is to minimise, worked out anew.
fn cost(times: &Times, items: &[Item], dims: &[usize]) -> Option<f64> {
    let cost = |(item, &dim): (&Item, &usize)| {
        let lost = item.dim.saturating_sub(dim) as f64 / item.dim as f64;
        Some(times.at(dim)?.p50_ms + item.importance * lost * times.at(item.dim)?.p50_ms)
    };
    items.iter().zip(dims).map(cost).sum()
}

fn plans(times: &Times, items: &[Item], budget: usize) -> Vec<Vec<usize>> {
    let Some((item, rest)) = items.split_first() else { return vec![vec![]] };
    let near = |dim: &usize| 10 * dim >= 9 * item.dim && 10 * dim <= 11 * item.dim;
    let dims = (1..=budget).filter(near).filter(|&dim| times.at(dim).is_some());
    dims.flat_map(|dim| {
        let rest = plans(times, rest, budget - dim);
        rest.into_iter().map(move |rest| [vec![dim], rest].concat())
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_optimised_plan_is_the_best_there_is(
        times in prop::collection::vec(0.5f64..2.0, 12),
        items in prop::collection::vec((20usize..32, 0.0f64..3.0), 1..4),
        room in 0usize..16,
    ) {
        let run = sweep(times.into_iter().enumerate().map(|(at, ms)| (20 + at, ms)));
        let item = |(dim, importance)| Item { name: None, dim, importance };
        let items: Vec<Item> = items.into_iter().map(item).collect();
        let times = Times::of(std::slice::from_ref(&run), None, None).unwrap();
        let least: usize = items.iter().map(|item| (item.dim - item.dim / 10).max(20)).sum();
        let budget = least + room;
        let request = Request { items: items.clone(), budget: Some(budget), ..request("1") };
        let found = advise(&[run], &request).unwrap().budget.unwrap();
        let plans = plans(&times, &items, budget);
        let costs = plans.iter().filter_map(|dims| cost(&times, &items, dims));
        let best = costs.fold(f64::INFINITY, f64::min);
        let Plan { dims, total_dims, total_ms, loss_ms, within_budget, .. } = &found.optimised;
        prop_assert!(*within_budget && *total_dims <= budget);
        prop_assert!((cost(&times, &items, dims).unwrap() - best).abs() < 1e-9);
        prop_assert!((total_ms.unwrap() + loss_ms - best).abs() < 1e-9);
        prop_assert_eq!(found.as_is.loss_ms, 0.0);
        let says = advise(&[sweep([(20, 1.0)])], &Request { budget: Some(17), ..request.clone() });
        prop_assert!(says.is_err());
    }

    #[test]
    fn no_recommendation_is_beaten(
        times in prop::collection::vec(0.5f64..2.0, 24), dim in 20usize..44,
    ) {
        let run = sweep(times.into_iter().enumerate().map(|(at, ms)| (20 + at, ms)));
        let times = Times::of(&[run], None, None).unwrap();
        let item = Item { name: None, dim, importance: 1.0 };
        let found = recommend(&times, &item, 0.25);
        let to = found.recommended_dim.unwrap();
        prop_assert!(to >= dim && 4 * to <= 5 * dim);
        let ms = |dim| times.at(dim).unwrap().p50_ms;
        let others: Vec<usize> = (dim..44).filter(|other| 4 * other <= 5 * dim).collect();
        // What may save nothing is none of them.
        let [low, _] = times.at(dim).unwrap().ci95_ms.unwrap();
        let is_sure = |other: usize| times.at(other).unwrap().ci95_ms.unwrap()[1] < low;
        let others: Vec<usize> =
            others.into_iter().filter(|&other| other == dim || is_sure(other)).collect();
        prop_assert!(others.iter().all(|&other| ms(to) <= 1.005 * ms(other)));
        let fastest = others.iter().map(|&other| ms(other)).fold(f64::INFINITY, f64::min);
        prop_assert!(others.iter().all(|&other| other >= to || ms(other) > 1.005 * fastest));
    }
}

#[test]
fn a_budget_compares_three_plans() {
    let run = raw("G3", &synthetic::g3());
    let ask = |dims, budget| {
        let request = Request { budget: Some(budget), ..request(dims) };
        advise(std::slice::from_ref(&run), &request).map(|advice: Advice| advice.budget.unwrap())
    };
    let found = ask("107,113,121", 360).unwrap();
    assert_eq!(
        (found.round_up_to_8.dims, found.as_is.dims),
        (vec![112, 120, 128], vec![107, 113, 121])
    );
    assert_eq!(found.round_up_to_8.total_dims, 360);
    assert!(found.round_up_to_8.within_budget && found.as_is.within_budget);
    let of = |plan: &Plan| plan.total_ms.unwrap() + plan.loss_ms;
    let best = of(&found.optimised);
    assert!(
        best <= found.round_up_to_8.total_ms.unwrap() && best < 0.5 * found.as_is.total_ms.unwrap()
    );
    assert!(found.optimised.dims.iter().all(|dim| dim % 8 == 0), "{:?}", found.optimised);

    // 200 is out of sight: it is kept, and its time is in no sum.
    let kept = ask("107,200", 310).unwrap();
    assert_eq!(
        (kept.without_times, kept.optimised.dims[1], kept.optimised.p50_ms[1]),
        (vec![200], 200, None)
    );
    assert!(kept.optimised.total_ms.unwrap() < 0.02);
    assert!(!kept.round_up_to_8.within_budget);
    // 129 has neighbours with times, but none of its own.
    assert_eq!(ask("129", 140).unwrap().as_is.total_ms, None);
    let says = ask("107,113", 150).unwrap_err().to_string();
    assert!(says.starts_with("a budget of 150 is below 199"), "{says}");
    assert!(ask("200", 300).unwrap_err().to_string().contains("near a measured one"));
}

fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let raw = serde_json::to_string(&raw("G3", &synthetic::g3())).unwrap();
    fs::write(dir.path().join("raw.json"), raw).unwrap();
    dir
}

fn command(dir: &TempDir, arguments: &[&str]) -> Ran {
    night_sweep(&[&["advise", dir.path().to_str().unwrap()], arguments].concat())
}

#[test]
fn the_command_prints_a_table_json_or_csv() {
    let dir = folder();
    let list = dir.path().join("dims.csv");
    fs::write(&list, "name,dim,importance\n\"q, first\",107,2\nv,113,0\n").unwrap();
    let file = ["--dims-file", list.to_str().unwrap(), "--budget", "232"];
    let print = |format| {
        let ran = command(&dir, &[&file[..], &["--format", format]].concat()).succeeded();
        assert_eq!(ran.stderr, "");
        ran.stdout
    };
    let table = print("table");
    let start = "gemm-k on cuda:0 Synthetic GPU, fp16: K 64 to 160 measured";
    assert!(table.starts_with(start), "{table}");
    assert_contains(&table, &["q, first, 107: a cliff", "round up to 8"]);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");

    let json: serde_json::Value = serde_json::from_str(&print("json")).unwrap();
    assert_eq!(json["recommendations"][0]["recommended_dim"], 112);
    assert_eq!(json["recommendations"][1]["name"], "v");
    assert_eq!(json["budget"]["round_up_to_8"]["dims"], serde_json::json!([112, 120]));

    let csv = print("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&rows[0][column("name")], &rows[0][column("recommended_dim")]),
        ("q, first", "112")
    );
    let saved: f64 = rows[0][column("saved_ms")].parse().unwrap();
    assert_eq!(json["recommendations"][0]["saved_ms"], saved);
    assert_eq!((&rows[2][0], &rows[2][column("round_up_to_8_dim")]), ("total", "232"));
}

#[test]
fn a_file_of_a_compression_method_gives_a_line_per_module() {
    let dir = folder();
    let path = dir.path().join("config.json");
    let ranks = r#""model.layers.0.self_attn.k_proj": [107, 121]"#;
    fs::write(&path, format!(r#"{{"vocab_size": 9, "head_wise_ranks": {{{ranks}}}}}"#)).unwrap();
    let file = ["--dims-file", path.to_str().unwrap(), "--format", "csv"];
    let ran = command(&dir, &file).succeeded();
    assert_contains(&ran.stdout, &["\nmodel.layers.0.self_attn.k_proj[0],107,112,"]);
    assert_contains(&ran.stdout, &["\nmodel.layers.0.self_attn.k_proj[1],121,128,"]);
    assert_eq!(ran.stderr, "");
    fs::write(&path, ",module,rank,ratio\n0,q,107.0,0.7\n1,v,121.0,0.7\n").unwrap();
    let ran = command(&dir, &file).succeeded();
    assert_contains(&ran.stdout, &["\nq,107,112,", "\nv,121,128,"]);
    assert_contains(&ran.stderr, &["config.json: not read: column ratio\n"]);
    fs::write(&path, r#"{"ratios": {"q": "high"}}"#).unwrap();
    command(&dir, &file)
        .refused_for(&["config.json: ratios.q: \"high\"", "known are: a JSON list"]);
}

#[test]
fn bad_input_is_exit_code_2_and_a_line() {
    let dir = folder();
    let empty = dir.path().join("empty.json");
    fs::write(&empty, "[]").unwrap();
    for (arguments, says) in [
        (&["--dims", "107,x"][..], "like 107,113,121"),
        (&["--dims", "107", "--curve", "fp8"], "there are: fp16 | bf16"),
        (&["--dims", "107", "--max-overhead", "0.1"], "like 10%"),
        (&["--dims", "107", "--op", "gemm-n"], "no points of gemm-n"),
        (&["--dims", "107", "--budget", "50"], "a budget of 50 is below"),
        (&["--dims-file", empty.to_str().unwrap()], "no dimension in it"),
        (&["--dims-file", "/nonexistent.csv"], "/nonexistent.csv"),
        (&["--dims", "107", "/nonexistent"], "cannot read /nonexistent"),
    ] {
        command(&dir, arguments).refused_for(&[says]);
    }
    fs::write(dir.path().join("raw.json"), "{\"half\": ").unwrap();
    command(&dir, &["--dims", "107"]).refused_for(&["raw.json is no raw.json of a run"]);
}
