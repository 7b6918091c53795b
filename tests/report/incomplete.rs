//! Runs that were killed or failed, in part or as a whole.

use crate::support::{assert_contains, assert_valid};
use crate::synthetic::{self, all, journal, s2};
use crate::{Bench, assert_png, few, lasting};
use night_sweep::journal::record::{Failure, Line};
use night_sweep::workload::error::ErrorKind;
use serde_json::json;
use std::fs;

#[test]
fn a_killed_run_is_reported_as_far_as_it_got() {
    let (header, lines) = journal("S2", &s2());
    let bench = Bench::new(header.clone(), &lines[..12]);
    let raw = bench.raw();
    assert_eq!(raw["metadata"]["status"], "partial");
    assert_eq!(raw["measurements"][0]["flags"], json!(["fewer_trials"]));
    assert_eq!(raw["measurements"][0]["trials"], 1);
    let last = raw["measurements"].as_array().unwrap().last().unwrap();
    assert_eq!(last["error_kind"], "skipped");
    assert_eq!(last["backend_unsupported"], false);
    let written = bench.write();
    assert_valid(&written.folder);
    assert!(written.table.contains("partial"));

    let whole = Bench::new(header.clone(), &lines);
    assert_eq!(whole.raw()["metadata"]["status"], "complete");
    let unsupported = whole.raw()["measurements"][12].clone();
    assert_eq!(unsupported["error_kind"], "unsupported");
    assert_eq!(unsupported["backend_unsupported"], true);

    let nothing = Bench::new(header, &[]);
    assert_valid(&nothing.write().folder);
}

#[test]
fn a_case_that_failed_after_all_has_no_time() {
    let (header, mut lines) = few(2);
    let is_trial = |line: &Line| matches!(line, Line::Trial(_));
    let Line::Trial(last) = lines.remove(lines.iter().rposition(is_trial).unwrap()) else {
        panic!("a trial")
    };
    assert_eq!((&*last.case_id, last.trial), (&*header.cases[1].id, 2));
    lines.push(Line::Failure(Failure {
        case_id: last.case_id,
        trial: 2,
        error_kind: ErrorKind::WrongResult,
        error: "row 3 differs".to_owned(),
    }));
    let raw = Bench::new(header, &lines).raw();
    assert_eq!(raw["measurements"][1]["error_kind"], "wrong_result");
    assert!(raw["measurements"][1].get("timing").is_none());
}

#[test]
fn a_run_without_a_single_time_is_reported_too() {
    for (group, outcomes, plots) in all() {
        let outcomes = synthetic::without_times(outcomes, "too large <&> \u{1b}[31m\0");
        let bench = Bench::of(group, &outcomes);
        let root = lasting("reports-without-times");
        let written = bench.try_write(&root).unwrap();
        assert_valid(&written.folder);
        assert_png(&written.folder.join(format!("plots/{}.png", plots[0])));
        let svg = written.folder.join(format!("plots/{}.svg", plots[0]));
        let svg = fs::read_to_string(svg).unwrap();
        assert_contains(&svg, &["no point was measured"]);
        assert_contains(&svg, &["too large &lt;&amp;&gt; [31m"]);
        assert_contains(&written.table, &["No point was measured."]);
        assert_contains(&written.table, &["out of memory"]);
    }
}
