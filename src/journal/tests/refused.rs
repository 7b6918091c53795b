//! What is not written, as no reader would take it.

use super::*;

#[test]
fn a_sample_that_is_no_time_is_refused_with_its_case() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let line = trial_line("G3/fp16/K1", 1, &[0.1, bad]);
        let error = format!("{:#}", journal.append(&line).unwrap_err());
        let says = format!("G3/fp16/K1: sample 1 of trial 1 is {bad} ms");
        assert!(error.contains(&says), "{error}");
    }
    let error = format!("{:#}", journal.append(&trial_line("G3/fp16/K1", 0, &[])).unwrap_err());
    assert!(error.contains("has no sample"), "{error}");
    assert!(read(journal.path()).unwrap().trials.is_empty());

    let zero = as_text(&[trial_line("G3/fp16/K1", 0, &[0.0])]);
    let error = error_of(&format!("{}{zero}", header_line()));
    assert!(error.contains(":2: G3/fp16/K1: sample 0 of trial 0 is 0 ms"), "{error}");
}

#[test]
fn an_energy_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let sound = || energy("G3/fp16/K1");
    for broken in [
        Energy { joules: 0.0, ..sound() },
        Energy { seconds: -1.0, ..sound() },
        Energy { seconds: 1e-300, ..sound() },
        Energy { joules: 1e300, ..sound() },
        Energy { launches: f64::NAN, ..sound() },
        Energy { uncertainty_pct: f64::INFINITY, ..sound() },
        Energy { polled_watts: Some(-3.0), ..sound() },
        Energy { wall_s: -1.0, ..sound() },
    ] {
        let error = journal.append(&Line::Energy(Box::new(broken))).unwrap_err();
        assert!(error.to_string().contains("energy"), "{error}");
    }
    assert_eq!(read(journal.path()).unwrap().energy, []);
}

#[test]
fn nothing_is_written_that_a_reader_would_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let before = fs::read(journal.path()).unwrap();
    let that_took =
        |wall_s| Line::Trial(Box::new(Trial { wall_s, ..trial_of("G3/fp16/K1", 0, vec![0.1]) }));
    let failed = |error: &str| Line::Failure(Failure { error: error.to_owned(), ..failure() });
    let end = |wall_s, criterion_s| Line::End(End { status: Status::Partial, wall_s, criterion_s });
    let long = "\\".repeat(check::MAX_TEXT_BYTES / 2 + 1);
    for (line, says) in [
        (that_took(-1.0), "a trial took -1 s"),
        (that_took(f64::INFINITY), "a trial took inf s"),
        (end(f64::NAN, None), "a run took NaN s"),
        (end(1.0, Some(-0.5)), "Criterion took -0.5 s"),
        (failed(&long), "a text of 60002 bytes: allowed are up to 60000"),
    ] {
        let error = format!("{:#}", journal.append(&line).unwrap_err());
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(fs::read(journal.path()).unwrap(), before);
    journal.append(&failed(&check::shortened(&long))).unwrap();
    read(journal.path()).unwrap();

    // What somebody else wrote.
    let mut text = String::from_utf8(before).unwrap();
    text += &serde_json::to_string(&failed(&long)).unwrap();
    fs::write(journal.path(), text + "\n").unwrap();
    let error = format!("{:#}", read(journal.path()).unwrap_err());
    assert!(error.contains("journal.jsonl:2: a text of 60002 bytes"), "{error}");
    let names: [fn(&mut Header); 4] = [
        |header| header.experiment = "x".repeat(1001),
        |header| header.device = "x".repeat(1001),
        |header| header.cases[0].curve = "x".repeat(1001),
        |header| header.env["host"] = json!({"cpu": "x".repeat(1001)}),
    ];
    for change in names {
        let mut header = header();
        change(&mut header);
        let error = Journal::create(&dir.path().join("new"), header).unwrap_err();
        assert!(format!("{error:#}").contains("a name of 1001 bytes"), "{error:#}");
    }
}
