//! index.html over runs that never happened.

#![allow(clippy::unwrap_used)]

mod browser;
#[allow(dead_code)]
mod synthetic;

use night_sweep::journal::record::{Header, Line};
use night_sweep::render::{self, index};
use serde_json::json;
use std::fs;
use std::path::Path;
use synthetic::{Outcome, g3, journal, p1, s2};

fn report(root: &Path, group: &str, day: u32, gpu: &str, outcomes: &[Outcome]) {
    let (header, lines) = journal(group, outcomes);
    report_of(root, group, day, gpu, (header, lines));
}

fn report_of(root: &Path, group: &str, day: u32, gpu: &str, run: (Header, Vec<Line>)) {
    let (header, lines) = run;
    let mut env = header.env.clone();
    env["gpu"]["name"] = json!(gpu);
    let header = Header {
        run_id: format!("202601{day:02}_000000_{group}_sweep"),
        started_at: format!("2026-01-{day:02}T00:00:00Z"),
        env,
        ..header
    };
    let dir = tempfile::tempdir().unwrap();
    let journal = synthetic::write(dir.path(), header, &lines);
    render::write(&journal, &dir.path().join("criterion"), root).unwrap();
}

fn page(root: &Path) -> String {
    let written = index::write(root, None).unwrap();
    assert_eq!(written.path, root.join("index.html"));
    fs::read_to_string(written.path).unwrap()
}

#[test]
fn runs_are_listed_newest_first_and_overlaid_by_experiment() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "G3", 1, "Old GPU", &g3()[..20]);
    report(root, "P1", 2, "Old GPU", &p1());
    report(root, "G3", 3, "<New> GPU", &g3()[..20]);
    let page = page(root);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not there"));
    let link = |day: u32, group: &str| {
        at(&format!("href=\"{group}/202601{day:02}_000000_{group}_sweep/report.html\""))
    };
    assert!(link(3, "G3") < link(2, "P1") && link(2, "P1") < link(1, "G3"));
    assert!(page.contains("cuda:0 &lt;New&gt; GPU") && !page.contains("<New>"));
    assert!(page.contains("3 runs, newest first"));

    let data = browser::data(&page)["experiments"].clone();
    assert_eq!((&data[0]["name"], &data[0]["dim_name"]), (&json!("G3_sweep"), &json!("K")));
    let runs = data[0]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["label"], "cuda:0 <New> GPU · 2026-01-03 00:00");
    let points = runs[0]["curves"]["fp16"]["points"].as_array().unwrap();
    assert_eq!((points.len(), &points[0][0]), (20, &json!(64)));
    // More than five digits would only swell the page.
    for number in points.iter().flat_map(|point| [&point[1], &point[2]]) {
        let digits = format!("{:e}", number.as_f64().unwrap());
        let digits = digits.split_once('e').unwrap().0.replace('.', "");
        assert!(digits.len() <= 5, "{number}");
    }
    assert_eq!(data[1]["name"], "P1_sweep");
}

#[test]
fn stand_ins_are_told_apart_from_pytorchs() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let (header, lines) = journal("P1", &p1());
    let without = synthetic::with_stand_ins(lines.clone());
    report_of(root, "P1", 1, "GPU", (header.clone(), lines));
    report_of(root, "P1", 2, "GPU", (header, without));
    let page = page(root);
    let label = "stand-ins, not PyTorch&#39;s: AUTO";
    assert_eq!(page.matches(label).count(), 1, "beside the finding of one run");
    assert_eq!(page.matches("SDPA: padding 107 to 112").count(), 2);
    let runs = browser::data(&page)["experiments"][0]["runs"].clone();
    assert_eq!(runs[0]["label"], "cuda:0 GPU · 2026-01-02 00:00 · stand-ins, not PyTorch's: AUTO");
    assert_eq!(runs[1]["label"], "cuda:0 GPU · 2026-01-01 00:00");
}

