//! A journal that is started, and written to line by line, by one process at a time.

use crate::files::{self, cannot, not_a_link, remove_own, rename_own, sync_dir};
use crate::journal::check;
use crate::journal::reader::{parse, read_bytes, whole_lines};
use crate::journal::record::{Header, Line};
use crate::journal::run::Run;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name of the journal in the folder of its run.
pub const FILE_NAME: &str = "journal.jsonl";

const NEW_FILE_NAME: &str = "journal.new";

/// A run that no other process can start.
#[derive(Debug)]
pub struct Claim {
    file: File,
    dir: PathBuf,
}

/// A journal open for writing.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Claim {
    /// Makes the folder `dir` if need be, and keeps other processes from starting a journal there.
    pub fn of(dir: &Path) -> Result<Claim> {
        not_a_link(dir)?;
        fs::create_dir_all(dir).with_context(cannot("create", dir))?;
        let (path, new) = (dir.join(FILE_NAME), dir.join(NEW_FILE_NAME));
        not_a_link(&new)?;
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&new)
            .with_context(cannot("start the journal", &path))?;
        lock(&file, &new)?;
        // Looked for under the lock: whoever held it before may have started one.
        if path.symlink_metadata().is_ok() {
            let _ = remove_own(&new);
            bail!("there is a journal {} already", path.display());
        }
        Ok(Claim { file, dir: dir.to_owned() })
    }

    /// Starts `<dir>/journal.jsonl` with its header.
    pub fn start(self, header: Header) -> Result<Journal> {
        self.start_with(&[Line::Header(Box::new(header))])
    }

    /// The same with these lines, the first of which is the header.
    pub fn start_with(self, lines: &[Line]) -> Result<Journal> {
        let (path, new) = (self.dir.join(FILE_NAME), self.dir.join(NEW_FILE_NAME));
        let context = || format!("cannot start the journal {}", path.display());
        ensure!(
            inode(fs::metadata(&new)) == inode(self.file.metadata()),
            "{} was replaced by another process as this run started",
            self.dir.display()
        );
        // What a process left that was killed before its header was whole.
        self.file.set_len(0).with_context(context)?;
        let mut journal = Journal { file: self.file, path: path.clone() };
        journal.write(&lines.iter().map(text).collect::<Result<String>>()?)?;
        // Never in place of a file: file systems without locks have that at least.
        rename_own(&new, &path).with_context(context)?;
        sync_dir(&self.dir)?;
        Ok(journal)
    }
}

impl Journal {
    /// Starts `<dir>/journal.jsonl` with its header, and makes the folder if need be.
    pub fn create(dir: &Path, header: Header) -> Result<Journal> {
        Claim::of(dir)?.start(header)
    }

    /// Opens `<dir>/journal.jsonl` to go on with its run, if `is_allowed` lets it; then a last line
    /// cut short is removed. A journal that is refused is left as it is.
    pub fn reopen(
        dir: &Path,
        is_allowed: impl FnOnce(&Run) -> Result<()>,
    ) -> Result<(Journal, Run)> {
        let path = dir.join(FILE_NAME);
        not_a_link(dir)?;
        not_a_link(&path)?;
        let file = files::open_to_append(&path).with_context(cannot("append to", &path))?;
        lock(&file, &path)?;
        let bytes = read_bytes(&path)?;
        let run = parse(&path, &bytes)?;
        is_allowed(&run)?;
        file.set_len(whole_lines(&bytes).len() as u64).with_context(cannot("truncate", &path))?;
        Ok((Journal { file, path }, run))
    }

    /// Where the journal lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line, and returns once it is on disk.
    ///
    /// # Errors
    /// If it cannot be written, a reader would refuse it, or the journal is no longer there.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        self.write(&text(line)?)?;
        ensure!(
            self.is_there(),
            "{} was removed or replaced as the run went on, and what it held with it",
            self.path.display()
        );
        Ok(())
    }

    /// Whether the file that is written to still has its name.
    pub fn is_there(&self) -> bool {
        inode(fs::metadata(&self.path))
            .is_some_and(|there| Some(there) == inode(self.file.metadata()))
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .with_context(cannot("write to", &self.path))
    }
}

/// Keeps other processes from writing to the journal until this one closes it or ends, however it
/// ends: two that append to one run leave trials that stand twice, which no reader takes.
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => bail!("{}: another process is writing to it", path.display()),
        // A file system without locks, as some of a cluster are, is no reason not to measure.
        _ => Ok(()),
    }
}

/// Whether a process is writing to the journal.
pub fn is_being_written(path: &Path) -> bool {
    let lock = |file: File| flock(&file, FlockOperation::NonBlockingLockShared);
    files::open(path).is_ok_and(|file| lock(file) == Err(Errno::WOULDBLOCK))
}

/// A line as it is on disk; nothing that [`super::read`] would refuse.
fn text(line: &Line) -> Result<String> {
    check::line(line)?;
    let text = serde_json::to_string(line)?;
    check::texts(text.as_bytes())?;
    Ok(text + "\n")
}

fn inode(metadata: std::io::Result<Metadata>) -> Option<(u64, u64)> {
    metadata.ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read;
    use crate::journal::tests::{header, lines, written};

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
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
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
}
