//! What lies where, and how long and wide it is.

use crate::assert_none;
use crate::sources::{Source, read, source, sources, texts};
use night_sweep::experiments::TYPES;

const MOST_LINES: usize = 500;

const MOST_COLUMNS: usize = 100;

fn unsafe_outside_device(source: &Source) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has_unsafe = |line: &str| line.split(|c| !is_word(c)).any(|word| word == "unsafe");
    source.misplaced("device", has_unsafe)
}

/// Names that only `experiments` may know: of types, of their groups and benches.
fn names_of_experiments(source: &Source) -> Vec<String> {
    let names = TYPES.iter().flat_map(|known| [known.name, known.group, known.bench]);
    let quoted: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    let names_one = |line: &str| quoted.iter().any(|name| line.contains(name));
    source.misplaced("experiments", names_one)
}

/// What removes files or gives them the name of another, outside the module that knows which files
/// are ours. `persist` replaces a file; a `TempDir` removes its folder when it is dropped.
fn removals(source: &Source) -> Vec<String> {
    let words = ["remove_dir", "remove_file", "fs::rename", "rename(", ".persist(", "tempdir"];
    let removes = |line: &str| words.iter().any(|word| line.contains(word));
    source.misplaced("files", removes)
}

/// What prints, outside the module that survives a full disk and keeps control characters out.
fn prints(source: &Source) -> Vec<String> {
    let words = ["print!(", "println!(", "dbg!(", "io::stdout", "io::stderr"];
    source.misplaced("terminal", |line| words.iter().any(|word| line.contains(word)))
}

/// What opens a file to read it: a path may lead to a pipe, a device, or a terabyte.
fn readers(source: &Source) -> Vec<String> {
    let words = ["fs::read(", "read_to_string(", "File::open(", ".read(true)"];
    let reads = |line: &str| words.iter().any(|word| line.contains(word));
    source.misplaced("files", reads)
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let found = (lines > MOST_LINES).then(|| format!("{} has {lines} lines", source.path));
    found.into_iter().collect()
}

/// In Markdown a row of a table cannot be broken, nor can a line that is a link.
fn too_wide(source: &Source) -> Vec<String> {
    let is_markdown = source.path.ends_with(".md");
    let is_whole = |line: &str| {
        let line = line.trim().trim_start_matches(['-', ' ', '!']);
        let is_link = line.starts_with('[') && (line.ends_with(')') || line.contains("]: "));
        line.starts_with('|') || is_link || !line.contains(' ')
    };
    let is_wide =
        |line: &str| line.chars().count() > MOST_COLUMNS && !(is_markdown && is_whole(line));
    let found = source.text.lines().zip(1..).filter(|(line, _)| is_wide(line));
    found.map(|(line, at)| format!("{}:{at}: {line}", source.path)).collect()
}

type Rule = fn(&Source) -> Vec<String>;

const RULES: [(Rule, &str); 6] = [
    (unsafe_outside_device, "unsafe code lies in src/device"),
    (names_of_experiments, "ask the type or its view: src/experiments"),
    (removals, "use night_sweep::files"),
    (prints, "use night_sweep::terminal"),
    (readers, "use night_sweep::files::{open, read}"),
    (too_long, "divide it"),
];

#[test]
fn everything_lies_where_it_belongs() {
    let sources = sources();
    for (rule, instead) in RULES {
        let found: Vec<String> = sources.iter().flat_map(rule).collect();
        assert_none(&found, instead);
    }
    let [benches, tests] = ["benches", "tests"].map(|folder| read(&[folder], &["rs"], ""));
    assert_none(&benches.iter().flat_map(prints).collect::<Vec<_>>(), "use night_sweep::terminal");
    assert_none(&tests.iter().flat_map(too_long).collect::<Vec<_>>(), "divide it");
}

#[test]
fn no_line_is_wider_than_a_screen() {
    let found: Vec<String> = texts().iter().flat_map(too_wide).collect();
    assert_none(&found, &format!("wrap at {MOST_COLUMNS} columns"));
}

#[test]
fn what_lies_in_the_wrong_place_is_found() {
    let broken = [
        "fn f() { unsafe { g() } }".to_owned(),
        "match group { \"S1\" => 1 }".to_owned(),
        "fs::remove_dir_all(path)".to_owned(),
        "eprintln!(\"{name}\")".to_owned(),
        "std::fs::read_to_string(path)".to_owned(),
        "\n".repeat(MOST_LINES + 1),
    ];
    for ((rule, _), text) in RULES.iter().zip(&broken) {
        assert_eq!(rule(&source("run/mod.rs", text)).len(), 1, "{text}");
    }
    let allowed = [
        "device/cpu.rs",
        "experiments/sdpa_dense.rs",
        "files/owned.rs",
        "terminal/text.rs",
        "files/read.rs",
    ];
    for ((rule, _), (text, path)) in RULES.iter().zip(broken.iter().zip(allowed)) {
        assert!(rule(&source(path, text)).is_empty(), "{path}");
        assert!(rule(&source("run/mod.rs", &format!("// {text}"))).is_empty(), "{text}");
        let tests = format!("#[cfg(test)]\nmod tests {{\n{text}\n}}");
        assert!(rule(&source("run/mod.rs", &tests)).is_empty(), "{text}");
        let below = format!("#[cfg(test)]\nmod tests;\n{text}");
        assert_eq!(rule(&source("run/mod.rs", &below)).len(), 1, "{text}");
    }
}

#[test]
fn a_line_that_is_too_wide_is_found() {
    let wide = "é".repeat(MOST_COLUMNS) + " x";
    let found = |path: &str, text: &str| too_wide(&source(path, &format!("ok\n{text}\n")));
    assert_eq!(found("src/lib.rs", &wide), [format!("src/lib.rs:2: {wide}")]);
    assert_eq!(found("docs/gpu.md", &wide).len(), 1);
    assert!(found("src/lib.rs", wide.strip_suffix(" x").unwrap()).is_empty());
    for text in [format!("| {wide} |"), format!("[1]: {wide}"), wide.replace(' ', "/")] {
        assert!(found("docs/gpu.md", &text).is_empty(), "{text}");
        assert_eq!(found("tests/page.rs", &text).len(), 1, "{text}");
    }
}
