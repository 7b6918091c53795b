use super::*;
use crate::journal::record::{End, Failure, Header, Line, SCHEMA_VERSION, Start, Status};
use crate::measure::record::{Energy, Protocol, ProtocolKind, Ran, Spent, Trial};
use crate::ops::plan::Verification;
use crate::workload::ErrorKind;
use crate::workload::case::Case;
use crate::workload::operation::{Gemm, Operation};
use crate::workload::provider::Provider;
use crate::workload::shape::{DType, GemmShape};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn header() -> Header {
    let gemm = |k| Operation::Gemm(Gemm::dense(GemmShape { m: 64, n: 64, k }));
    Header {
        schema_version: SCHEMA_VERSION.to_owned(),
        run_id: "20260101_000000_G3".to_owned(),
        group: "G3".to_owned(),
        experiment: "G3_gemm_k_dense".to_owned(),
        config: json!({"type": "gemm_k_dense"}),
        device: "cpu".to_owned(),
        seed: 42,
        protocol: Protocol { kind: ProtocolKind::Standard, warmup: 1, measure: 2, trials: 2 },
        shard: None,
        sweep: Vec::new(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        env: json!({"host": {"cpu": "Zählwerk"}}),
        calibration: None,
        cases: vec![
            Case::row("G3", "fp16", "K1", 1, DType::Fp16, gemm(1)),
            Case::row("G3", "fp16", "K2", 2, DType::Fp16, gemm(2)),
        ],
    }
}

pub(crate) fn trial_of(case_id: &str, trial: usize, samples_ms: Vec<f64>) -> Trial {
    Trial {
        case_id: case_id.to_owned(),
        trial,
        started_at: "2026-01-01T00:00:01Z".to_owned(),
        wall_s: 0.5,
        samples_ms,
        launches_per_sample: 1,
        warmup_launches: 1,
        ran: Ran {
            provider: Provider::Cpu,
            kernels: vec![],
            backend_selected: None,
            backend_reason: None,
            pytorch: None,
            stand_in: false,
            padded_to: None,
            verification: Verification { max_rel_error: 1e-4, tolerance: 1e-2, rows: 8 },
            algorithm: None,
        },
        clocks: None,
        spent: Spent::default(),
    }
}

fn trial_line(case_id: &str, trial: usize, samples_ms: &[f64]) -> Line {
    Line::Trial(Box::new(trial_of(case_id, trial, samples_ms.to_vec())))
}

fn failure() -> Failure {
    Failure {
        case_id: "G3/fp16/K2".to_owned(),
        trial: 0,
        error_kind: ErrorKind::OutOfMemory,
        error: "größer als der Speicher".to_owned(),
    }
}

pub(super) fn lines() -> Vec<Line> {
    vec![
        trial_line("G3/fp16/K1", 0, &[0.1, 0.2]),
        Line::Failure(failure()),
        trial_line("G3/fp16/K1", 1, &[0.3]),
        Line::End(End { status: Status::Complete, wall_s: 2.0, criterion_s: None }),
    ]
}

pub(super) fn written(dir: &Path, lines: &[Line]) -> PathBuf {
    let mut journal = Journal::create(dir, header()).unwrap();
    lines.iter().for_each(|line| journal.append(line).unwrap());
    journal.path().to_owned()
}

fn error_of(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, text).unwrap();
    format!("{:#}", read(&path).unwrap_err())
}

fn header_line() -> String {
    as_text(&[Line::Header(Box::new(header()))])
}

fn as_text(lines: &[Line]) -> String {
    lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
}

#[test]
fn what_was_appended_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let run = read(&written(dir.path(), &lines())).unwrap();
    assert_eq!(run.header, header());
    assert_eq!(run.failures, [failure()]);
    assert_eq!(run.end, Some(End { status: Status::Complete, wall_s: 2.0, criterion_s: None }));
    let by_case = run.by_case();
    let trials: Vec<_> =
        by_case.trials("G3/fp16/K1").iter().map(|v| v.samples_ms.clone()).collect();
    assert_eq!(trials, [vec![0.1, 0.2], vec![0.3]]);
    assert!(by_case.trials("G3/fp16/K2").is_empty());
    assert_eq!(by_case.failure("G3/fp16/K2"), Some(&failure()));
    assert!(by_case.failure("G3/fp16/K1").is_none());
}

