//! NVML, read only: what the card is, and the state it was in. Nothing is ever set.

use crate::device::Clocks;
use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use serde_json::{Value, json};

/// The card of a CUDA device.
pub struct Monitor {
    nvml: Nvml,
    uuid: String,
}

impl Monitor {
    /// Finds the card by its uuid: CUDA and NVML number cards differently. None where NVML is not
    /// installed or does not know the card (in some containers).
    pub fn open(uuid: &str) -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        nvml.device_by_uuid(uuid).ok()?;
        Some(Monitor { nvml, uuid: uuid.to_owned() })
    }

    /// The state now.
    pub fn clocks(&self) -> Option<Clocks> {
        let device = self.nvml.device_by_uuid(self.uuid.as_str()).ok()?;
        let reasons = device.current_throttle_reasons().unwrap_or(ThrottleReasons::NONE);
        let reasons = reasons.difference(ThrottleReasons::GPU_IDLE | ThrottleReasons::NONE);
        Some(Clocks {
            sm_mhz: device.clock_info(Clock::SM).ok()?,
            power_w: device.power_usage().map_or(0, |milliwatts| milliwatts.div_ceil(1000)),
            temperature_c: device.temperature(TemperatureSensor::Gpu).unwrap_or(0),
            throttle: reasons.iter_names().map(|(name, _)| name.to_owned()).collect(),
            counted_sm_mhz: None,
        })
    }

    /// Reads the card's energy counter: the millijoules it has used since its driver was loaded.
    /// None where it has no such counter.
    pub fn energy_counter(&self) -> Option<impl Fn() -> Option<u64> + '_> {
        let device = self.nvml.device_by_uuid(self.uuid.as_str()).ok()?;
        let read = move || device.total_energy_consumption().ok();
        read().is_some().then_some(read)
    }

    /// What NVML adds to the driver's description of the card; a value it does not know is null.
    pub fn describe(&self) -> Value {
        let Ok(device) = self.nvml.device_by_uuid(self.uuid.as_str()) else { return json!({}) };
        json!({
            "driver_version": self.nvml.sys_driver_version().ok(),
            "vbios_version": device.vbios_version().ok(),
            "power_limit_w": device.enforced_power_limit().ok().map(|milliwatts| milliwatts / 1000),
            "max_sm_mhz": device.max_clock_info(Clock::SM).ok(),
            "max_memory_mhz": device.max_clock_info(Clock::Memory).ok(),
            "ecc": device.is_ecc_enabled().ok().map(|ecc| ecc.currently_enabled),
            "mig": device.mig_mode().ok().map(|mig| mig.current != 0),
        })
    }
}
