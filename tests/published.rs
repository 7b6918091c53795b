//! The published nights are whole, and what the documents say of them stands in them.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;

use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use support::{assert_contains, assert_valid, json, night_sweep};

const CARDS: [&str; 2] = ["h200", "h100"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn folders(card: &str) -> Vec<PathBuf> {
    let below = |dir: PathBuf| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let groups = below(root().join("target-reports/published").join(card));
    let mut folders: Vec<PathBuf> = groups.flat_map(below).collect();
    folders.sort();
    folders
}

/// The folder of an experiment.
fn folder(card: &str, experiment: &str) -> PathBuf {
    let ending = format!("_{experiment}");
    let is_it = |folder: &PathBuf| folder.to_str().unwrap().ends_with(&ending);
    folders(card).into_iter().find(is_it).unwrap()
}

fn size_bytes(path: &Path) -> u64 {
    match path.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| size_bytes(&entry.unwrap().path())).sum(),
        false => path.metadata().unwrap().len(),
    }
}

#[test]
fn each_published_run_is_valid_and_of_committed_code() {
    let published = root().join("target-reports/published");
    assert!(size_bytes(&published) < 25_000_000, "{}", size_bytes(&published));
    for (card, runs) in [("h200", 22), ("h100", 23)] {
        let folders = folders(card);
        assert_eq!(folders.len(), runs, "{card}");
        for folder in folders {
            let env = json(&folder.join("env.json"));
            assert_eq!(env["software"]["git_dirty"], false, "{}", folder.display());
            assert!(env["libraries"]["pytorch"].is_string(), "{}", folder.display());
            let name = env["gpu"]["name"].as_str().unwrap().to_lowercase();
            assert!(name.contains(card), "{}: {name}", folder.display());
            assert!(folder.join("report.html").is_file(), "{}", folder.display());
            assert_valid(&folder);
        }
    }
}

#[test]
fn the_index_leads_to_each_of_them() {
    let published = root().join("target-reports/published");
    let index = fs::read_to_string(published.join("index.html")).unwrap();
    for folder in CARDS.into_iter().flat_map(folders) {
        let below = folder.strip_prefix(&published).unwrap().to_str().unwrap();
        assert_contains(&index, &[&format!("href=\"{below}/report.html\"")]);
    }
    assert_contains(&index, &["A100"]);
}

fn summary(folder: &Path) -> Value {
    json(&folder.join("summary.json.gz"))
}

fn rows(folder: &Path) -> Vec<Value> {
    json(&folder.join("raw.json.gz"))["measurements"].as_array().unwrap().clone()
}

/// The folder of the run that a link of a document leads into, which has to lead somewhere.
fn linked(link: &str) -> PathBuf {
    let path = root().join("docs").join(link);
    assert!(path.exists(), "{link}");
    let in_plots = path.parent().unwrap().ends_with("plots");
    path.ancestors().nth(if in_plots { 2 } else { 1 }).unwrap().to_owned()
}

#[test]
fn each_finding_that_is_quoted_is_one_of_its_run() {
    let text = document("docs/results.md").replace("\n> ", "\n>").replace("\n>\n>", "\n\n>");
    let quote = Regex::new(r"(?m)^>\[(H\d00)\]\((.+)\):((?:\s>?.+)+)").unwrap();
    let mut quotes = 0;
    for found in quote.captures_iter(&text) {
        let said = found[3].replace("\n>", " ").trim().to_owned();
        let folder = linked(&format!("{}/summary.json.gz", &found[2]));
        let findings = summary(&folder)["findings"].clone();
        let is_one = findings.as_array().unwrap().iter().any(|finding| *finding == *said);
        assert!(is_one && found[2].contains(&found[1].to_lowercase()), "{said}\n{findings:#}");
        quotes += 1;
    }
    assert_eq!(quotes, text.matches("\n>[").count());
    assert!(quotes > 10, "{quotes}");
}

