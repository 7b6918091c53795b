//! The energy of a row, described.

use super::raw;
use crate::measure::record::Energy;

/// Of launches that do so many useful operations each.
pub fn of(energy: &Energy, flops: f64) -> raw::Energy {
    let Energy { joules, seconds, launches, uncertainty_pct, polled_watts, .. } = *energy;
    raw::Energy {
        joules_per_launch: joules / launches,
        uncertainty_pct,
        mean_watts: joules / seconds,
        polled_watts,
        tflop_per_joule: flops * launches / joules * 1e-12,
        seconds,
        launches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::record::Spent;

    #[test]
    fn joules_are_per_launch_and_watts_per_second() {
        let energy = Energy {
            case_id: "G3/x/K4096".to_owned(),
            joules: 1068.0,
            seconds: 1.5,
            launches: 7168.0,
            uncertainty_pct: 0.1,
            polled_watts: Some(700.0),
            wall_s: 2.2,
            spent: Spent::default(),
        };
        let found = of(&energy, 2.0 * 4096f64.powi(3));
        assert!((found.joules_per_launch - 0.148_996).abs() < 1e-6, "{found:?}");
        assert_eq!((found.mean_watts, found.polled_watts), (712.0, Some(700.0)));
        assert!((found.tflop_per_joule - 0.922_436).abs() < 1e-6, "{found:?}");
        assert_eq!((found.seconds, found.launches, found.uncertainty_pct), (1.5, 7168.0, 0.1));
    }
}
