use super::*;
use anyhow::bail;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

fn is_ours(name: &Path, is_dir: bool) -> bool {
    match is_dir {
        true => name == Path::new("plots"),
        false => ["a", "b", "half", "plots/c"].iter().any(|ours| name == Path::new(ours)),
    }
}

const KIND: Kind = Kind { identity: "one", ..Kind::of("a test", is_ours) };

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn fill(name: &str) -> impl FnOnce(&Path) -> Result<()> {
    move |dir| write_file(&dir.join(name), b"1")
}

#[test]
fn only_plain_names_become_folders() {
    for name in ["S1", "20260101_000000_S1_sdpa_dense_sweep", "a.b-c"] {
        assert!(plain_name(name).is_ok(), "{name}");
    }
    for name in ["", ".", "..", ".hidden", "a/b", "../x", "a\\b", "a b", "ä", "a\0", "/etc", "\n"]
    {
        assert!(plain_name(name).is_err(), "{name:?}");
    }
    assert!(plain_name(&"x".repeat(201)).is_err());
}

#[test]
fn a_folder_is_replaced_whole() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("G3").join("run");
    replace(&target, &KIND, fill("a")).unwrap();
    replace(&target.join(""), &KIND, fill("b")).unwrap();
    assert_eq!(names(&target), [MARK, "b"]);
    assert_eq!(names(&root.path().join("G3")), ["run"]);
}

#[test]
fn a_failure_leaves_what_was_there() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("run");
    let fail = |dir: &Path| {
        write_file(&dir.join("half"), b"1")?;
        bail!("the disk is full")
    };
    let error = format!("{:#}", replace(&target, &KIND, fail).unwrap_err());
    assert!(error.contains("the disk is full") && error.contains("run"), "{error}");
    assert!(names(root.path()).is_empty());

    replace(&target, &KIND, fill("a")).unwrap();
    assert!(replace(&target, &KIND, fail).is_err());
    assert_eq!(names(root.path()), ["run"]);
    assert_eq!(names(&target), [MARK, "a"]);
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else_is() {
    let root = tempfile::tempdir().unwrap();
    let age = Duration::from_secs(120);
    let make = |name: &str, age: Duration, kind: Option<&Kind>, file: &str| {
        let dir = make_dir(&root.path().join(name)).unwrap();
        if let Some(kind) = kind {
            claim(&dir, kind).unwrap();
        }
        write_file(&dir.join(file), b"1").unwrap();
        File::open(dir).unwrap().set_modified(SystemTime::now() - age).unwrap();
    };
    let other = Kind { what: "another", ..KIND };
    make(".night-sweep-old", age, Some(&Kind { identity: "two", ..KIND }), "a");
    make(".night-sweep-locked", age, Some(&KIND), "a");
    make(".night-sweep-new", Duration::ZERO, Some(&KIND), "a");
    make(".night-sweep-other", age, Some(&other), "a");
    make(".night-sweep-backup", age, None, "a");
    make(".night-sweep-used", age, Some(&KIND), "precious");
    let locked = File::open(root.path().join(".night-sweep-locked")).unwrap();
    rustix::fs::flock(&locked, rustix::fs::FlockOperation::LockExclusive).unwrap();
    replace(&root.path().join("run"), &KIND, fill("a")).unwrap();
    let left = ["backup", "locked", "new", "other", "used"].map(|name| format!("{PREFIX}{name}"));
    assert_eq!(names(root.path()), [&left[..], &["run".to_owned()]].concat());
}

