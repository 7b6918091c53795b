//! The environment variables that steer a bench: `cargo bench` hands only Criterion's own arguments
//! on.

use crate::device::DeviceChoice;
use crate::device::torch::TorchChoice;
use crate::journal::record::Failure;
use crate::journal::runs::run_id;
use crate::journal::shard::{self, Shard};
use crate::measure::fault::{self, Fault};
use crate::measure::record::ProtocolKind;
use crate::process::child::{RUN_BENCH, RUN_LIST};
use crate::run::list::List;
use anyhow::{Error, Result, anyhow, ensure};
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Each variable, what it takes, and what it does; `night-sweep --help` prints this.
pub const VARIABLES: [(&str, &str, &str); 14] = [
    (
        "NIGHT_SWEEP_DEVICE",
        "auto (default), cpu, cuda, cuda:N",
        "where to measure; auto is the first GPU, else the CPU",
    ),
    (
        "NIGHT_SWEEP_TORCH",
        "auto (default), no, a path",
        "whose PyTorch to measure: an environment, its torch package or torch/lib; auto is that of \
         the active environment, else of python3",
    ),
    (
        "NIGHT_SWEEP_SPEC",
        "a YAML file",
        "default: experiments/night_sweep.yaml, on the CPU night_sweep_cpu.yaml",
    ),
    (
        "NIGHT_SWEEP_EXPERIMENT",
        "a name in the spec, all",
        "another entry of the types that this bench runs, or each of them; default: the first",
    ),
    (
        "NIGHT_SWEEP_RUN_ID",
        "letters, digits, . _ -",
        "name of the run; default: YYYYMMDD_HHMMSS_<experiment>",
    ),
    ("NIGHT_SWEEP_RESULTS_ROOT", "a folder", "where runs are reported; default: target-reports"),
    (
        "NIGHT_SWEEP_RESUME",
        "a run id",
        "goes on with a run that was stopped or killed: what its journal holds is not timed again; \
         `list --runs` shows which",
    ),
    (
        "NIGHT_SWEEP_SHARD",
        shard::ALLOWED,
        "measures one of n parts of the sweep, each spanning the whole range; `night-sweep merge` \
         joins them",
    ),
    (
        "NIGHT_SWEEP_PROTOCOL",
        "standard, adaptive",
        "adaptive makes two short trials, and more of the cases that these leave undecided; \
         default: the spec's `protocol`, or standard",
    ),
    (
        "NIGHT_SWEEP_BURN_IN",
        "seconds, 0 to 600",
        "how long the GPU is worked at most until its clock is steady; 0 skips that; default: 5",
    ),
    ("NIGHT_SWEEP_SEED", "a number", "seed of the data and of the order of cases; default: 42"),
    (
        "NIGHT_SWEEP_ENERGY",
        "no (default), yes",
        "yes: measures the energy of each row too, by the GPU's counter: 2.3 s a row, after all \
         else",
    ),
    (
        "NIGHT_SWEEP_REPORT",
        "yes (default), no",
        "no: the run leaves its journal and no report of it",
    ),
    (
        "NIGHT_SWEEP_FAULT",
        fault::ALLOWED,
        "a fault on purpose, to see it caught: launches of these cases take so much longer, or \
         lose the device",
    ),
];

/// The value of `NIGHT_SWEEP_EXPERIMENT` for each entry that a bench can run.
pub(crate) const ALL: &str = "all";

/// By this a bench that lost its device hands the case that did it to the process that goes on.
pub(crate) const LOST_CASE: &str = "NIGHT_SWEEP_LOST_CASE";

/// No path and no name is longer; Linux has this limit too.
const MAX_VALUE_BYTES: usize = 4095;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub device: DeviceChoice,
    pub torch: TorchChoice,
    pub spec: Option<PathBuf>,
    pub experiment: Option<String>,
    pub run_id: Option<String>,
    pub results_root: PathBuf,
    pub resume: Option<String>,
    pub shard: Option<Shard>,
    /// How many samples a trial takes, if not as the spec says.
    pub protocol: Option<ProtocolKind>,
    pub burn_in: Duration,
    pub seed: u64,
    pub energy: bool,
    pub report: bool,
    pub fault: Option<Fault>,
    /// The experiments to run, in place of that of the bench.
    pub list: Option<List>,
    /// The case that cost the process before this one its device.
    pub lost_case: Option<Box<Failure>>,
}

