//! Each link of the documents leads somewhere: to a file or folder of the repository, and to a
//! heading that is there.

#![allow(clippy::unwrap_used)]

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where documents lie. What else is below target-reports is a user's.
const PLACES: [&str; 6] =
    [".", "docs", "assets", "experiments", "experiments/models", "target-reports"];

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = |place: &str| fs::read_dir(root.join(place)).unwrap();
    let files = PLACES.into_iter().flat_map(below).map(|entry| entry.unwrap().path());
    let mut documents: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    // The published nights are no part of a package.
    documents.extend([root.join("target-reports/published/README.md")]);
    documents
}

/// Without blocks and spans of code, in which nothing is a link.
fn prose(text: &str) -> String {
    let blocks = Regex::new(r"(?ms)^\s*```.*?^\s*```$").unwrap();
    let spans = Regex::new(r"`[^`]*`").unwrap();
    let heading_spans = |line: &str| match line.starts_with('#') {
        true => line.to_owned(),
        false => spans.replace_all(line, "`").into_owned(),
    };
    blocks.replace_all(text, "").lines().map(|line| heading_spans(line) + "\n").collect()
}

/// Links inline, of pictures too, and those that are defined on a line of their own.
fn links(text: &str) -> Vec<String> {
    let inline = Regex::new(r"\]\(([^()\s]+)\)").unwrap();
    let defined = Regex::new(r"(?m)^\[[^\]]+\]: (\S+)$").unwrap();
    let text = prose(text);
    let found = inline.captures_iter(&text).chain(defined.captures_iter(&text));
    found.map(|link| link[1].to_owned()).collect()
}

/// As GitHub names the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = Regex::new(r"(?m)^#{1,6} (.+)$").unwrap();
    let marks = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    let mut anchors = BTreeSet::new();
    for heading in headings.captures_iter(&prose(text)) {
        let plain = marks.replace_all(&heading[1], "$1").to_lowercase();
        let kept = plain.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let repeated = (1..).map(|n| format!("{anchor}-{n}"));
        let free = std::iter::once(anchor.clone()).chain(repeated);
        let free = free.into_iter().find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

/// What is wrong with a link in the document at `path`.
fn fault(path: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(f, h)| (f, Some(h)));
    let target = match file {
        "" => path.to_owned(),
        file => path.parent().unwrap().join(file),
    };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", path.display()));
    }
    let heading = heading.filter(|_| target.extension().is_some_and(|ending| ending == "md"))?;
    let is_there = anchors(&fs::read_to_string(&target).unwrap()).contains(heading);
    (!is_there).then(|| format!("{}: {link}: no such heading", path.display()))
}

#[test]
fn each_link_leads_to_a_file_and_a_heading() {
    let (mut checked, mut faults) = (0, Vec::new());
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in links(&text) {
            checked += 1;
            faults.extend(fault(&path, &link));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(checked > 150, "{checked} links");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.md");
    let text = "# One `two` (three)\n\n## Same\n## Same\n\n[a](b.md) [c](#one-two-three) `[d](e)`\n\
                ```\n[f](g)\n# h\n```\n![i](j.png)\n[k]: l.md\n";
    fs::write(&path, text).unwrap();
    assert_eq!(links(text), ["b.md", "#one-two-three", "j.png", "l.md"]);
    let anchors: Vec<_> = anchors(text).into_iter().collect();
    assert_eq!(anchors, ["one-two-three", "same", "same-1"]);
    for (link, is_fault) in [
        ("b.md", true),
        ("#one-two-three", false),
        ("#one", true),
        ("a.md#same-1", false),
        ("a.md#same-2", true),
        ("https://example.com/b.md", false),
        (".", false),
    ] {
        assert_eq!(fault(&path, link).is_some(), is_fault, "{link}");
    }
}
