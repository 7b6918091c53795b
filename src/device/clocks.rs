//! The state of a card: clocks, power, temperature, and what slows it.

use serde::{Deserialize, Serialize};

/// The state of the card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clocks {
    /// SM clock in MHz.
    pub sm_mhz: u32,
    /// Board power in watts.
    pub power_w: u32,
    /// GPU temperature in degrees Celsius.
    pub temperature_c: u32,
    /// Active clock event reasons by NVML's names; empty when nothing slows the card.
    pub throttle: Vec<String>,
    /// Mean SM clock over the samples of the latency, in MHz: cycles that an SM counted over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_sm_mhz: Option<f64>,
}

impl Clocks {
    /// Whether heat or hardware slows the card, see [`is_slowdown`].
    pub fn is_slowed(&self) -> bool {
        self.throttle.iter().any(|reason| is_slowdown(reason))
    }

    /// The SM clock in MHz: as counted where it was, else NVML's reading.
    pub fn best_sm_mhz(&self) -> f64 {
        self.counted_sm_mhz.unwrap_or(f64::from(self.sm_mhz))
    }
}

/// Whether a clock event reason is heat or hardware: NVML's HW_SLOWDOWN, HW_THERMAL_SLOWDOWN,
/// HW_POWER_BRAKE_SLOWDOWN and SW_THERMAL_SLOWDOWN. The limit of power is no sign of trouble.
pub fn is_slowdown(reason: &str) -> bool {
    let reason = reason.to_uppercase();
    reason.contains("SLOWDOWN") || reason.contains("THERMAL")
}

#[cfg(test)]
mod tests {
    use super::is_slowdown;

    #[test]
    fn heat_and_hardware_slow_a_card_and_its_power_limit_does_not() {
        for reason in
            ["HW_SLOWDOWN", "HW_THERMAL_SLOWDOWN", "SW_THERMAL_SLOWDOWN", "HW_POWER_BRAKE_SLOWDOWN"]
        {
            assert!(is_slowdown(reason), "{reason}");
        }
        assert!(!is_slowdown("SW_POWER_CAP"));
    }
}