impl Settings {
    pub fn from_env() -> Result<Self> {
        let mut found = Vec::new();
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("NIGHT_SWEEP_") {
                let value = value.into_string().map_err(|value| {
                    let (name, value) = (shown(&name), shown(&value.to_string_lossy()));
                    anyhow!("{name}={value} is not valid UTF-8")
                })?;
                found.push((name, value));
            }
        }
        // Criterion would take the folder it is started in.
        let is_empty = std::env::var_os("CRITERION_HOME").is_some_and(|home| home.is_empty());
        ensure!(!is_empty, "CRITERION_HOME is empty: unset it for the default");
        let mut settings = Self::parse(found).map_err(Error::msg)?;
        // Cargo runs a bench in the folder of its package, which need not be where its user is.
        settings.results_root = std::path::absolute(settings.results_root)?;
        Ok(settings)
    }

    fn parse(found: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut settings = Settings {
            device: DeviceChoice::Auto,
            torch: TorchChoice::Auto,
            spec: None,
            experiment: None,
            run_id: None,
            results_root: PathBuf::from("target-reports"),
            resume: None,
            shard: None,
            protocol: None,
            burn_in: Duration::from_secs(5),
            seed: 42,
            energy: false,
            report: true,
            fault: None,
            list: None,
            lost_case: None,
        };
        for (name, value) in found {
            let wrong = |allowed: &str| format!("{name}={}: allowed is {allowed}", shown(&value));
            let text = || match &*value {
                "" => Err(wrong("anything but the empty string; unset it for the default")),
                _ if value.len() > MAX_VALUE_BYTES || value.contains(char::is_control) => {
                    Err(wrong("up to 4095 bytes without control characters"))
                }
                _ => Ok(value.clone()),
            };
            let named = || run_id(&value).map(Some).map_err(|allowed| wrong(&allowed));
            match name.as_str() {
                "NIGHT_SWEEP_DEVICE" => settings.device = read(&value, wrong)?,
                "NIGHT_SWEEP_TORCH" => settings.torch = read(&text()?, wrong)?,
                "NIGHT_SWEEP_SPEC" => settings.spec = Some(text()?.into()),
                "NIGHT_SWEEP_EXPERIMENT" => settings.experiment = Some(text()?),
                "NIGHT_SWEEP_RUN_ID" => settings.run_id = named()?,
                "NIGHT_SWEEP_RESULTS_ROOT" => settings.results_root = text()?.into(),
                "NIGHT_SWEEP_RESUME" => settings.resume = named()?,
                "NIGHT_SWEEP_SHARD" => settings.shard = Some(read(&value, wrong)?),
                "NIGHT_SWEEP_PROTOCOL" => {
                    let kind = serde_json::from_value::<ProtocolKind>(value.clone().into());
                    let kind = kind.ok().filter(|kind| *kind != ProtocolKind::Gate);
                    settings.protocol = Some(kind.ok_or_else(|| wrong("standard or adaptive"))?);
                }
                "NIGHT_SWEEP_BURN_IN" => {
                    let seconds = value.parse().ok().filter(|seconds| *seconds <= 600);
                    let seconds = seconds.ok_or_else(|| wrong("whole seconds from 0 to 600"))?;
                    settings.burn_in = Duration::from_secs(seconds);
                }
                "NIGHT_SWEEP_SEED" => {
                    let seed = value.parse();
                    settings.seed = seed.map_err(|_| wrong("a whole number from 0 to 2^64 - 1"))?;
                }
                "NIGHT_SWEEP_ENERGY" => settings.energy = yes_or_no(&value, wrong)?,
                "NIGHT_SWEEP_REPORT" => settings.report = yes_or_no(&value, wrong)?,
                "NIGHT_SWEEP_FAULT" => settings.fault = Some(read(&value, wrong)?),
                // Read by `main`, before anything else.
                RUN_BENCH => {}
                RUN_LIST => settings.list = Some(json(&value, wrong)?),
                LOST_CASE => settings.lost_case = Some(json(&value, wrong)?),
                _ => return Err(unknown(&name)),
            }
        }
        if settings.resume.is_some() && settings.run_id.is_some() {
            return Err("NIGHT_SWEEP_RESUME names a run already: unset NIGHT_SWEEP_RUN_ID".into());
        }
        Ok(settings)
    }

    /// Refuses a name of one run where there are several.
    pub fn ensure_names_no_run(&self) -> Result<()> {
        ensure!(
            self.run_id.is_none() && self.resume.is_none(),
            "NIGHT_SWEEP_RUN_ID and NIGHT_SWEEP_RESUME, --run-id and --resume, name one run: give \
             one experiment"
        );
        Ok(())
    }

    /// What names one run does not name the one after it.
    pub fn for_the_next_run(&mut self) {
        self.run_id = None;
        self.resume = None;
        self.lost_case = None;
    }
}

