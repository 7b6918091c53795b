//! Criterion's own files of a benchmark:
//! `<home>/<group>/<function>/<value>/new/{benchmark,estimates,sample}.json`.
//!
//! They are undocumented: the fields are those of the version pinned in Cargo.toml. Times there are
//! nanoseconds, since that is what the suite's measurement hands to Criterion.

use crate::files;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What Criterion writes of a benchmark, and what is read of it.
pub const FILES: [&str; 3] = ["benchmark.json", "estimates.json", "sample.json"];

const MAX_FOLDER_BYTES: usize = 64;

#[derive(Debug)]
pub struct CBenchmark {
    pub id: CBenchmarkId,
    pub estimates: CEstimates,
    pub sample: CSample,
}

/// benchmark.json.
#[derive(Debug, Deserialize)]
pub struct CBenchmarkId {
    /// `group/function/value`.
    pub full_id: String,
}

/// estimates.json, in nanoseconds per launch.
#[derive(Debug, Deserialize)]
pub struct CEstimates {
    pub mean: CEstimate,
    pub median: CEstimate,
    pub std_dev: CEstimate,
}

#[derive(Debug, Deserialize)]
pub struct CEstimate {
    pub confidence_interval: CConfidenceInterval,
    pub point_estimate: f64,
}

#[derive(Debug, Deserialize)]
pub struct CConfidenceInterval {
    /// 0.95 unless asked otherwise on the command line.
    pub confidence_level: f64,
    pub lower_bound: f64,
    pub upper_bound: f64,
}

/// sample.json.
#[derive(Debug, Deserialize)]
pub struct CSample {
    pub iters: Vec<f64>,
    /// Time of all iterations of each sample together, in nanoseconds.
    pub times: Vec<f64>,
}

impl CSample {
    /// Mean over the samples of their time per iteration, in nanoseconds.
    pub fn mean_ns(&self) -> f64 {
        let each = self.times.iter().zip(&self.iters).map(|(time, iters)| time / iters);
        each.sum::<f64>() / self.times.len() as f64
    }
}

/// The newest result of a benchmark by its id `group/function/value`; none if Criterion has no such
/// folder.
pub fn read(home: &Path, id: &str) -> Result<Option<CBenchmark>> {
    read_folder(&folder(home, id).join("new"))
}

pub fn read_folder(dir: &Path) -> Result<Option<CBenchmark>> {
    let [id, estimates, sample] = FILES.map(|name| dir.join(name));
    let Some(id) = read_json(&id)? else { return Ok(None) };
    let Some(estimates) = read_json(&estimates)? else { return Ok(None) };
    let Some(sample) = read_json(&sample)? else { return Ok(None) };
    Ok(Some(CBenchmark { id, estimates, sample }))
}

pub fn folder(home: &Path, id: &str) -> PathBuf {
    // No more than three parts: Criterion takes what follows the second slash as one value.
    id.splitn(3, '/').fold(home.to_owned(), |path, part| path.join(folder_name(part)))
}

fn folder_name(part: &str) -> String {
    let is_unsafe = |c: char| "?\"/\\*<>:|^".contains(c);
    let mut name = part.replace(is_unsafe, "_");
    let fits = |end: &usize| name.is_char_boundary(*end);
    let end = (0..=MAX_FOLDER_BYTES.min(name.len())).rev().find(fits).unwrap_or(0);
    name.truncate(end);
    name
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match files::read(path, files::LARGE_BYTES) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{}: not as Criterion writes it", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn folders_are_named_as_criterion_names_them() {
        let path = |id: &str| folder(Path::new("home"), id).display().to_string();
        assert_eq!(path("G3/fp16/K107"), "home/G3/fp16/K107");
        assert_eq!(path("S1/B4 S2048:H32/d<64>"), "home/S1/B4 S2048_H32/d_64_");
        assert_eq!(path("a/b/c/d"), "home/a/b/c_d");
        assert_eq!(path(&format!("a/{}", "x".repeat(70))), format!("home/a/{}", "x".repeat(64)));
        // 63 bytes and a character of two: cut before it, not through it.
        assert_eq!(path(&format!("{}ä", "x".repeat(63))), format!("home/{}", "x".repeat(63)));
    }

    /// The files are made by Criterion itself, so that a new version of it that writes others is
    /// noticed here.
    #[test]
    fn what_criterion_writes_is_read() {
        let home = tempfile::tempdir().unwrap();
        criterion::Criterion::default()
            .output_directory(home.path())
            .without_plots()
            .sample_size(10)
            .nresamples(10)
            .warm_up_time(std::time::Duration::from_nanos(1))
            .measurement_time(std::time::Duration::from_nanos(1))
            .bench_function("group/one:two", |bencher| {
                bencher.iter_custom(|iters| std::time::Duration::from_nanos(250 * iters));
            });
        let read = |id: &str| read(home.path(), id).unwrap();
        assert!(read("group/other").is_none());
        // `bench_function` takes its id as one part.
        let found = fs::read_dir(home.path()).unwrap().next().unwrap().unwrap().file_name();
        assert_eq!(found, "group_one_two");
        let benchmark = read("group_one_two").unwrap();
        assert_eq!(benchmark.id.full_id, "group/one:two");
        assert_eq!(benchmark.estimates.mean.point_estimate, 250.0);
        assert_eq!(benchmark.estimates.mean.confidence_interval.confidence_level, 0.95);
        assert_eq!(benchmark.sample.mean_ns(), 250.0);
    }

    #[test]
    fn a_broken_file_is_an_error_with_its_path() {
        let home = tempfile::tempdir().unwrap();
        let dir = folder(home.path(), "a/b/c").join("new");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("benchmark.json"), "{").unwrap();
        let error = format!("{:#}", read(home.path(), "a/b/c").unwrap_err());
        assert!(error.contains("benchmark.json: not as Criterion writes it"), "{error}");
    }
}
