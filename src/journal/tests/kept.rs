//! What was written is read back, as far as it got to the disk.

use super::*;
use std::time::Instant;

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
    let ends: Vec<usize> = (1..=bytes.len()).filter(|&end| bytes[end - 1] == b'\n').collect();
    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, &bytes[..cut]).unwrap();
        if cut < ends[0] {
            assert!(Journal::reopen(dir.path(), |_| Ok(())).is_err(), "cut at {cut}");
            continue;
        }
        let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
        let (mut journal, run) = Journal::reopen(dir.path(), |_| Ok(())).unwrap();
        let events = run.trials.len() + run.failures.len() + usize::from(run.end.is_some());
        assert_eq!(events, whole, "cut at {cut}");
        // With its next line the file is one that was never cut.
        lines()[whole..].iter().take(1).for_each(|line| journal.append(line).unwrap());
        let end = *ends.get(whole + 1).unwrap_or(&bytes.len());
        assert_eq!(fs::read(&path).unwrap(), bytes[..end], "cut at {cut}");
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
fn a_minor_version_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let newer = Header { schema_version: "2.7".to_owned(), ..header() };
    let journal = Journal::create(dir.path(), newer).unwrap();
    assert_eq!(read(journal.path()).unwrap().header.schema_version, "2.7");
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

/// A search of the run for each case would take minutes here: for each fifth it already takes
/// longer than to look through the run once.
#[test]
fn a_sweep_of_20000_cases_is_looked_through_once() {
    let ids: Vec<String> = (0..20_000).map(|k| format!("G3/fp16/K{k}")).collect();
    let mut run = read(&written(tempfile::tempdir().unwrap().path(), &lines())).unwrap();
    run.trials = ids.iter().rev().map(|id| trial_of(id, 0, vec![0.1])).collect();
    run.failures = ids.iter().map(|id| Failure { case_id: id.clone(), ..failure() }).collect();
    let took = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let searched = took(&|| {
        for id in ids.iter().step_by(5) {
            assert!(run.trials.iter().any(|trial| trial.case_id == *id));
        }
    });
    let look_through = || {
        let by_case = run.by_case();
        for id in &ids {
            assert_eq!(&by_case.trials(id)[0].case_id, id);
            assert_eq!(&by_case.failure(id).unwrap().case_id, id);
        }
    };
    // The best of three: other processes run on this machine as well.
    let once = (0..3).map(|_| took(&look_through)).min().unwrap();
    assert!(once < searched, "{once:?}, and a fifth searched for {searched:?}");
}
