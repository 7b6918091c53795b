//! An experiment: one entry of a spec, whatever its type.

use super::check::Problem;
use super::entry::Common;
use super::gemm::{GemmKDense, GemmNDense};
use super::hetero::HeteroBatching;
use super::padding::PaddingRescue;
use super::sdpa::{SdpaBackendForced, SdpaBackendSelection, SdpaDense};
use crate::measure::record::Protocol;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// An entry of a spec that can be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// The name of the entry.
    #[serde(skip)]
    pub name: String,
    /// What is swept.
    #[serde(flatten)]
    pub kind: Kind,
    /// The question it asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the sizes come from, in keys of the author's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Map<String, Value>>,
    /// Launches and trials.
    #[serde(flatten)]
    pub protocol: Protocol,
}

/// What an experiment sweeps: the keys that are its type's own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// S1.
    SdpaDense(SdpaDense),
    /// S2.
    SdpaBackendForced(SdpaBackendForced),
    /// C21.
    SdpaBackendSelection(SdpaBackendSelection),
    /// G3.
    GemmKDense(GemmKDense),
    /// G4.
    GemmNDense(GemmNDense),
    /// P1.
    PaddingRescue(PaddingRescue),
    /// HET1.
    HeteroBatching(HeteroBatching),
}

impl Experiment {
    /// The folder and the first part of every id: the letters and digits of the name before its first `_`.
    pub fn group(&self) -> String {
        let head = self.name.split('_').next().unwrap_or_default();
        head.chars().filter(char::is_ascii_alphanumeric).collect()
    }

    /// The entry as run, in the keys of the YAML, defaults filled in.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self)
            .expect("an experiment holds only strings, numbers, lists and maps")
    }

    /// The cargo bench target that runs it.
    pub fn bench_target(&self) -> &'static str {
        match self.kind {
            Kind::SdpaDense(_) => "s1_sdpa_dense",
            Kind::SdpaBackendForced(_) | Kind::SdpaBackendSelection(_) => "s2_sdpa_backend_forced",
            Kind::GemmKDense(_) => "g3_gemm_k_dense",
            Kind::GemmNDense(_) => "g4_gemm_n_dense",
            Kind::PaddingRescue(_) => "p1_padding_rescue",
            Kind::HeteroBatching(_) => "het1_head_hetero",
        }
    }

    pub(super) fn new(name: &str, kind: Kind, common: Common) -> Result<Self, Problem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let starts_with_a_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_with_a_letter || name.len() > 64 || !name.chars().all(plain) {
            return Err("the name stands in ids and folders; allowed are up to 64 letters, digits or any of _.-, \
                        a letter first"
                .to_owned());
        }
        kind.check()?;
        let (name, protocol) = (name.to_owned(), common.protocol());
        let Common { description, provenance, .. } = common;
        Ok(Experiment { name, kind, description, provenance, protocol })
    }
}

impl Kind {
    /// Every type that a spec may name.
    pub const TYPES: [&str; 7] = [
        "sdpa_dense",
        "sdpa_backend_forced",
        "sdpa_backend_selection",
        "gemm_k_dense",
        "gemm_n_dense",
        "padding_rescue",
        "hetero_batching",
    ];

    /// The `type` of the entry.
    pub fn type_name(&self) -> &'static str {
        match self {
            Kind::SdpaDense(_) => "sdpa_dense",
            Kind::SdpaBackendForced(_) => "sdpa_backend_forced",
            Kind::SdpaBackendSelection(_) => "sdpa_backend_selection",
            Kind::GemmKDense(_) => "gemm_k_dense",
            Kind::GemmNDense(_) => "gemm_n_dense",
            Kind::PaddingRescue(_) => "padding_rescue",
            Kind::HeteroBatching(_) => "hetero_batching",
        }
    }

    /// Reads the keys of one of [`Kind::TYPES`]; none if `type_name` is not one.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        type_name: &str,
        keys: D,
    ) -> Result<Option<Self>, D::Error> {
        match type_name {
            "sdpa_dense" => Deserialize::deserialize(keys).map(Kind::SdpaDense),
            "sdpa_backend_forced" => Deserialize::deserialize(keys).map(Kind::SdpaBackendForced),
            "sdpa_backend_selection" => {
                Deserialize::deserialize(keys).map(Kind::SdpaBackendSelection)
            }
            "gemm_k_dense" => Deserialize::deserialize(keys).map(Kind::GemmKDense),
            "gemm_n_dense" => Deserialize::deserialize(keys).map(Kind::GemmNDense),
            "padding_rescue" => Deserialize::deserialize(keys).map(Kind::PaddingRescue),
            "hetero_batching" => Deserialize::deserialize(keys).map(Kind::HeteroBatching),
            _ => return Ok(None),
        }
        .map(Some)
    }

    fn check(&self) -> Result<(), Problem> {
        match self {
            Kind::SdpaDense(sweep) => sweep.check(),
            Kind::SdpaBackendForced(sweep) => sweep.check(),
            Kind::SdpaBackendSelection(sweep) => sweep.check(),
            Kind::GemmKDense(sweep) => sweep.check(),
            Kind::GemmNDense(sweep) => sweep.check(),
            Kind::PaddingRescue(sweep) => sweep.check(),
            Kind::HeteroBatching(sweep) => sweep.check(),
        }
    }
}