/// The rows of the table with this header: its cells.
fn table(header: &str) -> Vec<Vec<String>> {
    let text = document("docs/results.md");
    let (_, rest) = text.split_once(header).unwrap_or_else(|| panic!("no table {header}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(rows.len() > 5, "{header}");
    rows
}

#[test]
fn the_table_of_cliffs_is_that_of_the_runs() {
    let cell = Regex::new(r"^\[(.+)\]\((.+)\)$").unwrap();
    let mut summaries: HashMap<PathBuf, Value> = HashMap::new();
    for row in table("| operation | experiment | curve | H200 | H100 |") {
        let [_, experiment, curve, cells @ ..] = &*row else { panic!("{row:?}") };
        for (card, text) in CARDS.iter().zip(cells) {
            let found = cell.captures(text).unwrap();
            let dir = linked(&found[2]);
            assert_eq!(dir.canonicalize().unwrap(), folder(card, experiment));
            let summary = summaries.entry(dir.clone()).or_insert_with(|| summary(&dir));
            let curves = summary["curves"].as_array().unwrap();
            let of = curves.iter().find(|found| found["curve"] == **curve).unwrap();
            let worst = &of["worst_penalty"];
            let says = format!(
                "{}: {:.2}× of {}, {} of {}",
                worst["dim"],
                worst["ratio"].as_f64().unwrap(),
                worst["next_dim"],
                of["cliffs"].as_array().unwrap().len(),
                of["points"]
            );
            assert_eq!(found[1], says, "{card} {experiment} {curve}");
        }
    }
}

#[test]
fn the_times_of_auto_are_those_of_the_runs() {
    let runs = CARDS.map(|card| rows(&folder(card, "S1_sdpa_dense_sweep")));
    let p50 = |rows: &[Value], backend: &str, dim: &str| {
        let curve = format!("batch 4, seq 2048, 32 heads, {backend}");
        let is_it =
            |row: &&Value| row["curve"] == *curve && row["dim"].as_u64() == dim.parse().ok();
        rows.iter().find(is_it).unwrap()["timing"]["p50"].as_f64().unwrap()
    };
    let reference = document("experiments/reference/a100_published.yaml");
    let header = "| head_dim | H200 AUTO | H200 NS_FASTEST | H100 AUTO | H100 NS_FASTEST | A100, \
                  published |";
    for row in table(header) {
        let [dim, cells @ .., published] = &*row else { panic!("{row:?}") };
        let times = runs
            .iter()
            .flat_map(|rows| ["AUTO", "NS_FASTEST"].map(|backend| p50(rows, backend, dim)));
        let times: Vec<String> = times.map(|ms| format!("{ms:.3}")).collect();
        assert_eq!(cells, times, "{dim}");
        assert_contains(&reference, &[&format!("{dim}: {published}")]);
    }
    let [h200, h100] =
        runs.each_ref().map(|rows| p50(rows, "AUTO", "107") / p50(rows, "AUTO", "112"));
    let says = format!("it takes {h200:.2} times (H200) and {h100:.2} (H100)");
    assert_contains(&document("docs/results.md"), &[&says]);
    let says = format!("at head_dim 107 takes {h100:.1} times as long as at 112");
    assert_contains(&document("README.md"), &[&says]);
}

/// Else the index would draw them beside no curve.
#[test]
fn each_published_curve_of_the_a100_is_one_of_the_runs() {
    let text = document("experiments/reference/a100_published.yaml");
    let reference: Value = serde_yaml::from_str(&text).unwrap();
    let runs: Vec<PathBuf> = folders("h200").into_iter().collect();
    for series in reference["series"].as_array().unwrap() {
        let group = series["group"].as_str().unwrap();
        let of_group = runs.iter().filter(|run| run.parent().unwrap().ends_with(group));
        let mut curves = of_group.flat_map(|run| rows(run)).map(|row| row["curve"].clone());
        assert!(curves.any(|curve| curve == series["curve"]), "{series}");
    }
}

/// By the title of the table; decode attention by AUTO stands there by its alignment.
fn class(row: &Value) -> Option<&'static str> {
    let shape = row["shape"].as_object()?;
    let is_compute = row["derived"]["of_peak"]["bound"] == "compute";
    let is_pair = row["case_id"].as_str()?.starts_with("L1/");
    Some(match () {
        () if shape.contains_key("operations") && is_compute => "whole layer, prompt",
        () if shape.contains_key("operations") => "whole layer, decode",
        () if shape.contains_key("kv_len") && row["backend"] != "AUTO" => return None,
        () if shape.contains_key("kv_len") => match row["dim"].as_u64()? % 8 {
            0 => "decode attention by AUTO, head_dim a multiple of 8",
            _ => "decode attention by AUTO, other head_dims",
        },
        () if shape.contains_key("head_dim") => "attention, prompt",
        () if is_pair && is_compute => "low-rank pair, compute-bound",
        () if is_pair => "low-rank pair, memory-bound",
        () if is_compute => "GEMM, compute-bound",
        () => "GEMM, memory-bound",
    })
}

#[test]
fn an_h100_beside_an_h200_is_as_the_runs_say() {
    let measured = |card: &str| {
        let mut found = BTreeMap::new();
        for folder in folders(card) {
            // After the time.
            let experiment = folder.file_name().unwrap().to_str().unwrap()[16..].to_owned();
            for row in rows(&folder).into_iter().filter(|row| row["error"].is_null()) {
                found.insert((experiment.clone(), row["case_id"].to_string()), row);
            }
        }
        found
    };
    let kernels = |row: &Value| -> Vec<Value> {
        row["kernels"].as_array().unwrap().iter().map(|kernel| kernel["name"].clone()).collect()
    };
    let (h200, h100) = (measured("h200"), measured("h100"));
    let mut classes: BTreeMap<&str, Vec<(f64, bool)>> = BTreeMap::new();
    for (key, base) in &h200 {
        if let (Some(class), Some(cand)) = (class(base), h100.get(key)) {
            let p50 = |row: &Value| row["timing"]["p50"].as_f64().unwrap();
            let point = (p50(cand) / p50(base), kernels(base) == kernels(cand));
            classes.entry(class).or_default().push(point);
        }
    }
    let header = "| class | points | median | 10th to 90th percentile | same kernels |";
    let table = table(header);
    assert_eq!(table.len(), classes.len());
    for row in table {
        let points = classes.get_mut(&*row[0]).unwrap();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (n, same) = (points.len(), points.iter().filter(|point| point.1).count());
        let median = (points[n / 2].0 + points[(n - 1) / 2].0) / 2.0;
        let says = [
            n.to_string(),
            format!("{median:.2}"),
            format!("{:.2} to {:.2}", points[n / 10].0, points[n - 1 - n / 10].0),
            format!("{:.0} %", 100.0 * same as f64 / n as f64),
        ];
        assert_eq!(row[1..], says, "{}", row[0]);
    }
}

/// A model has hundreds of ranks: what is said of all of them is one line.
#[test]
fn a_published_model_advises_in_a_few_lines() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("better.json");
    let model = root().join("experiments/models/llama-3-8b");
    let (dims, run) = (model.join("palu_r07.json"), folder("h200", "M1_model_layers"));
    let [model, dims, run, out] = [&model, &dims, &run, &out].map(|path| path.to_str().unwrap());
    let words = ["model", model, "--dims", dims, "--run", run, "--write-dims", out];
    let ran = night_sweep(&words).succeeded();
    assert_contains(&ran.stdout, &["0 of 128 dimensions changed"]);
    assert_contains(
        &ran.stderr,
        &["the dense layer is advised: 128 ranks are left (model.layers.0"],
    );
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

/// The lines of a block of the README that begins with this, but for those left out.
fn block(start: &str) -> Vec<String> {
    let text = document("README.md");
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no block {start}"));
    let lines = rest.split_once("```").unwrap().0.lines();
    lines.filter(|line| !matches!(*line, "" | "...")).map(str::to_owned).collect()
}

#[test]
fn the_readme_shows_what_the_commands_print() {
    let of = |experiment| folder("h200", experiment).to_str().unwrap().to_owned();
    let (g3, g4, m1) =
        (of("G3_gemm_k_dense"), of("G4_gemm_n_dense_projectionlike"), of("M1_model_layers"));
    let advise = ["advise", &g3, "--dims", "107,113", "--max-overhead", "10%"];
    for (start, words) in [
        ("```text\nG4_gemm_n_dense_projectionlike on", &["summary", &g4][..]),
        ("--dims 107,113 --max-overhead 10%\n", &advise),
        ("```text\ndecode, 16 sequences at context 4096\n", &["summary", &m1]),
    ] {
        let printed = night_sweep(words).succeeded().stdout;
        let lines = block(start);
        assert!(lines.len() > 4, "{start}");
        for line in lines {
            assert!(printed.contains(&line), "{line}\nis not in\n{printed}");
        }
    }
}
