//! Both sides in the form that `critcmp --export` writes and `critcmp critcmp-base.json
//! critcmp-cand.json` reads.

use crate::compare::comparison::{Comparison, Row, Times};
use serde_json::{Map, Value, json};

pub fn of(comparison: &Comparison) -> [(&'static str, Value); 2] {
    [
        ("critcmp-base.json", baseline(comparison, "base", |row| row.base)),
        ("critcmp-cand.json", baseline(comparison, "cand", |row| row.cand)),
    ]
}

fn baseline(comparison: &Comparison, name: &str, side: fn(&Row) -> Option<Times>) -> Value {
    let benchmark = |row: &Row| Some((row.case_id.clone(), benchmark(row, name, side(row)?)));
    let benchmarks: Map<String, Value> = comparison.rows.iter().filter_map(benchmark).collect();
    json!({"name": name, "benchmarks": benchmarks})
}

fn benchmark(row: &Row, name: &str, times: Times) -> Value {
    let mut parts = row.case_id.splitn(3, '/');
    let [group, function, value] = [parts.next(), parts.next(), parts.next()];
    // An estimate of a quantity in ns. critcmp reads the mean and the deviation.
    let error_ns = times.std_ms * 1e6 / (times.count as f64).sqrt();
    let estimate = |ms: f64, error_ns: f64| {
        let ns = ms * 1e6;
        let (low, high) = (ns - 1.96 * error_ns, ns + 1.96 * error_ns);
        json!({
            "point_estimate": ns,
            "standard_error": error_ns,
            "confidence_interval":
                {"confidence_level": 0.95, "lower_bound": low, "upper_bound": high},
        })
    };
    json!({
        "baseline": name,
        "fullname": format!("{name}/{}", row.case_id),
        "criterion_benchmark_v1": {
            "group_id": group,
            "function_id": function,
            "value_str": value,
            "throughput": null,
            "full_id": row.case_id,
            "directory_name": row.case_id,
        },
        "criterion_estimates_v1": {
            "mean": estimate(times.mean_ms, error_ns),
            "median": estimate(times.p50_ms, 1.2533 * error_ns),
            "median_abs_dev": estimate(times.std_ms * 0.6745, error_ns),
            "slope": null,
            "std_dev": estimate(times.std_ms, error_ns),
        },
    })
}
