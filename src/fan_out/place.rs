//! Where the shards of a fan-out run: `--gpus`.

use crate::device::cuda::Listed;
use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

pub const ALLOWED: &str =
    "all, numbers as in cuda:N like 0,1, uuids like GPU-1a2b3c4d, or cpu:N with N from 1 to 64";

/// The largest N of `cpu:N`: more is a slip of the keyboard.
const MOST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gpus {
    All,
    /// These, by number or by the beginning of the uuid.
    Some(Vec<String>),
    /// No GPU: so many processes on the host's cores, which they share.
    Cpu(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `cuda:N` as this process counts, or `cpu process N`.
    pub name: String,
    /// Absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

impl FromStr for Gpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| {
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            (digits && (1..=4).contains(&word.len()))
                || word.strip_prefix("GPU-").is_some_and(|rest| !rest.is_empty())
        };
        let words: Vec<&str> = text.split(',').collect();
        let gpus = match (text, text.strip_prefix("cpu:")) {
            ("all", _) => Some(Gpus::All),
            (_, Some(count)) => {
                let count = count.parse().ok().filter(|count| (1..=MOST).contains(count));
                count.map(Gpus::Cpu)
            }
            _ if words.iter().all(|word| is_word(word)) => {
                Some(Gpus::Some(words.into_iter().map(str::to_owned).collect()))
            }
            _ => None,
        };
        gpus.ok_or_else(|| format!("allowed is {ALLOWED}"))
    }
}

impl Gpus {
    /// The places asked for; `list` says which GPUs there are, and is not called for those of the
    /// CPU.
    pub fn places(&self, list: impl FnOnce() -> Result<Vec<Listed>, String>) -> Result<Vec<Place>> {
        if let Gpus::Cpu(count) = self {
            let name = |index| format!("cpu process {index}");
            return Ok((1..=*count).map(|index| Place { name: name(index), uuid: None }).collect());
        }
        let there = match list() {
            Ok(there) => there,
            Err(reason) => bail!("{reason}; `--gpus cpu:2` tries a fan-out on the CPU"),
        };
        let chosen: Vec<usize> = match self {
            Gpus::Some(words) => {
                words.iter().map(|word| find(word, &there)).collect::<Result<_>>()?
            }
            Gpus::All | Gpus::Cpu(_) => (0..there.len()).collect(),
        };
        for (place, &index) in chosen.iter().enumerate() {
            ensure!(!chosen[..place].contains(&index), "--gpus: cuda:{index} is there twice");
            let (first, own) = (chosen[0], &there[index].name);
            ensure!(
                there[first].name == *own,
                "cuda:{first} is an {} and cuda:{index} an {own}: shards are merged only if \
                 measured on one model; choose with --gpus",
                there[first].name
            );
        }
        let place = |index: usize| Place {
            name: format!("cuda:{index}"),
            uuid: Some(there[index].uuid.clone()),
        };
        Ok(chosen.into_iter().map(place).collect())
    }
}

fn find(word: &str, there: &[Listed]) -> Result<usize> {
    let is_it = |index: usize| match word.parse::<usize>() {
        Ok(number) => number == index,
        Err(_) => there[index].uuid.starts_with(word),
    };
    let found: Vec<usize> = (0..there.len()).filter(|&index| is_it(index)).collect();
    match found[..] {
        [index] => Ok(index),
        [] => {
            let each = there.iter().enumerate();
            let each = each.map(|(index, gpu)| format!("{index} ({}, {})", gpu.name, gpu.uuid));
            let all: Vec<_> = each.collect();
            bail!("--gpus: there is no GPU {word} here; there are {}", all.join(", "))
        }
        _ => bail!("--gpus: {} GPUs have a uuid that begins with {word}", found.len()),
    }
}

impl Place {
    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        match &self.uuid {
            Some(uuid) => vec![("CUDA_VISIBLE_DEVICES", uuid), ("NIGHT_SWEEP_DEVICE", "cuda:0")],
            None => vec![("NIGHT_SWEEP_DEVICE", "cpu")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(gpus: &str, models: &[&str]) -> Result<Vec<String>> {
        let listed = |(index, name): (usize, &&str)| Listed {
            name: (*name).to_owned(),
            uuid: format!("GPU-{index}a0{index}"),
        };
        let there = models.iter().enumerate().map(listed).collect();
        let places = gpus.parse::<Gpus>().unwrap().places(|| Ok(there))?;
        Ok(places.into_iter().map(|place| place.uuid.unwrap_or(place.name)).collect())
    }

    #[test]
    fn gpus_are_chosen_by_number_and_by_uuid() {
        let eight = ["H200"; 8];
        assert_eq!(places("all", &eight).unwrap().len(), 8);
        assert_eq!(places("3,0", &eight).unwrap(), ["GPU-3a03", "GPU-0a00"]);
        assert_eq!(places("GPU-5,1", &eight).unwrap(), ["GPU-5a05", "GPU-1a01"]);
        assert_eq!(places("cpu:2", &[]).unwrap(), ["cpu process 1", "cpu process 2"]);
        for (gpus, models, part) in [
            ("8", &eight[..], "no GPU 8 here; there are 0 (H200, GPU-0a00)"),
            ("GPU-9", &eight, "no GPU GPU-9"),
            ("1,GPU-1a", &eight, "cuda:1 is there twice"),
            ("all", &["A100", "A100", "H200"], "cuda:0 is an A100 and cuda:2 an H200"),
        ] {
            let error = places(gpus, models).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(places("0,1", &["A100", "A100", "H200"]).unwrap().len(), 2);
        let none = Gpus::All.places(|| Err("no CUDA GPU".to_owned())).unwrap_err().to_string();
        assert!(none.contains("--gpus cpu:2"), "{none}");
    }

    #[test]
    fn what_is_no_list_of_gpus_is_refused() {
        for wrong in ["", "0,", "-1", "cuda:0", "cpu", "cpu:0", "cpu:65", "GPU-", "all,0", "0 1"] {
            assert!(wrong.parse::<Gpus>().unwrap_err().contains("cpu:N"), "{wrong}");
        }
    }
}
