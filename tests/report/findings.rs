//! What a report concludes.

use crate::Bench;
use crate::support::assert_contains;
use crate::synthetic::{Outcome, c21, g3, het1, journal, p1, s1, s2};
use night_sweep::workload::Case;
use serde_json::{Value, json};

#[test]
fn findings_say_what_the_formula_put_in() {
    let summary = |group: &str, outcomes: &[Outcome]| Bench::of(group, outcomes).summary();
    let about = |value: &Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value / expected - 1.0).abs() < 0.02, "{value} is not about {expected}");
    };
    let found = summary("G3", &g3());
    let curve = &found["curves"][0];
    assert_eq!(curve["points"], 81);
    assert_eq!(curve["fastest"]["dim"], 64);
    // Odd sizes cost most, and among them those just below a multiple of 8: which one, the noise
    // decides.
    let worst = curve["worst_penalty"]["dim"].as_u64().unwrap();
    assert_eq!(worst % 8, 7);
    about(&curve["worst_penalty"]["ratio"], 2.7 * worst as f64 / (worst + 1) as f64);
    about(&curve["alignment_classes"]["mod8"], 1.0);
    let findings = found["findings"].to_string();
    assert_contains(&findings, &[" costs 2.6"]);

    let cliffs = curve["cliffs"].as_array().unwrap();
    let at_107 = cliffs.iter().find(|cliff| cliff["dim"] == 107).unwrap();
    assert_eq!(at_107["pad_to"], 112);
    about(&at_107["ratio"], 2.7 * 107.0 / 112.0);
    assert!(at_107["ratio_lower"].as_f64() < at_107["ratio"].as_f64());
    about(&at_107["overhead_pct"], 100.0 * 5.0 / 107.0);
    let kernels = json!({"from": ["synthetic_align1"], "to": ["synthetic_align8"]});
    assert_eq!(at_107["kernel_change"], kernels);
    assert!(cliffs.iter().all(|cliff| cliff["dim"].as_u64().unwrap() % 8 != 0), "{cliffs:?}");
    assert_eq!(curve["unclassified"], json!([160]));
    assert_eq!(curve["steps"], json!([]), "a line through the origin has none");
    let odd = &curve["tiers"][0];
    assert_eq!((&odd["class"], &odd["points"]), (&"odd".into(), &32.into()));
    assert!(odd["p_value"].as_f64().unwrap() <= 0.01, "{odd}");
    assert_eq!(curve["kernel_changes"].as_array().unwrap().len(), 24);
    assert_eq!(curve["kernel_changes"][1]["to_dim"], 72);

    let found = summary("P1", &p1());
    assert_eq!(found["padding"].as_array().unwrap().len(), 6);
    about(&found["padding"][0]["gain"], 2.5);
    about(&found["padding"][0]["on_the_fly_gain"], 1.0 / 0.65);

    let found = summary("S2", &s2());
    assert_eq!(found["failures_by_kind"]["unsupported"], 2);
    let findings = found["findings"].to_string();
    assert_contains(&findings, &["FLASH at 107"]);
    assert_contains(&findings, &["Unsupported: CUDNN at 107; MEM_EFFICIENT at 107."]);
    let taken = "AUTO runs FLASH on padded copies, 7 kernels, at 107; CUDNN at 96, 104, 112, 120 \
                 and 128.";
    assert_contains(&findings, &[&format!("\"{taken}\"")]);
    let change = "head_dim 107: AUTO runs FLASH on copies padded to 112, 7 kernels; 112: CUDNN.";
    assert_contains(&findings, &[&format!("\"{change} The change costs 2.2")]);

    let found = summary("S1", &s1());
    let findings = found["findings"].to_string();
    assert_contains(&findings, &["the kernel alone takes 75.0 % of the time"]);
    let taken = "AUTO runs CUDNN at 64, 72, 80, 88, 96 and 8 others; FLASH on padded copies, 7 \
                 kernels, at 68 others.";
    assert_contains(&findings, &[&format!("\"batch 4, seq_len 2048: {taken}\"")]);
    assert_eq!(findings.matches("the kernel alone").count(), 1, "{findings}");

    let found = summary("C21", &c21());
    let findings = found["findings"].to_string();
    for shape in ["batch 4, seq 2048", "batch 1, seq 4096"] {
        let sentence =
            format!("{shape}: AUTO runs CUDNN at 104, 112, 120 and 128; FLASH on padded copies");
        assert_contains(&findings, &[&format!("{sentence}, 7 kernels, at 21 others.")]);
    }
    // Both shapes cost the same, but for the noise.
    assert_contains(
        &findings,
        &[": AUTO runs FLASH on copies padded to 1", ". The change costs 2.7"],
    );
    assert_eq!(findings.matches("The change costs").count(), 1, "{findings}");

    let found = summary("HET1", &het1());
    let severe = &found["heterogeneity"][2];
    assert_eq!(severe["pattern"], "severe");
    let flops = |n: f64| 2.0 * 4096.0 * 4096.0 * n;
    let (uniform, split) = (flops(4096.0), flops(8.0 * 443.0));
    let penalty = (0.032 + split / 7e11) / split / ((0.008 + uniform / 7e11) / uniform);
    about(&severe["penalty"], penalty);
    about(&severe["variants"]["grouped"], 0.93 * penalty);
}

#[test]
fn auto_is_compared_with_the_fastest_of_ours() {
    let mut outcomes = s1();
    for (case, time) in s1().into_iter().filter(|(case, _)| case.variant.is_none()) {
        let fastest = |of: &str| of.replace("B4", "B4_NS").replace("B1", "B1_NS");
        let id = fastest(&case.id);
        let case = Case { row: id.clone(), id, curve: fastest(&case.curve), ..case };
        let factor = if case.dim == 107 { 0.4 } else { 0.5 };
        outcomes.push((case.label("backend", "NS_FASTEST"), time.map(|ms| factor * ms)));
    }
    let (header, lines) = journal("S1", &outcomes);
    let found = Bench::new(header, &lines).summary();
    let sentence = "batch 4, seq_len 2048: AUTO takes up to 2.50× as long as the fastest of ours \
                    (head_dim 107: ";
    let is_it = |finding: &Value| finding.as_str().unwrap().starts_with(sentence);
    let finding = found["findings"].as_array().unwrap().iter().find(|finding| is_it(finding));
    let finding = finding.unwrap_or_else(|| panic!("{}", found["findings"]));
    assert!(finding.as_str().unwrap().ends_with("and 2.00× in the median of 81 head_dims."));
}
