//! The backend and the padding that a consumer of an sdpa-table finds.

use crate::synthetic::Outcome;
use crate::{Runs, attention, d1, point};
use night_sweep::workload::case::Case;
use night_sweep::workload::error::ErrorKind;
use night_sweep::workload::operation::{Backend, Operation};
use night_sweep::workload::shape::DType;
use serde_json::{Value, json};

/// Times in ms by backend that is asked for and head_dim, half of an interval's width, and whether
/// there is a mask.
fn attentions(times: &[(Backend, usize, f64, f64)], causal: bool) -> Vec<Outcome> {
    let outcome = |&(backend, d, ms, _): &(Backend, usize, f64, f64)| {
        let sdpa = attention(2048, None, d, backend);
        let (series, point) = (format!("{}_{causal}", backend.name()), format!("d{d}"));
        let case = Case::row("S2", &series, &point, d, DType::Fp16, Operation::Sdpa(sdpa))
            .label("backend", backend.name())
            .masked(causal);
        (case, if ms > 0.0 { Ok(ms) } else { Err((ErrorKind::Cuda, "illegal address")) })
    };
    times.iter().map(outcome).collect()
}

#[test]
fn the_table_of_attention_pads_where_that_is_sure_to_pay() {
    use Backend::{Auto, Flash, Math, MemEfficient, NsFastest};
    let times = [
        (Auto, 3, 0.1, 0.01),
        (Auto, 100, 1.0, 0.01),
        (Flash, 100, 0.9, 0.01),
        (NsFastest, 100, 0.01, 0.001),
        (Auto, 104, 0.6, 0.01),
        (Auto, 112, 0.599, 0.001),
        (Auto, 120, 0.0, 0.0),
        (Auto, 126, 0.31, 0.02),
        (Auto, 128, 0.3, 0.01),
        (Auto, 201, 1.0, 0.01),
        (MemEfficient, 201, 0.5, 0.01),
        (Math, 208, 0.4, 0.9),
        (Auto, 301, 1.0, 0.01),
        (Flash, 301, 0.5, 0.02),
        (Flash, 304, 0.49, 0.02),
    ];
    let masked = [(Auto, 100, 0.5, 0.01)];
    let outcomes = [attentions(&times, false), attentions(&masked, true)].concat();
    let runs = Runs::new();
    runs.add("S2", &outcomes, |raw| {
        for (times, causal) in [(&times[..], false), (&masked, true)] {
            for (backend, d, ms, half) in times.iter().filter(|(_, _, ms, _)| *ms > 0.0) {
                let id = format!("S2/{}_{causal}/d{d}", backend.name());
                point(raw, &id, *ms, [ms - half, ms + half]);
            }
        }
    });
    runs.add("D1", &d1(), |raw| {
        point(raw, "D1/c4096/d107", 0.2, [0.19, 0.21]);
        point(raw, "D1/c4096/d112", 0.1, [0.09, 0.11]);
    });
    let table = runs.json(&["S2", "D1"], "sdpa-table");
    let entries = table["entries"].as_array().unwrap();
    // As a consumer finds its own.
    let find = |head_dim: usize, causal: bool| {
        let key = json!([head_dim, causal, "fp16", 4, 2048, 2048, 32, 8]);
        let is_it = |e: &&Value| {
            let keys = ["head_dim", "causal", "dtype", "batch", "seq_len", "kv_len", "n_heads"];
            let mut found: Vec<Value> = keys.iter().map(|key| e[key].clone()).collect();
            found.push(e["n_kv_heads"].clone());
            Value::from(found) == key
        };
        entries.iter().find(is_it).unwrap_or_else(|| panic!("{key} is not there"))
    };
    let choice = |e: &Value| {
        let Value::Object(choice) = &e["use"] else { panic!("{e}") };
        let factor = choice["factor"].as_f64().unwrap();
        (choice["sdp_backend"].as_str().unwrap().to_owned(), choice["pad_to"].clone(), factor)
    };
    let cudnn = |pad_to: usize, factor| ("CUDNN_ATTENTION".to_owned(), json!(pad_to), factor);
    // 112 is within 0.5 % of it, and 128 more than 25 % larger.
    let padded = find(100, false);
    assert_eq!(choice(padded), cudnn(104, 1.0 / 0.6));
    assert_eq!(padded["auto"]["backend"], "FLASH");
    assert_eq!(
        (&padded["as_is"]["backend"], &padded["as_is"]["p50_ms"]),
        (&json!("FLASH"), &json!(0.9))
    );
    let interval: Vec<f64> =
        serde_json::from_value(padded["padded"]["factor_ci95"].clone()).unwrap();
    assert_eq!(interval, [0.99 / 0.61, 1.01 / 0.59]);
    assert_eq!(padded["padded"]["memory_overhead_pct"], json!((104.0 / 100.0 - 1.0) * 100.0));
    assert_eq!(choice(find(104, false)), cudnn(128, 0.6 / 0.3));
    assert_eq!(choice(find(128, false)), cudnn(128, 1.0));
    // What may save nothing is not taken.
    let unsure = find(126, false);
    assert_eq!((&unsure["padded"], choice(unsure).1), (&Value::Null, json!(126)));
    assert_eq!(choice(unsure).2, 1.0);
    let forced = find(201, false);
    assert_eq!(choice(forced), ("EFFICIENT_ATTENTION".to_owned(), json!(201), 2.0));
    assert_eq!(forced["padded"], Value::Null);
    // Both beat AUTO; whether one beats the other is not known.
    let unpadded = find(301, false);
    assert_eq!(unpadded["padded"]["pad_to"], 304);
    assert_eq!(choice(unpadded), ("FLASH_ATTENTION".to_owned(), json!(301), 2.0));
    // A mask is another attention.
    assert_eq!(choice(find(100, true)), ("FLASH_ATTENTION".to_owned(), json!(100), 1.0));
    let decode = entries.iter().find(|e| e["head_dim"] == 107).unwrap();
    assert_eq!((&decode["seq_len"], &decode["kv_len"]), (&json!(1), &json!(4096)));
    assert_eq!(choice(decode), cudnn(112, 2.0));
    // Of each head_dim that has a time of AUTO; not of 120, which failed, nor of 208.
    let dims = |head_dim: usize| entries.iter().filter(|e| e["head_dim"] == head_dim).count();
    assert_eq!((entries.len(), dims(120), dims(208), dims(112)), (11, 0, 0, 2));
    assert_eq!(table["failed"][0]["case_id"], "S2/AUTO_false/d120");
    assert_eq!(table["failed"][0]["error_kind"], "cuda");
}