#[test]
fn cut_at_any_byte_it_keeps_its_whole_lines_and_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(written(dir.path(), &lines())).unwrap();
    let header_bytes = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, &bytes[..cut]).unwrap();
        if cut < header_bytes {
            assert!(Journal::reopen(dir.path(), |_| Ok(())).is_err(), "cut at {cut}");
            continue;
        }
        let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count() - 1;
        let (mut journal, run) = Journal::reopen(dir.path(), |_| Ok(())).unwrap();
        let events = run.trials.len() + run.failures.len() + usize::from(run.end.is_some());
        assert_eq!(events, whole, "cut at {cut}");
        lines()[whole..].iter().for_each(|line| journal.append(line).unwrap());
        assert_eq!(fs::read(&path).unwrap(), bytes, "cut at {cut}");
    }
}

#[test]
fn an_end_that_something_follows_is_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = lines();
    let end = lines.remove(3);
    lines.insert(1, end);
    assert_eq!(read(&written(dir.path(), &lines)).unwrap().end, None);
}

#[test]
fn a_broken_file_says_where_and_why() {
    let header_line = header_line();
    assert!(error_of("").contains("empty"));
    assert!(error_of("hello\n").contains(":1: not a line"));
    assert!(error_of(&as_text(&lines())).contains(":1: the first line is no header"));
    let broken = error_of(&format!("{header_line}{{\"line\":\n{}", as_text(&lines())));
    assert!(broken.contains("journal.jsonl:2: not a line"), "{broken}");
    assert!(broken.contains("; the others can be used without it: `sed -i.bak 2d /"), "{broken}");
    let twice = error_of(&format!("{header_line}{header_line}"));
    assert!(twice.contains(":2: a second header"), "{twice}");
    let other = error_of(&header_line.replace("\"2.0\"", "\"3.0\""));
    assert!(other.contains("schema version 3.0") && other.contains("that wrote it"), "{other}");
    let repeated = error_of(&format!("{header_line}{0}{0}", as_text(&lines()[..1])));
    assert!(repeated.contains(":3: a second trial of G3/fp16/K1 in trial 0"), "{repeated}");
    let stranger = as_text(&[trial_line("G3/fp16/K9", 0, &[1.0])]);
    let stranger = error_of(&format!("{header_line}{stranger}"));
    assert!(stranger.contains(":2: the header has no case G3/fp16/K9"), "{stranger}");
}

#[test]
fn a_minor_version_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let newer = Header { schema_version: "2.7".to_owned(), ..header() };
    let journal = Journal::create(dir.path(), newer).unwrap();
    assert_eq!(read(journal.path()).unwrap().header.schema_version, "2.7");
}

#[test]
fn a_sample_that_is_no_time_is_refused_with_its_case() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let line = trial_line("G3/fp16/K1", 1, &[0.1, bad]);
        let error = format!("{:#}", journal.append(&line).unwrap_err());
        assert!(error.contains("G3/fp16/K1: sample 1 of trial 1"), "{error}");
    }
    assert!(journal.append(&trial_line("G3/fp16/K1", 0, &[])).is_err());
    assert!(read(journal.path()).unwrap().trials.is_empty());

    let zero = as_text(&[trial_line("G3/fp16/K1", 0, &[0.0])]);
    let error = error_of(&format!("{}{zero}", header_line()));
    assert!(error.contains(":2: G3/fp16/K1: sample 0 of trial 0 is 0 ms"), "{error}");
}

#[test]
fn junk_anywhere_is_named_and_its_line_can_be_taken_out() {
    let sound = header_line() + &as_text(&lines());
    for junk in
        [&b"\xff\xfe\0\0\x7fELF"[..], b"{}", b"\r", b"", &[b'['; 10_000], b"{\"line\":\"trial\"}"]
    {
        for at in 1..=5 {
            let mut whole: Vec<&[u8]> =
                sound.trim_end().as_bytes().split(|&b| b == b'\n').collect();
            whole.insert(at, junk);
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE_NAME);
            fs::write(&path, [&whole.join(&b"\n"[..])[..], b"\n"].concat()).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            let number = at + 1;
            assert!(error.contains(&format!("{FILE_NAME}:{number}: not a line")), "{error}");
            let (_, command) = error.split_once("without it: `").unwrap();
            let command = command.trim_end_matches('`');
            let shell = std::process::Command::new("sh").args(["-c", command]).status();
            assert!(shell.unwrap().success());
            assert_eq!(fs::read_to_string(&path).unwrap(), sound);
            assert_eq!(read(&path).unwrap().trials.len(), 2);
        }
    }
}

