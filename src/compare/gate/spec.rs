//! A spec with a gate's own protocol: what a bench measures stays as it is, how often becomes what
//! pairs of processes need, which is much less.

use crate::measure::record::Protocol;
use crate::spec;
use anyhow::{Context, Result};
use serde_yaml::Value;

pub fn with_protocol(text: &str, protocol: &Protocol) -> Result<String> {
    let mut spec = spec::resolved(text).context("not YAML")?;
    let entries = spec.get_mut("experiments").and_then(Value::as_mapping_mut);
    for (_, entry) in entries.context("a spec has `experiments`, with an entry for each")? {
        let Some(entry) = entry.as_mapping_mut() else { continue };
        let Protocol { kind, warmup, measure, trials } = *protocol;
        entry.insert("protocol".into(), kind.name().into());
        for (key, value) in [("warmup", warmup), ("measure", measure), ("trials", trials)] {
            entry.insert(key.into(), value.into());
        }
    }
    Ok(serde_yaml::to_string(&spec)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::record::ProtocolKind;
    use crate::spec::Spec;
    use std::path::Path;

    #[test]
    fn every_spec_of_the_repository_keeps_its_cases_and_gets_the_protocol() {
        let protocol = Protocol { kind: ProtocolKind::Standard, warmup: 3, measure: 7, trials: 1 };
        for name in ["night_sweep.yaml", "night_sweep_cpu.yaml"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name);
            let text = std::fs::read_to_string(&path).unwrap();
            let gated = with_protocol(&text, &protocol).unwrap();
            let (old, new) =
                (Spec::parse(&text, &path).unwrap(), Spec::parse(&gated, &path).unwrap());
            assert_eq!(old.experiments().count(), new.experiments().count());
            for (old, new) in old.experiments().zip(new.experiments()) {
                assert_eq!((&old.name, old.cases()), (&new.name, new.cases()));
                assert_eq!(new.protocol, protocol);
            }
        }
        let keys = "type: gemm_k_dense, dtypes: [fp16], shape: {M: 1, N: 1}, K_values: [9, 8]";
        let merged = format!("experiments: {{<<: {{A: &a {{{keys}}}}}, B: {{<<: *a, trials: 9}}}}");
        let gated = with_protocol(&merged, &protocol).unwrap();
        let gated = Spec::parse(&gated, Path::new("s.yaml")).unwrap();
        let read: Vec<_> = gated.experiments().map(|e| (e.cases().len(), e.protocol)).collect();
        assert_eq!(read, [(2, protocol); 2]);
        assert!(with_protocol("a: [", &protocol).is_err());
        assert!(with_protocol("a: 1", &protocol).is_err());
    }
}