#[test]
fn runs_lie_in_the_root_or_in_a_folder_of_another_machine() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "G3", 1, "GPU", &g3()[..2]);
    report(&root.join("h200"), "G3", 2, "GPU", &g3()[..2]);
    // One deeper, and not of plain names.
    report(&root.join("published/h200"), "G3", 3, "GPU", &g3()[..2]);
    report(&root.join("not plain"), "G3", 4, "GPU", &g3()[..2]);
    fs::rename(root.join("not plain/G3"), root.join("h200/.hidden")).unwrap();
    // What lies in a run is none.
    let inside = root.join("G3/20260101_000000_G3_sweep/plots");
    fs::write(inside.join("raw.json"), "{").unwrap();
    let written = index::write(root, None).unwrap();
    assert_eq!((written.runs, &*written.broken), (2, &[][..]));
    let page = fs::read_to_string(&written.path).unwrap();
    assert!(page.contains("href=\"h200/G3/20260102_000000_G3_sweep/report.html\""));
    assert!(page.contains("href=\"G3/20260101_000000_G3_sweep/report.html\""));
    let written = index::write(&root.join("published"), None).unwrap();
    assert_eq!(written.runs, 1);

    let far = root.join("h200/G3/broken");
    fs::create_dir(&far).unwrap();
    fs::write(far.join("raw.json.gz"), "").unwrap();
    let broken = index::write(root, None).unwrap().broken;
    assert!(broken[0].starts_with("h200/G3/broken: cannot read"), "{broken:?}");
}

#[test]
fn each_run_is_listed_by_what_it_is_filtered() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "G3", 1, "Old GPU", &g3()[..4]);
    report(&root.join("other"), "S2", 2, "<New> GPU", &s2());
    report(root, "P1", 3, "Old GPU", &synthetic::without_times(p1(), "too large"));
    let page = page(root);
    let listed = |device: &str, group: &str, providers: &[&str]| {
        let experiment = format!("{group}_sweep");
        json!({"device": device, "group": group, "experiment": experiment, "providers": providers})
    };
    let data = browser::data(&page);
    let expected = json!([
        listed("Old GPU", "P1", &[]),
        listed("<New> GPU", "S2", &["pytorch"]),
        listed("Old GPU", "G3", &["cublaslt"]),
    ]);
    assert_eq!(data["runs"], expected);
    let s2 = data["experiments"].as_array().unwrap().iter().find(|each| each["group"] == "S2");
    assert_eq!(s2.unwrap()["runs"][0]["curves"]["FLASH"]["providers"], json!(["pytorch"]));
    // Without a script all rows are there, and no filter.
    assert!(page.contains("<div id=\"filters\" class=\"controls\" role=\"group\""));
    let body = page.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
    assert_eq!((body.matches("<tr>").count(), body.contains("hidden")), (3, false));
}

#[test]
fn the_newest_run_of_each_device_comes_before_a_second_of_any() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    for day in 3..=10 {
        report(root, "G3", day, "A", &g3()[..1]);
    }
    report(&root.join("b"), "G3", 1, "B", &g3()[..1]);
    report(&root.join("b"), "G3", 2, "B", &g3()[..1]);
    let data = browser::data(&page(root));
    let runs = data["experiments"][0]["runs"].as_array().unwrap();
    let labels: Vec<_> = runs.iter().map(|run| run["label"].as_str().unwrap()).collect();
    let label = |gpu: &str, day: u32| format!("cuda:0 {gpu} · 2026-01-{day:02} 00:00");
    let [a, b] = ["A", "B"].map(|gpu| move |day| label(gpu, day));
    assert_eq!(labels, [a(10), b(2), a(9), b(1), a(8), a(7), a(6), a(5)]);
    assert_eq!(data["most"], 6);
}

