//! The specs of the repository, for a program that runs without it.

use super::{Spec, SpecError};
use std::path::Path;

/// The specs by their names.
const EMBEDDED: [(&str, &str); 2] = [
    ("night_sweep.yaml", include_str!("../../experiments/night_sweep.yaml")),
    ("night_sweep_cpu.yaml", include_str!("../../experiments/night_sweep_cpu.yaml")),
];

/// The spec `name` of `experiments/` here, where cargo runs a bench, or else the one that was built in.
///
/// # Errors
/// As [`Spec::load`].
pub fn load_default(name: &str) -> Result<Spec, SpecError> {
    let here = Path::new("experiments").join(name);
    match EMBEDDED.iter().find(|(known, _)| *known == name) {
        Some((_, text)) if !here.exists() => Spec::parse(text, &here),
        _ => Spec::load(&here),
    }
}
