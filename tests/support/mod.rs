//! What every test of a run folder looks at.

use serde_json::Value;
use std::fs;
use std::path::Path;

/// A JSON file.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a folder holds, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Checks the four JSON files of a run folder against their schemas.
pub fn assert_valid(folder: &Path) {
    for name in ["config", "env", "raw", "summary"] {
        assert_matches_schema(&folder.join(format!("{name}.json")), name);
    }
}

/// Checks a JSON file against `target-reports/schema/<name>.schema.json`.
pub fn assert_matches_schema(file: &Path, name: &str) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("target-reports/schema/{name}.schema.json"));
    let schema = json(&schema);
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = json(file);
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| format!("{name}.json{}: {error}", error.instance_path()))
        .take(5)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