/// What no user sets.
fn json<T: DeserializeOwned>(value: &str, wrong: impl Fn(&str) -> String) -> Result<T, String> {
    serde_json::from_str(value).map_err(|_| wrong("what a bench sets itself"))
}

fn read<T: FromStr<Err = String>>(
    value: &str,
    wrong: impl Fn(&str) -> String,
) -> Result<T, String> {
    value.parse().map_err(|allowed: String| wrong(&allowed))
}

fn yes_or_no(value: &str, wrong: impl Fn(&str) -> String) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(wrong("yes or no")),
    }
}

/// A value as a message shows it: quoted, and no longer than a line.
fn shown(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &value[..end], value.len()),
        None => format!("{value:?}"),
    }
}

fn unknown(name: &str) -> String {
    if name.len() > 60 || name.contains(char::is_control) {
        return format!("there is no variable {}", shown(name));
    }
    let names = VARIABLES.map(|(name, ..)| name);
    let likeness = |other: &str| strsim::jaro_winkler(other, name);
    let nearest = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = nearest.map(|nearest| format!("did you mean {nearest}? ")).unwrap_or_default();
    format!("there is no variable {name}: {hint}there are {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<Settings, String> {
        Settings::parse([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn every_documented_variable_is_read() {
        for (name, ..) in VARIABLES {
            let value = match name {
                "NIGHT_SWEEP_DEVICE" => "cuda:1",
                "NIGHT_SWEEP_TORCH" => "no",
                "NIGHT_SWEEP_SEED" | "NIGHT_SWEEP_BURN_IN" => "7",
                "NIGHT_SWEEP_SHARD" => "2/4",
                "NIGHT_SWEEP_PROTOCOL" => "adaptive",
                "NIGHT_SWEEP_REPORT" => "no",
                "NIGHT_SWEEP_ENERGY" => "yes",
                "NIGHT_SWEEP_FAULT" => "slow:K107:3",
                _ => "x",
            };
            let settings = parse(name, value).unwrap();
            assert_ne!(settings, Settings::parse([]).unwrap(), "{name} has no effect");
        }
    }

    #[test]
    fn wrong_values_name_what_is_allowed() {
        for (name, value, part) in [
            ("NIGHT_SWEEP_SHARD", "5/4", "1 <= i <= n"),
            ("NIGHT_SWEEP_PROTOCOL", "seed", "standard or adaptive"),
            ("NIGHT_SWEEP_PROTOCOL", "gate", "standard or adaptive"),
            ("NIGHT_SWEEP_BURN_IN", "601", "0 to 600"),
            ("NIGHT_SWEEP_REPORT", "maybe", "yes or no"),
            ("NIGHT_SWEEP_ENERGY", "1", "yes or no"),
            ("NIGHT_SWEEP_ENERGY", "", "yes or no"),
            ("NIGHT_SWEEP_FAULT", "slow:3", "slow:<part of an id>:<percent>"),
            ("NIGHT_SWEEP_DEVISE", "cpu", "did you mean NIGHT_SWEEP_DEVICE?"),
            ("NIGHT_SWEEP_SPEC", "a\nb", "control characters"),
            ("NIGHT_SWEEP_LOST_CASE", "K107", "sets itself"),
            ("NIGHT_SWEEP_RUN_LIST", "G3", "sets itself"),
        ] {
            let message = parse(name, value).unwrap_err();
            assert!(message.contains(part) && message.contains(name), "{message}");
        }
    }
}
