//! Whatever stands in a file, a reader of it hands back what is there or an error: it does not
//! panic, and takes no more memory and time than the file is worth. Inputs are valid files with
//! some edits, and arbitrary bytes.
//!
//! Some hundred inputs a reader in `cargo test`; for minutes with
//! `NIGHT_SWEEP_FUZZ_S=600 cargo test --test fuzz -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code)] // what other tests use too

mod mutation;
#[path = "../synthetic/mod.rs"]
mod synthetic;

use mutation::edits;
use night_sweep::advise::{Request, advise, input};
use night_sweep::compare::side::{criterion as baselines, runs};
use night_sweep::compare::stored::{self, Allowed};
use night_sweep::experiments;
use night_sweep::journal::record::{Header, Line};
use night_sweep::journal::{self, Journal};
use night_sweep::measure::record::Cold;
use night_sweep::render::{self, index, page, plot, table};
use night_sweep::results::{build, criterion_files, read, summarise};
use night_sweep::spec::{Spec, SpecError};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use synthetic::Outcome;

const CASES: u32 = 300;
/// Longer than any input should take, on a busy machine and without optimisation.
const HANGS: Duration = Duration::from_secs(60);
/// More address space than all readers need at once.
const MEMORY_BYTES: u64 = 8 << 30;

/// Reads inputs made of `corpus`: so many of them, or for as long as `NIGHT_SWEEP_FUZZ_S` says.
fn fuzz(name: &str, corpus: &[Vec<u8>], is_long: bool, read: impl Fn(&[u8])) {
    limit_memory();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    let variable = std::env::var("NIGHT_SWEEP_FUZZ_S");
    let seconds = variable.map_or(60, |seconds| seconds.parse().expect("a number of seconds"));
    let nearly_right = (any::<Index>(), edits()).prop_map(|(seed, edits)| {
        let valid = corpus[seed.index(corpus.len())].clone();
        edits.iter().fold(valid, |bytes, edit| edit.apply(bytes))
    });
    let inputs = prop_oneof![
        15 => nearly_right,
        1 => prop::collection::vec(any::<u8>(), 0..2000),
    ];
    let (start, mut read_in_all, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    loop {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let slowest_here = std::cell::Cell::new(slowest);
        let done = TestRunner::new(config).run(&inputs, |bytes| {
            if is_long {
                // An input that takes all memory ends the process, and nobody would know which one
                // it was.
                fs::write(&path, &bytes).unwrap();
            }
            let since = Instant::now();
            read(&bytes);
            let took = since.elapsed();
            slowest_here.set(slowest_here.get().max(took));
            prop_assert!(took < HANGS, "it took {took:?}");
            Ok(())
        });
        if let Err(TestError::Fail(reason, bytes)) = &done {
            fs::write(&path, bytes).unwrap();
            panic!("{reason}; the input is in {}", path.display());
        }
        done.unwrap();
        (read_in_all, slowest) = (read_in_all + CASES, slowest_here.get());
        if !is_long || start.elapsed() > Duration::from_secs(seconds) {
            break;
        }
    }
    println!(
        "{name}: {read_in_all} inputs in {:.0?}, the slowest in {slowest:.2?}",
        start.elapsed()
    );
}

/// An input that asks for more fails to allocate, which ends the test.
fn limit_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit { current: Some(MEMORY_BYTES), maximum: None };
    let _ = setrlimit(Resource::As, limit);
}