#[test]
fn what_cannot_be_read_is_named_and_left_out() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "P1", 1, "GPU", &p1());
    for (folder, raw) in [("P1/broken", "{"), ("P1/of_the_future", "{\"schema_version\": \"2.0\"}")]
    {
        fs::create_dir_all(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("raw.json"), raw).unwrap();
    }
    // None of ours: no run in it, or no plain name.
    fs::create_dir_all(root.join("schema")).unwrap();
    fs::create_dir_all(root.join("P1/.night-sweep-1")).unwrap();
    let written = index::write(root, None).unwrap();
    assert_eq!((written.runs, written.broken.len()), (1, 2), "{:?}", written.broken);
    assert!(written.broken[0].starts_with("P1/broken: "));
    let page = page(root);
    assert!(page.contains("Left out") && page.contains("P1/of_the_future"));
}

#[test]
fn an_older_run_has_no_page_to_link_to() {
    let root = tempfile::tempdir().unwrap();
    report(root.path(), "P1", 1, "GPU", &p1());
    let page_of_run = root.path().join("P1/20260101_000000_P1_sweep/report.html");
    fs::remove_file(page_of_run).unwrap();
    let page = page(root.path());
    assert!(page.contains("(no page)") && !page.contains("href="));
}

#[test]
fn an_empty_root_has_an_index_too() {
    let root = tempfile::tempdir().unwrap();
    assert!(page(root.path()).contains("No run yet"));
    assert!(index::write(&root.path().join("missing"), None).is_err());
    index::write(root.path(), None).unwrap();
    let path = root.path().join("index.html");
    fs::write(&path, "<title>My site</title>").unwrap();
    let error = index::write(root.path(), None).unwrap_err().to_string();
    assert!(error.contains("night-sweep did not write it"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "<title>My site</title>");
}

#[test]
#[ignore = "needs chromium"]
fn the_overlay_is_drawn() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "G3", 1, "Old GPU", &g3()[..20]);
    report(root, "G3", 3, "New GPU</script>", &g3()[..20]);
    let seen = browser::seen(&page(root));
    assert_eq!((&seen["panels"], &seen["dots"]), (&json!(1), &json!(40)));
    assert_eq!(seen["dots_one_off"], 20);
    let hovered = seen["hovered"].as_str().unwrap();
    assert!(hovered.contains("K 64") && hovered.contains("1.00× the time of run 1"), "{hovered}");
    assert_ne!(seen["heights"], seen["heights_log"]);
    assert_eq!(seen["rows"], 2);
}

#[test]
#[ignore = "needs chromium"]
fn filters_narrow_the_table_and_what_is_drawn() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "G3", 1, "Old GPU", &g3()[..20]);
    report(root, "S2", 2, "Old GPU", &s2());
    report(&root.join("other"), "G3", 3, "New GPU", &g3()[..20]);
    let seen = browser::seen(&page(root));
    assert_eq!(seen["shown_first"], "3 of 3 runs shown");
    assert_eq!(seen["labels"], json!(["Device", "Experiment", "Kernels of"]));
    // The newest run of each device.
    let both = ["1: cuda:0 New GPU · 2026-01-03 00:00", "2: cuda:0 Old GPU · 2026-01-01 00:00"];
    assert_eq!(seen["legend_first"], json!(both));
    assert!(seen["ratio"].as_str().unwrap().contains("latency over that of 1: New GPU"), "{seen}");
    assert_eq!(seen["ratio_dots"], 40);

    assert_eq!(seen["shown_device"], "1 of 3 runs shown");
    assert_eq!((&seen["rows_device"], &seen["hash_device"]), (&json!(1), &json!("New GPU")));
    assert_eq!(seen["legend_device"], json!([both[0]]));
    // Whoever changes a control from the keyboard stays at it.
    assert_eq!(seen["focused"], json!(["device", "curve"]));
    // No run of that device ran PyTorch's kernels.
    assert!(seen["shown_none"].as_str().unwrap().starts_with("None of 3 runs"), "{seen}");
    assert_eq!((&seen["rows_none"], &seen["is_drawn_none"]), (&json!(0), &json!(false)));
    // A link to a filtered view.
    assert_eq!(seen["shown_link"], "1 of 3 runs shown");
    assert_eq!((&seen["drawn_link"], &seen["curve_link"]), (&json!("S2/S2_sweep"), &json!("MATH")));
}

