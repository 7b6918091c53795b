//! One process writes to a journal, in its own folder, and a full disk is said.

use super::*;

#[test]
fn a_full_disk_is_said_with_the_file() {
    // A device that is always full.
    let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let mut journal = Journal { file, path: PathBuf::from("/nights/journal.jsonl") };
    let error = format!("{:#}", journal.append(&lines()[0]).unwrap_err());
    assert!(error.contains("cannot write to /nights/journal.jsonl: No space left"), "{error}");
}

#[test]
fn an_existing_journal_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &lines());
    let before = fs::read(&path).unwrap();
    let error = format!("{:#}", Journal::create(dir.path(), header()).unwrap_err());
    assert!(error.contains(FILE_NAME), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_run_is_started_by_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let claim = Claim::of(dir.path()).unwrap();
    let second = format!("{:#}", Claim::of(dir.path()).unwrap_err());
    assert!(second.contains("another process is writing to it"), "{second}");
    assert!(!dir.path().join(FILE_NAME).exists(), "not before it has a header");
    // Somebody removes the folder, and a third process starts there.
    let elsewhere = tempfile::tempdir().unwrap();
    let replaced = Claim::of(elsewhere.path()).unwrap();
    fs::remove_file(elsewhere.path().join(NEW_FILE_NAME)).unwrap();
    let replacing = Claim::of(elsewhere.path()).unwrap();
    assert!(replaced.start(header()).unwrap_err().to_string().contains("was replaced"));
    replacing.start(header()).unwrap();

    let _journal = claim.start(header()).unwrap();
    let third = format!("{:#}", Claim::of(dir.path()).unwrap_err());
    assert!(third.contains("there is a journal"), "{third}");
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [FILE_NAME]);
}

#[test]
fn what_a_process_left_that_was_killed_as_it_started_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(NEW_FILE_NAME), "{\"line\":\"header\",\"sch").unwrap();
    let journal = Journal::create(dir.path(), header()).unwrap();
    assert_eq!(read(journal.path()).unwrap().header, header());
}

#[test]
fn links_are_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let (elsewhere, run) = (root.path().join("elsewhere"), root.path().join("run"));
    drop(Journal::create(&elsewhere, header()).unwrap());
    std::os::unix::fs::symlink(&elsewhere, &run).unwrap();
    let before = fs::read(elsewhere.join(FILE_NAME)).unwrap();
    for error in [
        Journal::reopen(&run, |_| Ok(())).unwrap_err(),
        Journal::create(&run, header()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("symbolic link"), "{error:#}");
    }
    assert_eq!(fs::read(elsewhere.join(FILE_NAME)).unwrap(), before);
}