#[test]
fn of_a_newer_minor_version_what_is_unknown_is_no_junk() {
    let newer = header_line().replace("\"2.0\"", "\"2.9\"");
    let error = error_of(&format!("{newer}{{\"line\":\"pause\"}}\n"));
    assert!(error.contains("schema version 2.9") && error.contains("use that one"), "{error}");
    assert!(!error.contains("sed"), "{error}");
}

#[test]
fn headers_that_no_spec_could_have_made_are_refused() {
    let refused = |change: &dyn Fn(&mut Header), says: &str| {
        let mut header = header();
        change(&mut header);
        let error = error_of(&as_text(&[Line::Header(Box::new(header))]));
        assert!(error.contains(":1: ") && error.contains(says), "{error}");
    };
    refused(&|h| h.protocol.trials = usize::MAX, "trials: allowed are 1 to 1000");
    refused(&|h| h.protocol.trials = 0, "trials");
    refused(&|h| h.cases[1].id = h.cases[0].id.clone(), "two cases have the id");
    refused(&|h| h.cases[0].id = "../../etc/passwd".to_owned(), "an id is group/series/point");
    refused(&|h| h.cases[0].id = "G3/../K1".to_owned(), "an id is group/series/point");
    refused(&|h| h.cases[0].id = "G3".to_owned(), "an id is group/series/point");
    let huge = GemmShape { m: usize::MAX, n: 2, k: 2 };
    refused(&|h| h.cases[0].operation = Operation::Gemm(Gemm::dense(huge)), "a tensor of");
    refused(&|h| h.cases[0].operation = Operation::GemmSequence(vec![]), "no GEMMs");
    let dense = Gemm::dense(GemmShape { m: 64, n: 64, k: 64 });
    for batch in [0, 1 << 30] {
        let gemm = Operation::Gemm(Gemm { batch, ..dense });
        refused(&|h| h.cases[0].operation = gemm.clone(), "a tensor of");
    }
    let padded = Gemm { shape: GemmShape { k: 72, ..dense.shape }, ..dense };
    let batch = Operation::GemmOnTheFly(Gemm { batch: 2, ..padded });
    refused(&|h| h.cases[0].operation = batch.clone(), "a batch of GEMMs has no padding");
}

#[test]
fn every_start_is_kept_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let slurm = |count: &str| json!({"SLURM_RESTART_COUNT": count});
    let mut first = header();
    first.env["slurm"] = slurm("0");
    let mut second = first.clone();
    (second.env["slurm"], second.started_at) = (slurm("1"), "2026-01-02T00:00:00Z".to_owned());
    let mut journal = Journal::create(dir.path(), first.clone()).unwrap();
    journal.append(&lines()[0]).unwrap();
    journal.append(&lines()[3]).unwrap();
    journal.append(&Line::Start(Start::of(&second))).unwrap();
    let run = read(journal.path()).unwrap();
    assert_eq!(run.end, None, "it goes on");
    assert_eq!(run.starts, [Start::of(&first), Start::of(&second)]);
    assert_eq!(run.env()["starts"][1]["slurm"], slurm("1"));
    assert_eq!(run.env()["starts"][1]["started_at"], "2026-01-02T00:00:00Z");
    assert_eq!(run.env()["slurm"], slurm("0"));
}

