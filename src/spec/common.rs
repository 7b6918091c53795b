//! The keys that an entry of any type may have, beside its type.

use crate::experiments::value::Integer;
use crate::measure::record::{Protocol, ProtocolKind};
use crate::workload::limits::MAX_TRIALS;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Common {
    pub(super) description: Option<String>,
    pub(super) provenance: Option<Map<String, Value>>,
    protocol: ProtocolKind,
    warmup: Integer<0, 1_000_000>,
    measure: Integer<1, 1_000_000>,
    trials: Integer<1, MAX_TRIALS>,
}

impl Default for Common {
    fn default() -> Self {
        let (warmup, measure, trials) = (Integer::new(50), Integer::new(200), Integer::new(3));
        let protocol = ProtocolKind::Standard;
        Common { description: None, provenance: None, protocol, warmup, measure, trials }
    }
}

impl Common {
    pub(super) fn protocol(&self) -> Protocol {
        Protocol {
            kind: self.protocol,
            warmup: self.warmup.get(),
            measure: self.measure.get(),
            trials: self.trials.get(),
        }
    }
}