/// As `change` leaves a file of a run.
fn edit(root: &Path, run: &str, change: impl Fn(&str) -> String) {
    let file = root.join(run).join("raw.json");
    fs::write(&file, change(&fs::read_to_string(&file).unwrap())).unwrap();
}

#[test]
fn entries_of_two_types_may_share_a_name() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "G3", 1, "GPU", &g3()[..4]);
    report(root, "S2", 2, "GPU", &s2());
    edit(root, "S2/20260102_000000_S2_sweep", |raw| raw.replace("S2_sweep", "G3_sweep"));
    let data = browser::data(&page(root))["experiments"].clone();
    let each = |at: usize| (&data[at]["name"], &data[at]["group"], &data[at]["dim_name"]);
    assert_eq!(each(0), (&json!("G3_sweep"), &json!("G3"), &json!("K")));
    assert_eq!(each(1), (&json!("G3_sweep"), &json!("S2"), &json!("head_dim")));
}

/// What is a property of every object in a script, markup, and a text that turns.
const NAMES: [&str; 4] = [
    "constructor",
    "__proto__",
    "</script><script>broken = 1</script><img src=x onerror='broken = 1'>",
    "a\u{202e}b\u{1b}[2J|`c`\n\"&amp;",
];

#[test]
#[ignore = "needs chromium"]
fn names_from_outside_are_drawn_and_not_run() {
    for name in NAMES {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        report(root, "G3", 1, "GPU", &g3()[..20]);
        report(root, "G3", 2, name, &g3()[..20]);
        let quoted = json!(name).to_string();
        let curve = |raw: &str| raw.replace("\"curve\":\"fp16\"", &format!("\"curve\":{quoted}"));
        edit(root, "G3/20260102_000000_G3_sweep", curve);
        let page = page(root);
        assert!(page.contains("default-src 'none'"));
        let seen = browser::seen(&page);
        assert_eq!((&seen["failed"], &seen["broken"]), (&json!(null), &json!(false)), "{name}");
        assert_eq!((&seen["scripts"], &seen["images"]), (&json!(2), &json!(0)), "{name}");
        // Either curve is of one run alone.
        assert_eq!(
            (&seen["dots"], &seen["shown_first"]),
            (&json!(20), &json!("2 of 2 runs shown"))
        );
        assert_eq!(seen["legend_first"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn published_points_lie_beside_the_runs_when_they_are_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    report(root, "P1", 1, "GPU", &p1());
    let published = |page: &str| browser::data(page)["experiments"][0]["published"].clone();
    assert_eq!(published(&page(root)), json!(null));
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let written = index::write(root, Some(&experiments.join("reference/a100_published.yaml")));
    let written = written.unwrap();
    let run = published(&fs::read_to_string(written.path).unwrap());
    assert!(run["label"].as_str().unwrap().starts_with("published: NVIDIA A100"), "{run}");
    let points = &run["curves"]["SDPA, batch 4, seq 2048, 32 heads"]["points"];
    assert_eq!(points[0], json!([107, 2.192, null]));
    // Points that no launch has are refused.
    let points = root.join("points.yaml");
    for point in ["107: .nan", "107: .inf", "107: 0", "0: 1.0", "18446744073709551615: 1.0"] {
        let series = format!("series: [{{group: P1, curve: c, points_ms: {{{point}}}}}]");
        let text = format!("source: a\ndevice: b\nsoftware: c\nmethod: d\n{series}\n");
        fs::write(&points, text).unwrap();
        let error = format!("{:#}", index::write(root, Some(&points)).unwrap_err());
        assert!(error.starts_with("cannot read the reference"), "{point}: {error}");
    }
    // A file that is no reference is an error, and leaves the index as it was.
    let spec = experiments.join("night_sweep.yaml");
    let error = format!("{:#}", index::write(root, Some(&spec)).unwrap_err());
    assert!(error.starts_with("cannot read the reference"), "{error}");
}
