//! A bench as a child process, for gates, fan-outs and probes.

use super::environment::OF_ONE_RUN;
use super::executable::Executable;
use super::signals::{Asked, Signals};
use super::watched::{PERIOD, Watched};
use crate::files::LARGE_BYTES;
use crate::terminal::say;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// With the name of a bench in this variable, `night-sweep` is that bench: same arguments, same
/// variables.
pub const RUN_BENCH: &str = "NIGHT_SWEEP_RUN_BENCH";

/// The experiments that this bench runs, in place of one of its types. `night-sweep run` sets this.
pub const RUN_LIST: &str = "NIGHT_SWEEP_RUN_LIST";

/// A process whose work can be done again has so long to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long a bench may take to list its cases.
pub const LIST: Duration = Duration::from_secs(600);

/// How a bench is watched that is waited for.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    pub signals: &'a Signals,
    /// One that takes longer hangs, and is ended.
    pub limit: Duration,
}

/// Why a bench was not waited for to its end.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    #[error("stopped by {}", .0.by)]
    Stopped(Asked),
    #[error("{program} was ended: it did not finish within {limit_s} s{}", .said)]
    Hung { program: String, limit_s: u64, said: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bench {
    pub executable: Executable,
    pub set: Vec<(String, OsString)>,
    removed: Vec<String>,
    arguments: Vec<OsString>,
}

impl Bench {
    /// A bench with the variables of this process, but none that say which run it is.
    pub fn new(executable: Executable) -> Self {
        let removed = OF_ONE_RUN.map(|name| format!("NIGHT_SWEEP_{name}")).to_vec();
        let arguments = vec!["--bench".into()];
        Bench { executable, set: Vec::new(), removed, arguments }
    }

    /// A part of a larger measurement: the cases of `spec`, of the built-in one if that is none,
    /// without a report of its own.
    pub fn part(self, spec: Option<&Path>) -> Self {
        let bench = self.set("NIGHT_SWEEP_REPORT", "no");
        match spec {
            Some(spec) => bench.set("NIGHT_SWEEP_SPEC", spec),
            None => bench.without("NIGHT_SWEEP_SPEC"),
        }
    }

    pub fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.set.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn set_all<V: AsRef<OsStr>>(
        self,
        variables: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) -> Self {
        variables.into_iter().fold(self, |bench, (name, value)| bench.set(name.as_ref(), value))
    }

    /// Keeps a variable of this process from it.
    pub fn without(mut self, name: &str) -> Self {
        self.removed.push(name.to_owned());
        self
    }

    pub fn arguments<A: AsRef<OsStr>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(more.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable.path);
        for name in &self.removed {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(self.set.iter().map(|(name, value)| (name, value)));
        if let Some(bench) = &self.executable.within {
            command.env(RUN_BENCH, bench);
        }
        command
    }

    /// Runs it to its end, and returns what it printed.
    ///
    /// # Errors
    /// [`Cut`], if somebody asks to stop or it hangs; another if it fails.
    pub fn run(&self, watch: &Watch) -> Result<String> {
        let program = self.executable.path.display();
        // Files: a pipe would have to be read while it runs, and lives as long as any process of
        // its.
        let file = || tempfile::tempfile().context("cannot make a temporary file");
        let (mut stdout, mut stderr) = (file()?, file()?);
        let output = [stdout.try_clone()?, stderr.try_clone()?];
        let cannot = || format!("cannot run {program}: was it built for this machine?");
        let child = Watched::start(&self.command(), output, GRACE).with_context(cannot)?;
        let status = wait(child, watch).with_context(cannot)?;
        if let Some(asked) = watch.signals.asked() {
            bail!(Cut::Stopped(asked));
        }
        let said = last_lines(&contents(&mut stderr)?);
        match status {
            None => bail!(Cut::Hung {
                program: program.to_string(),
                limit_s: watch.limit.as_secs(),
                said: if said.is_empty() { said } else { format!(" ({said})") },
            }),
            Some(status) if !status.success() => bail!("{program} ended with {status}: {said}"),
            Some(_) => Ok(String::from_utf8_lossy(&contents(&mut stdout)?).into_owned()),
        }
    }

    /// The ids of its cases that match `filter`, in their order; Criterion's filters are regular
    /// expressions too.
    pub fn cases(&self, filter: Option<&str>, watch: &Watch) -> Result<Vec<String>> {
        let read = |filter: &str| {
            regex::Regex::new(filter)
                .map_err(|_| anyhow!("--filter {filter:?} is no regular expression"))
        };
        let filter = filter.map(read).transpose()?;
        let listed = self.clone().arguments(["--list", "--format", "terse"]).run(watch)?;
        let ids = listed.lines().filter_map(|line| line.strip_suffix(": benchmark"));
        let matches = |id: &&str| filter.as_ref().is_none_or(|filter| filter.is_match(id));
        Ok(ids.filter(matches).map(str::to_owned).collect())
    }
}

/// None of one that took too long, and is no more.
fn wait(mut child: Watched, watch: &Watch) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(signal) = watch.signals.take() {
            child.ask(signal);
        }
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > watch.limit {
            return Ok(None);
        }
        if child.was_paused() {
            say(&paused("the bench", child.id()));
        }
        std::thread::sleep(PERIOD);
    }
}

