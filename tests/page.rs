//! report.html of runs that never happened: what stands in it, and, where there is a Chromium, what
//! it does.

#![allow(clippy::unwrap_used)]

mod browser;
#[allow(dead_code)]
mod synthetic;

use night_sweep::journal::record::{Header, Line};
use night_sweep::measure::record::{Calibration, Settled};
use night_sweep::render::page;
use night_sweep::results::raw::Raw;
use night_sweep::results::summary::Summary;
use regex::Regex;
use serde_json::{Value, json};
use synthetic::{Outcome, all};

struct Run {
    raw: Raw,
    summary: Summary,
    page: String,
}

impl Run {
    fn of(group: &str, outcomes: &[Outcome]) -> Run {
        let (header, lines) = synthetic::journal(group, outcomes);
        Run::new(header, &lines)
    }

    fn new(header: Header, lines: &[Line]) -> Run {
        let run = synthetic::run(header, lines);
        let (raw, summary) = synthetic::results(&run);
        let page = page::of(&raw, &summary, &run.header.env).unwrap();
        Run { raw, summary, page }
    }
}

/// Every tag with its attributes, in order, but for what a title says; scripts and style are not of
/// a run's making.
fn tags(page: &str) -> Vec<String> {
    let body = page.split_once("<body>").unwrap().1.split_once("<script").unwrap().0;
    let title = Regex::new("title=\"[^\"]*\"").unwrap();
    let tags = Regex::new("<[^>]*>").unwrap();
    tags.find_iter(body).map(|tag| title.replace(tag.as_str(), "title").into_owned()).collect()
}

#[test]
fn each_experiment_has_a_page_of_its_own() {
    for (group, outcomes, _) in all() {
        let run = Run::of(group, &outcomes);
        let page = &run.page;
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(page.contains(&format!("<h1>{group}_sweep</h1>")));
        for finding in &run.summary.findings {
            let finding = finding.replace('&', "&amp;");
            assert!(page.contains(&format!("<li>{finding}</li>")), "{finding}");
        }
        assert!(!page.contains("{{"), "a hole is left");
        assert!(page.len() < 1_500_000, "{} bytes", page.len());

        let data = browser::data(page);
        let rows = &run.raw.measurements;
        let expected: usize = rows.iter().map(|row| 1 + row.variants().len()).sum();
        let points = data["points"].as_array().unwrap();
        assert_eq!(points.len(), expected);
        let first = run.raw.measured().next().unwrap();
        let shown = points.iter().find(|point| point["case_id"] == first.point.case_id).unwrap();
        let ratio = shown["p50_ms"].as_f64().unwrap() / first.timing.p50;
        assert!((ratio - 1.0).abs() < 1e-5, "{ratio}");
        let cycles = shown["cycles"].as_f64().unwrap() / first.cycles_p50.unwrap();
        assert!((cycles - 1.0).abs() < 1e-5, "{cycles}");
        assert_eq!(page.matches("holds the median of another run").count(), 2);
    }
}

