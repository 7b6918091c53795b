//! Numbers as a person reads them, and the time of day.

use jiff::Timestamp;
use std::time::SystemTime;

/// The time of day; the nearest that has a date where the clock is far off.
pub fn now() -> Timestamp {
    let now = SystemTime::now();
    let end = if now < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(now).unwrap_or(end)
}

/// Whether the clock is before 1970, where Criterion panics, or beyond the last year with four
/// digits.
pub fn is_clock_off() -> bool {
    !(Timestamp::UNIX_EPOCH..Timestamp::MAX).contains(&now())
}

/// A number with so many significant digits, for a page: more would only swell it.
pub fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value)
}

/// A time of `ms` milliseconds with three significant digits, in microseconds below 1 ms.
pub fn time(ms: f64) -> String {
    // As it will be rounded: 999.9 us is 1.00 ms.
    if ms < 0.9995 {
        format!("{} µs", three_digits(ms * 1e3))
    } else if ms < 999.5 {
        format!("{} ms", three_digits(ms))
    } else {
        format!("{} s", three_digits(ms * 1e-3))
    }
}

/// An energy with three significant digits, in millijoules below 1 J and microjoules below 1 mJ.
pub fn joules(joules: f64) -> String {
    if joules < 0.9995e-3 {
        format!("{} µJ", three_digits(joules * 1e6))
    } else if joules < 0.9995 {
        format!("{} mJ", three_digits(joules * 1e3))
    } else {
        format!("{} J", three_digits(joules))
    }
}

/// A ratio: `2.89×`.
pub fn ratio(value: f64) -> String {
    if value < 1.0 { format!("{value:.2}×") } else { format!("{}×", three_digits(value)) }
}

/// A number of weights in millions, or in billions from one on.
pub fn count(weights: usize) -> String {
    let millions = weights as f64 / 1e6;
    // As it will be rounded: 999.9996 M is 1.000 B.
    if millions < 999.9995 {
        format!("{millions:.3} M")
    } else {
        format!("{:.3} B", millions / 1e3)
    }
}

/// Per cent with one decimal.
pub fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

/// Three significant digits, but never fewer digits than the integer part has.
pub fn three_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    // The exponent after rounding: 9.999 has that of 10.0.
    let exponent = |value: f64| value.abs().log10().floor() as i32;
    let rounding = 10f64.powi(exponent(value) - 2);
    let decimals =
        (2 - exponent((value / rounding).round() * rounding * (1.0 + 1e-12))).max(0) as usize;
    format!("{value:.decimals$}")
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_fitting_unit() {
        for (ms, text) in [
            (0.00613, "6.13 µs"),
            (0.0439, "43.9 µs"),
            (0.212, "212 µs"),
            (0.9994, "999 µs"),
            (0.9999, "1.00 ms"),
            (2.1471, "2.15 ms"),
            (9.999, "10.0 ms"),
            (27.06, "27.1 ms"),
            (1234.0, "1.23 s"),
        ] {
            assert_eq!(time(ms), text);
        }
    }

    #[test]
    fn weights_are_millions_or_billions() {
        let shown = [3_199_744, 999_999_499, 999_999_500, 8_030_261_248].map(count);
        assert_eq!(shown, ["3.200 M", "999.999 M", "1.000 B", "8.030 B"]);
    }

    #[test]
    fn energies_have_three_digits_and_a_fitting_unit() {
        for (value, text) in [
            (9.9994e-4, "1.00 mJ"),
            (3.2e-5, "32.0 µJ"),
            (0.0118, "11.8 mJ"),
            (0.9996, "1.00 J"),
            (1.234, "1.23 J"),
        ] {
            assert_eq!(joules(value), text);
        }
    }

    #[test]
    fn three_digits_are_three() {
        for (value, text) in [
            (0.0, "0"),
            (0.00499, "0.00499"),
            (0.461, "0.461"),
            (0.9996, "1.00"),
            (1.0, "1.00"),
            (99.96, "100"),
            (1000.0, "1000"),
            (12345.6, "12346"),
        ] {
            assert_eq!(three_digits(value), text);
        }
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }
}