/// A few rows of each experiment, with their variants.
fn outcomes() -> [(&'static str, Vec<Outcome>); 7] {
    let few = |outcomes: Vec<Outcome>| {
        let rows = outcomes.iter().filter(|(case, _)| case.variant.is_none());
        let rows: Vec<_> = rows.step_by(5).take(4).map(|(case, _)| case.id.clone()).collect();
        outcomes.into_iter().filter(|(case, _)| rows.contains(&case.row)).collect()
    };
    synthetic::all().map(|(group, outcomes, _)| (group, few(outcomes)))
}

/// Journals with few samples: an edit of the hundredth one says no more than of the third.
fn journals() -> Vec<(Header, Vec<Line>)> {
    let of = |(group, outcomes): (_, Vec<_>)| {
        let on = |device| synthetic::journal_of(group, group, device, &outcomes);
        let (header, lines) = on("cuda:0");
        [on("cpu"), (header, synthetic::with_energy(&outcomes, lines))]
    };
    let mut journals: Vec<_> = outcomes().into_iter().flat_map(of).collect();
    for line in journals.iter_mut().flat_map(|(_, lines)| lines) {
        match line {
            Line::Trial(trial) => trial.samples_ms.truncate(4),
            Line::Secondary(secondary) => {
                secondary.isolated_ms.truncate(2);
                secondary.per_call_ms.truncate(2);
                if let Cold::Samples { samples_ms, .. } = &mut secondary.cold {
                    samples_ms.truncate(2);
                }
            }
            _ => {}
        }
    }
    journals
}

fn spec(is_long: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spec.yaml");
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nexperiments: {X: {type: gemm_k_dense, dtypes: *b}}\n";
    let corpus = [
        include_bytes!("../../experiments/night_sweep.yaml").to_vec(),
        include_bytes!("../../experiments/night_sweep_cpu.yaml").to_vec(),
        bomb.as_bytes().to_vec(),
    ];
    fuzz("spec", &corpus, is_long, |bytes| {
        fs::write(&path, bytes).unwrap();
        match Spec::load(&path) {
            Err(SpecError::Invalid { line, column, problem, .. }) => {
                let lines = String::from_utf8_lossy(bytes).lines().count();
                assert!((1..=lines + 1).contains(&line) && column >= 1, "{line}:{column}");
                assert!(!problem.is_empty() && !problem.contains('\n'), "{problem}");
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            Ok(spec) => spec.experiments().for_each(|experiment| {
                let cases = experiment.cases();
                assert!(cases.iter().all(|case| case.operation.bytes(case.dtype) > 0.0));
            }),
        }
    });
}

fn run_journal(is_long: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(journal::FILE_NAME);
    let text = |(header, lines): (Header, Vec<Line>)| -> Vec<u8> {
        let start = Line::Start(night_sweep::journal::record::Start::of(&header));
        let all = [vec![Line::Header(Box::new(header))], lines, vec![start]].concat();
        let text: String =
            all.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        text.into_bytes()
    };
    let mut corpus: Vec<_> = journals().into_iter().map(text).collect();
    // Half of the edits are of what follows from a header alone.
    corpus
        .extend(journals().into_iter().map(|(header, lines)| text((header, lines[..2].to_vec()))));
    fuzz("journal", &corpus, is_long, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Ok(run) = journal::read(&path) else {
            assert!(Journal::reopen(dir.path(), |_| Ok(())).is_err());
            return;
        };
        run.open_trials();
        let Ok((raw, warnings)) = build::raw(&run, dir.path()) else { return };
        let view = experiments::view(&raw.config);
        let summary = summarise::of(&raw, &run, view, warnings);
        let _ = page::of(&raw, &summary, &run.env());
        table::of(&raw, &summary, 80);
        // Drawing takes a second.
        if bytes.len() % 64 == 0 {
            let _ = plot::draw(&raw, &summary);
        }
        assert_eq!(Journal::reopen(dir.path(), |_| Ok(())).unwrap().1, run);
    });
}

fn criterion(is_long: bool) {
    let home = tempfile::tempdir().unwrap();
    let (header, lines) = journals().swap_remove(0);
    let run = synthetic::run(header, &lines);
    let (raw, _) = build::raw(&run, home.path()).unwrap();
    let row = raw.measured().next().unwrap();
    let (id, mean_ns) = (&row.point.case_id, row.timing.mean * 1e6);

    let folder = criterion_files::folder(home.path(), id).join("new");
    fs::create_dir_all(&folder).unwrap();
    let files = synthetic::criterion_files(id, mean_ns);
    let corpus = files.each_ref().map(|(_, text)| text.clone().into_bytes());
    fuzz("criterion", &corpus, is_long, |bytes| {
        for (name, _) in &files {
            for (name, text) in &files {
                fs::write(folder.join(name), text).unwrap();
            }
            fs::write(folder.join(name), bytes).unwrap();
            let (raw, warnings) = build::raw(&run, home.path()).unwrap();
            summarise::of(&raw, &run, experiments::view(&raw.config), warnings);
            let Ok(side) = baselines::read(home.path(), "new") else { continue };
            let _ = stored::compare(&side, &side, 0.05, Allowed::default());
        }
    });
}

struct Folders {
    sound: PathBuf,
    edited: PathBuf,
}

const RUN_FILES: [&str; 3] = ["raw.json", "env.json", "summary.json"];

fn run_folder(is_long: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut folders = Vec::new();
    for (at, (header, lines)) in journals().into_iter().enumerate() {
        let run = synthetic::run(header, &lines);
        let (raw, summary) = synthetic::results(&run);
        let [sound, edited] = ["sound", "edited"].map(|root| {
            let root = dir.path().join(format!("{root}-{at}"));
            let folder = root.join(&run.header.group).join("run");
            fs::create_dir_all(&folder).unwrap();
            let write = |name: &str, bytes| fs::write(folder.join(name), bytes).unwrap();
            write("raw.json", serde_json::to_vec_pretty(&raw).unwrap());
            write("env.json", serde_json::to_vec_pretty(&run.env()).unwrap());
            write("summary.json", serde_json::to_vec_pretty(&summary).unwrap());
            folder
        });
        folders.push(Folders { sound, edited });
    }
    // The first two bytes say which file of which of them it is.
    let corpus: Vec<Vec<u8>> = (0..folders.len())
        .flat_map(|at| (0..RUN_FILES.len()).map(move |file| (at, file)))
        .map(|(at, file)| {
            let text = fs::read(folders[at].sound.join(RUN_FILES[file])).unwrap();
            [&[at as u8, file as u8], &*text].concat()
        })
        .collect();
    fuzz("run-folder", &corpus, is_long, |bytes| {
        let [at, file, bytes @ ..] = bytes else { return };
        let Folders { sound, edited } = &folders[usize::from(*at) % folders.len()];
        for file in RUN_FILES {
            fs::copy(sound.join(file), edited.join(file)).unwrap();
        }
        fs::write(edited.join(RUN_FILES[usize::from(*file) % RUN_FILES.len()]), bytes).unwrap();
        read_folder(sound, edited);
    });
}

fn read_folder(sound: &Path, edited: &Path) {
    let _ = render::stored::table_of(edited);
    let root = edited.parent().and_then(Path::parent).unwrap();
    index::write(root, None).unwrap();
    let allowed = Allowed { mismatch: true, missing: false };
    if let (Ok(base), Ok(cand)) = (runs::read(sound), runs::read(edited)) {
        for (base, cand) in [(&base, &cand), (&cand, &base)] {
            let _ = stored::compare(base, cand, 0.05, allowed);
        }
    }
    let Ok(raw) = read::raw(edited) else { return };
    let dims = raw.measurements.iter().map(|row| row.point().dim.to_string());
    let Ok(items) = input::dims(&dims.collect::<Vec<_>>().join(",")) else { return };
    for budget in [None, Some(1000)] {
        let items = items.clone();
        let request = Request { operation: None, curve: None, items, max_overhead: 0.1, budget };
        let _ = advise(std::slice::from_ref(&raw), &request);
    }
}

const READERS: [fn(bool); 4] = [spec, run_journal, criterion, run_folder];

#[test]
fn a_spec() {
    spec(false);
}

#[test]
fn a_journal() {
    run_journal(false);
}

#[test]
fn criterions_files() {
    criterion(false);
}

#[test]
fn a_run_folder() {
    run_folder(false);
}

#[test]
#[ignore = "runs for minutes"]
fn every_reader_for_minutes() {
    let readers = READERS.map(|read| std::thread::spawn(move || read(true)));
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}