#[test]
fn a_page_asks_the_network_for_nothing() {
    let address = Regex::new(r#"(?:https?:)?//[a-z0-9.]+\.[a-z]{2,}[^"\s]*"#).unwrap();
    for (group, outcomes, _) in all() {
        let page = Run::of(group, &outcomes).page;
        assert!(page.contains("default-src 'none'"));
        let addresses: Vec<&str> = address.find_iter(&page).map(|found| found.as_str()).collect();
        assert_eq!(addresses, ["http://www.w3.org/2000/svg"], "the name of a namespace");
        for attribute in [" src=", "@import", "url("] {
            assert!(!page.contains(attribute), "{attribute}");
        }
    }
}

#[test]
fn cliffs_say_what_to_pad_to() {
    let run = Run::of("G3", &synthetic::g3());
    let cliffs = &run.summary.curves[0].cliffs;
    assert!(cliffs.len() > 40, "{}", cliffs.len());
    let page = run.page;
    assert!(page.contains("What to pad to") && page.contains("What alignment costs"));
    let points = browser::data(&page)["points"].clone();
    let at = |dim: usize| points.as_array().unwrap().iter().find(|p| p["dim"] == dim).unwrap();
    for cliff in cliffs {
        let pad = &at(cliff.dim)["pad"];
        assert_eq!(pad[0], cliff.pad_to);
        let ratio = pad[1].as_f64().unwrap() / cliff.ratio;
        assert!((ratio - 1.0).abs() < 1e-5);
    }
    assert!(at(64).get("pad").is_none(), "64 is fast");
}

#[test]
fn a_run_says_what_it_can_vouch_for() {
    let (header, lines) = synthetic::journal("G3", &synthetic::g3());
    let verdict = |run: &Run, check: &str| {
        let (_, rest) = run.page.split_once(&format!("<dt>{check}</dt><dd>")).unwrap();
        rest.split_once(':').unwrap().0.to_owned()
    };
    let run = Run::new(header.clone(), &lines);
    for (check, expected) in [
        ("Result checked before it was timed", "yes"),
        ("GPU time without the host", "by construction"),
        ("All trials made", "yes"),
        ("Operands rotated to measure cold caches too", "yes"),
        ("Clock settled before the first trial", "yes"),
        ("First and last trials agree", "yes"),
    ] {
        assert_eq!(verdict(&run, check), expected, "{check}");
    }

    let mut unsettled = header.clone();
    unsettled.calibration = header.calibration.map(|found| Calibration {
        start: found.start.map(|start| Settled { steady: false, ..start }),
        cold_over_warm: Some(1.1),
        graph_node_ns: Some(1e6),
        ..found
    });
    let unsettled = Run::new(unsettled, &lines);
    for check in [
        "Clock settled before the first trial",
        "Rotation proven to make caches cold",
        "No gaps between launches",
    ] {
        assert_eq!(verdict(&unsettled, check), "no", "{check}");
    }

    let on_cpu = Run::new(Header { device: "cpu".to_owned(), ..header.clone() }, &lines);
    assert_eq!(verdict(&on_cpu, "GPU time without the host"), "no");
    // Without its last trials and its end, a run has not made all its trials.
    let trials = lines.iter().filter(|line| matches!(line, Line::Trial(_))).cloned();
    let trials: Vec<Line> = trials.collect();
    let cut = Run::new(header, &trials[..trials.len() - 1]);
    assert_eq!(verdict(&cut, "All trials made"), "no");
}

#[test]
fn a_run_without_a_single_time_has_a_page() {
    for (group, outcomes, _) in all() {
        let page = Run::of(group, &synthetic::without_times(outcomes, "too large")).page;
        let data = browser::data(&page);
        let points = data["points"].as_array().unwrap();
        assert!(points.iter().all(|point| point["error_kind"] == "out of memory"));
        assert_eq!(data["texts"][0], "too large");
    }
}

const HOSTILE: &str = "</script><script>window.broken = 1</script>\
                       <img src=x onerror='window.broken = 1'>\
                       \"'`{{data}}${1}<!--\u{202e}\u{2066}\u{0}]]>&amp;";

/// A run whose every free text is hostile, or 10 kB long.
fn hostile(group: &str, outcomes: &[Outcome]) -> Run {
    let mut outcomes = outcomes.to_vec();
    for (case, outcome) in &mut outcomes {
        case.curve = format!("{HOSTILE}{}", case.curve);
        if let Err((_, error)) = outcome {
            *error = HOSTILE;
        }
    }
    let (mut header, mut lines) = synthetic::journal(group, &outcomes);
    header.experiment = HOSTILE.to_owned();
    header.config[HOSTILE] = json!([HOSTILE]);
    header.env["gpu"]["name"] = json!(HOSTILE);
    header.env["host"]["cpu"] = json!("x".repeat(10_000));
    for line in &mut lines {
        let Line::Trial(trial) = line else { continue };
        trial.ran.backend_reason = Some(HOSTILE.repeat(100));
        trial.ran.backend_selected = Some(HOSTILE.to_owned());
        trial.ran.kernels.iter_mut().for_each(|kernel| kernel.name = format!("_Z{HOSTILE}"));
    }
    Run::new(header, &lines)
}

#[test]
fn hostile_texts_stay_texts() {
    for (group, outcomes, _) in all() {
        let page = hostile(group, &outcomes).page;
        assert_eq!(page.matches("<script").count(), 2, "the data and our own");
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains(['\u{202e}', '\u{2066}', '\0']));
        assert!(!page.contains("<img"));
        assert!(
            browser::data(&page)["kernels"][0].as_str().unwrap().contains("</script>"),
            "as a text"
        );
        let harmless: Vec<String> = tags(&Run::of(group, &outcomes).page);
        let config = |tag: &String| tag.contains("dt>") || tag.contains("dd>");
        let of = |tags: Vec<String>| tags.into_iter().filter(|t| !config(t)).collect::<Vec<_>>();
        assert_eq!(of(tags(&page)), of(harmless));
    }
}