#[test]
fn what_another_made_is_refused_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("dir");
    fs::create_dir(&dir).unwrap();
    write_file(&dir.join("a"), b"precious").unwrap();
    let refused = |says: &str| {
        let errors = [
            ensure_ours(&dir, &KIND).unwrap_err(),
            ensure_replaceable(&dir.join(""), &KIND).unwrap_err(),
            claim(&dir, &KIND).unwrap_err(),
            clear(&dir, &KIND).unwrap_err(),
            replace(&dir, &KIND, fill("b")).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains(says), "{error:#}");
        }
    };
    refused("is not empty");
    // No mark: a folder, a link to one, that of another kind, of another run.
    fs::create_dir(dir.join(MARK)).unwrap();
    refused("is not empty");
    fs::remove_dir(dir.join(MARK)).unwrap();
    let ours = root.path().join("ours");
    claim(&ours, &KIND).unwrap();
    symlink(ours.join(MARK), dir.join(MARK)).unwrap();
    refused("is not empty");
    fs::remove_file(dir.join(MARK)).unwrap();
    for other in [Kind { what: "another", ..KIND }, Kind { identity: "two", ..KIND }] {
        owned::write_mark(&dir, &other).unwrap();
        refused("is not empty");
    }
    fs::remove_file(dir.join(MARK)).unwrap();
    // What is in it may say that it is ours.
    let older = Kind { unmarked: &|dir| dir.join("a").exists(), ..KIND };
    ensure_replaceable(&dir, &older).unwrap();
    assert_eq!(fs::read(dir.join("a")).unwrap(), b"precious");

    fs::rename(&dir, root.path().join("elsewhere")).unwrap();
    symlink(root.path().join("elsewhere"), &dir).unwrap();
    refused("symbolic link");
    assert_eq!(names(&root.path().join("elsewhere")), ["a"]);
    fs::remove_file(&dir).unwrap();
    write_file(&dir, b"precious").unwrap();
    refused("no folder");
    assert_eq!(fs::read(&dir).unwrap(), b"precious");
}

#[test]
fn what_another_put_into_a_folder_of_ours_stays() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("dir");
    fs::create_dir(&dir).unwrap();
    claim(&dir, &KIND).unwrap();
    for name in ["a", "plots/c", "plots/notes", "other/a", ".night-sweep-half"] {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        write_file(&dir.join(name), b"1").unwrap();
    }
    symlink(root.path(), dir.join("b")).unwrap();
    let error = replace(&dir, &KIND, fill("a")).unwrap_err().to_string();
    assert!(error.contains("did not write") && error.contains("plots/notes"), "{error}");
    assert_eq!(names(&dir.join("plots")), ["c", "notes"], "nothing is removed yet");
    let left = ["b", "other", "plots/notes"].map(|name| dir.join(name));
    assert_eq!(clear(&dir, &KIND).unwrap(), left);
    assert_eq!(names(&dir), [MARK, "b", "other", "plots"]);
    assert_eq!(names(&dir.join("plots")), ["notes"]);

    fs::remove_file(dir.join("b")).unwrap();
    fs::remove_file(dir.join("plots/notes")).unwrap();
    fs::remove_dir_all(dir.join("other")).unwrap();
    assert!(clear(&dir, &KIND).unwrap().is_empty() && !dir.exists());
    assert!(clear(&dir, &KIND).unwrap().is_empty(), "there is none");
}

#[test]
fn files_are_replaced_and_removed_by_what_is_in_them() {
    let root = tempfile::tempdir().unwrap();
    let (path, link) = (root.path().join("index.html"), root.path().join("link.html"));
    let is_ours = |bytes: &[u8]| bytes == b"ours";
    write_file(&path, b"precious").unwrap();
    symlink(&path, &link).unwrap();
    assert!(replace_file(&path, b"ours", is_ours).is_err());
    assert!(remove_if(&path, is_ours).is_err());
    assert!(replace_file(&link, b"ours", |_| true).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    replace_file(&path, b"ours", |_| true).unwrap();
    remove_if(&path, is_ours).unwrap();
    assert!(!path.exists());

    write_file(&path, b"new").unwrap();
    let taken = root.path().join("taken");
    write_file(&taken, b"precious").unwrap();
    assert!(rename_own(&path, &taken).is_err());
    assert_eq!(fs::read(&taken).unwrap(), b"precious");
    rename_own(&path, &root.path().join("free")).unwrap();
    assert!(!path.exists());
}
