//! Names of backends: whose kernels stand behind them, and room for all.

use crate::support::{assert_valid, json};
use crate::synthetic::{self, all, journal};
use crate::{Bench, lasting};
use night_sweep::render::table;
use night_sweep::results::raw::Raw;
use serde_json::json;
use std::{fs, iter};

/// A run without PyTorch says so wherever a time stands under a name of PyTorch's.
#[test]
fn stand_ins_are_labelled_and_pytorchs_are_not() {
    for (group, outcomes, plots) in all() {
        let (header, lines) = journal(group, &outcomes);
        let has_attention = ["S1", "S2", "C21", "P1"].contains(&group);
        let (names, sentence) = match group {
            _ if !has_attention => (json!(null), ""),
            "S2" => {
                let names = json!(["AUTO", "FLASH", "MEM_EFFICIENT", "MATH", "CUDNN"]);
                (names, "AUTO, FLASH, MEM_EFFICIENT, MATH and CUDNN are stand-ins")
            }
            _ => (json!(["AUTO"]), "AUTO is a stand-in"),
        };
        // What has no attention has nothing that could be a stand-in.
        let without = has_attention.then(|| synthetic::with_stand_ins(lines.clone()));
        for (lines, name) in iter::once((lines, "pytorch")).chain(without.zip(Some("stand-ins"))) {
            let (root, is_labelled) = (lasting(name), name == "stand-ins");
            let bench = Bench::new(header.clone(), &lines);
            let written = bench.try_write(&root).unwrap();
            assert_valid(&written.folder);
            fs::write(root.join(format!("{group}.txt")), &written.table).unwrap();
            let count = |text: &str| text.to_lowercase().matches("stand-in").count();
            let page = fs::read_to_string(written.folder.join("report.html")).unwrap();
            let (_, data) = page.split_once("type=\"application/json\"").unwrap();
            assert_eq!(data.contains("(stand-in)"), is_labelled, "{group}: curves of the page");
            assert_eq!(count(&page) > 0, is_labelled, "{group}: page");
            // The finding, and the name of a curve or backend at least.
            let (table, labels) = (&written.table, count(&written.table));
            assert!(if is_labelled { labels >= 2 } else { labels == 0 }, "{table}");
            for plot in plots {
                let svg = written.folder.join(format!("plots/{plot}.svg"));
                let svg = fs::read_to_string(svg).unwrap();
                let caption =
                    svg.contains("Stand-ins, not PyTorch") && svg.contains("kernels: AUTO");
                assert_eq!(caption, is_labelled, "{group}: {plot}");
                let by_own_name = group == "C21";
                assert_eq!(svg.contains("(stand-in)"), is_labelled && !by_own_name, "{plot}");
            }
            let summary = json(&written.folder.join("summary.json"));
            let first = summary["findings"][0].as_str().unwrap();
            if is_labelled {
                let why = "not PyTorch's kernels: no PyTorch was loaded; see docs/pytorch.md.";
                assert_eq!(first, format!("{sentence} here, {why}"));
                assert_eq!(summary["stand_ins"], names);
            } else {
                assert!(summary.get("stand_ins").is_none() && count(&summary.to_string()) == 0);
            }
        }
    }
}

#[test]
fn many_backends_fit_a_narrow_terminal_without_a_broken_word() {
    let (header, lines) = journal("S2", &synthetic::s2_of_nine());
    let without = synthetic::with_stand_ins(lines.clone());
    for (lines, root) in [(lines, lasting("nine")), (without, lasting("nine_stand-ins"))] {
        let is_stand_in = root.ends_with("nine_stand-ins");
        let written = Bench::new(header.clone(), &lines).try_write(&root).unwrap();
        let raw: Raw = serde_json::from_value(json(&written.folder.join("raw.json"))).unwrap();
        let summary = json(&written.folder.join("summary.json"));
        let narrow = table::of(&raw, &serde_json::from_value(summary).unwrap(), 80);
        let table: Vec<&str> = narrow.lines().skip(1).collect();
        let is_rule = |line: &&str| line.starts_with('─');
        let last = table.iter().rposition(is_rule).unwrap();
        assert!(table[..last].iter().all(|line| line.chars().count() <= 80), "{}", narrow);
        let words: Vec<&str> = table[..last].iter().flat_map(|line| line.split(' ')).collect();
        let count = |word: &str| words.iter().filter(|known| **known == word).count();
        for name in ["AUTO", "FLASH", "NS_FLASH", "MEM_EFFICIENT", "NS_MEM_EFFICIENT", "NS_CUDNN"] {
            assert_eq!(count(name), 1, "{name} in {}", narrow);
        }
        assert_eq!((count("unsupported"), count("head_dim"), count("128")), (4, 1, 1));
        assert_eq!(count("(stand-in)"), if is_stand_in { 5 } else { 0 }, "{}", narrow);
    }
}