fn seen(run: &Run) -> Value {
    browser::seen(&run.page)
}

#[test]
#[ignore = "needs chromium"]
fn curves_switches_and_the_table_answer_to_pointer_and_keyboard() {
    let seen = seen(&Run::of("S1", &synthetic::s1()));
    assert_eq!(seen["panels"], 2);
    assert_eq!(seen["dots"], 158);
    assert_eq!(seen["crosses"], 4);
    let hovered = seen["hovered"].as_str().unwrap();
    for part in [
        "head_dim 64",
        "multiple of 16",
        "Median",
        "Another run",
        "SM cycles",
        "TFLOP/s",
        "synthetic",
        "CUDNN",
    ] {
        assert!(hovered.contains(part), "{part} is not in {hovered}");
    }
    assert!(seen["key_right"].as_str().unwrap().contains("head_dim 65"), "{seen}");
    assert!(seen["key_right"].as_str().unwrap().contains("Pad to "), "{seen}");
    assert!(seen["key_end"].as_str().unwrap().contains("head_dim 160"), "{seen}");
    assert_eq!(seen["live"], "polite");
    assert!(seen["narrowest"].as_f64().unwrap() > 150.0, "{seen}");

    assert!(seen["unit"].as_str().unwrap().contains("latency (µs)"), "{seen}");
    assert!(seen["unit_tflops"].as_str().unwrap().contains("throughput (TFLOP/s)"), "{seen}");
    assert_ne!(seen["heights"], seen["heights_log"], "a logarithmic axis moves the dots");
    assert_eq!(seen["dots_one_off"], 81);
    assert_eq!(seen["themes"].as_array().unwrap().len(), 2);
    assert_ne!(seen["themes"][0], seen["themes"][1]);

    // 162 points, and 68 kernels alone beside padded ones.
    assert_eq!(seen["rows"], 230);
    assert_eq!(seen["sorted"], "ascending");
    assert_eq!(seen["ascending"], true);
    assert_eq!(seen["descending"], true);
    assert_eq!(seen["errors_last"], true);
    assert_eq!(seen["filtered"], "4 of 230 rows");
    assert_eq!(seen["shown"], 4);
}

#[test]
#[ignore = "needs chromium"]
fn bars_and_backends_are_drawn() {
    let p1 = seen(&Run::of("P1", &synthetic::p1()));
    assert_eq!(p1["bars"], 15);
    assert!(p1["bar"].as_str().unwrap().contains("Median"), "{p1}");
    let het1 = seen(&Run::of("HET1", &synthetic::het1()));
    assert_eq!(het1["bars"], 16);
    let s2 = seen(&Run::of("S2", &synthetic::s2()));
    assert_eq!((&s2["panels"], &s2["dots"], &s2["crosses"]), (&json!(1), &json!(28), &json!(2)));
}

#[test]
#[ignore = "needs chromium"]
fn hostile_texts_do_nothing() {
    for (group, outcomes, _) in all() {
        let run = hostile(group, &outcomes);
        let seen = seen(&run);
        assert_eq!(seen["broken"], false);
        assert_eq!((&seen["scripts"], &seen["images"]), (&json!(2), &json!(0)));
        assert_eq!(seen["too_wide"], false, "{group}");
    }
}

#[test]
#[ignore = "needs chromium"]
fn a_run_without_a_single_time_is_drawn_without_a_fault() {
    for (group, outcomes, _) in all() {
        let seen = seen(&Run::of(group, &synthetic::without_times(outcomes, "too large")));
        assert_eq!(seen["dots"], 0);
        assert!(seen["rows"].as_u64().unwrap() >= 4, "{seen}");
    }
}