/// A search of the run for each case would take minutes here.
#[test]
fn a_sweep_of_20000_cases_is_looked_through_once() {
    let ids: Vec<String> = (0..20_000).map(|k| format!("G3/fp16/K{k}")).collect();
    let mut run = read(&written(tempfile::tempdir().unwrap().path(), &lines())).unwrap();
    run.trials = ids.iter().rev().map(|id| trial_of(id, 0, vec![0.1])).collect();
    run.failures = ids.iter().map(|id| Failure { case_id: id.clone(), ..failure() }).collect();
    let start = std::time::Instant::now();
    let by_case = run.by_case();
    for id in &ids {
        assert_eq!(&by_case.trials(id)[0].case_id, id);
        assert_eq!(&by_case.failure(id).unwrap().case_id, id);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn nothing_is_written_that_a_reader_would_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let before = fs::read(journal.path()).unwrap();
    let sound = lines().into_iter().find(|line| matches!(line, Line::Trial(_))).unwrap();
    let Line::Trial(sound) = sound else { unreachable!("it is a trial") };
    let with = |change: fn(&mut Trial)| {
        let mut trial = sound.clone();
        change(&mut trial);
        Line::Trial(trial)
    };
    let failure = |error: &str| {
        Line::Failure(Failure {
            case_id: sound.case_id.clone(),
            trial: 0,
            error_kind: crate::workload::ErrorKind::Cuda,
            error: error.to_owned(),
        })
    };
    let end = |wall_s, criterion_s| Line::End(End { status: Status::Partial, wall_s, criterion_s });
    let long = "\\".repeat(check::MAX_TEXT_BYTES / 2 + 1);
    for (line, says) in [
        (with(|trial| trial.samples_ms.clear()), "has no sample"),
        (with(|trial| trial.samples_ms[0] = 0.0), "sample 0 of trial"),
        (with(|trial| trial.samples_ms[0] = f64::NAN), "is NaN ms"),
        (with(|trial| trial.wall_s = -1.0), "a trial took -1 s"),
        (with(|trial| trial.wall_s = f64::INFINITY), "a trial took inf s"),
        (end(f64::NAN, None), "a run took NaN s"),
        (end(1.0, Some(-0.5)), "Criterion took -0.5 s"),
        (failure(&long), "a text of 60002 bytes: allowed are up to 60000"),
    ] {
        let error = format!("{:#}", journal.append(&line).unwrap_err());
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(fs::read(journal.path()).unwrap(), before);
    journal.append(&failure(&check::shortened(&long))).unwrap();
    read(journal.path()).unwrap();

    // What somebody else wrote.
    let mut text = String::from_utf8(before).unwrap();
    text += &serde_json::to_string(&failure(&long)).unwrap();
    fs::write(journal.path(), text + "\n").unwrap();
    let error = format!("{:#}", read(journal.path()).unwrap_err());
    assert!(error.contains("journal.jsonl:2: a text of 60002 bytes"), "{error}");
    let names: [fn(&mut Header); 4] = [
        |header| header.experiment = "x".repeat(1001),
        |header| header.device = "x".repeat(1001),
        |header| header.cases[0].curve = "x".repeat(1001),
        |header| header.env["host"] = serde_json::json!({"cpu": "x".repeat(1001)}),
    ];
    for change in names {
        let mut header = header();
        change(&mut header);
        let error = Journal::create(&dir.path().join("new"), header).unwrap_err();
        assert!(format!("{error:#}").contains("a name of 1001 bytes"), "{error:#}");
    }
}

pub(crate) fn energy(case_id: &str) -> Energy {
    Energy {
        case_id: case_id.to_owned(),
        joules: 1068.0,
        seconds: 1.5,
        launches: 7168.25,
        uncertainty_pct: 0.2,
        polled_watts: Some(690.5),
        wall_s: 2.2,
        spent: Spent::default(),
    }
}

fn energy_line(case_id: &str) -> Line {
    Line::Energy(Box::new(energy(case_id)))
}

#[test]
fn energies_are_read_as_written_and_each_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    lines().iter().chain([&energy_line("G3/fp16/K1")]).for_each(|l| journal.append(l).unwrap());
    let run = read(journal.path()).unwrap();
    assert_eq!(run.energy, [energy("G3/fp16/K1")]);
    assert_eq!(run.by_case().energy("G3/fp16/K1"), Some(&energy("G3/fp16/K1")));
    assert_eq!(run.by_case().energy("G3/fp16/K2"), None);
    // Measured after the end: it is no longer one.
    assert_eq!(run.end, None);
    assert!((run.wall_s() - 3.2).abs() < 1e-9, "{}", run.wall_s());
    for (line, part) in
        [(energy_line("G3/fp16/K1"), "K1, again"), (energy_line("G3/fp16/K3"), "no case")]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), header()).unwrap();
        [energy_line("G3/fp16/K1"), line].iter().for_each(|line| journal.append(line).unwrap());
        let error = format!("{:#}", read(journal.path()).unwrap_err());
        assert!(error.contains(part) && error.contains("journal.jsonl:3"), "{error}");
    }
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