/// What to say of a process that waits for SIGCONT.
pub fn paused(name: &str, id: u32) -> String {
    format!("night-sweep: {name} was paused (SIGSTOP): `kill -CONT {id}` lets it go on")
}

fn contents(file: &mut File) -> Result<Vec<u8>> {
    let (mut bytes, length) = (Vec::new(), file.metadata()?.len());
    ensure!(length <= LARGE_BYTES, "it printed {} MB: is it a bench?", length / 1_000_000);
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub fn exactly<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<String> = ids.map(regex::escape).collect();
    format!("^(?:{})$", ids.join("|"))
}

pub fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut last: Vec<&str> = text.lines().rev().filter(|line| !line.is_empty()).take(3).collect();
    last.reverse();
    last.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn variable(command: &Command, wanted: &str) -> Option<Option<String>> {
        let found = command.get_envs().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
    }

    #[test]
    fn nothing_of_the_callers_makes_it_another_run() {
        let bench = |within: Option<&str>| {
            let within = within.map(str::to_owned);
            Bench::new(Executable { path: PathBuf::from("bench"), within })
                .without("NIGHT_SWEEP_PROTOCOL")
                .set("NIGHT_SWEEP_FAULT", "slow:K1:3")
                .part(Some(Path::new("spec.yaml")))
                .command()
        };
        let command = bench(None);
        for removed in ["RUN_ID", "RESUME", "SHARD", "PROTOCOL", "RUN_BENCH", "RUN_LIST"] {
            let found = variable(&command, &format!("NIGHT_SWEEP_{removed}"));
            assert_eq!(found, Some(None), "{removed}");
        }
        for (name, value) in [("FAULT", "slow:K1:3"), ("SPEC", "spec.yaml"), ("REPORT", "no")] {
            let found = variable(&command, &format!("NIGHT_SWEEP_{name}"));
            assert_eq!(found, Some(Some(value.to_owned())), "{name}");
        }
        assert_eq!(variable(&command, "NIGHT_SWEEP_DEVICE"), None, "the caller's stays");
        let within = variable(&bench(Some("g3")), RUN_BENCH);
        assert_eq!(within, Some(Some("g3".to_owned())));
    }

    #[test]
    fn what_prints_without_end_is_not_read_into_memory() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(3).unwrap();
        assert_eq!(contents(&mut file).unwrap(), [0; 3]);
        file.set_len(1 << 40).unwrap();
        assert!(contents(&mut file).unwrap_err().to_string().contains("is it a bench?"));
    }
}
