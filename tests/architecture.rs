//! What the sources have to keep, read from the sources: the order of modules, and what lies where.

#![allow(clippy::unwrap_used)] // in helpers of tests

use night_sweep::experiments::TYPES;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::Visit;

/// The modules of the crate, leaves first: one may use only what stands before it. `lib.rs`
/// explains them.
const ORDER: &str = "stats units terminal files workload device ops measure journal results \
                     experiments spec render advise model export process compare criterion run \
                     fan_out cli";

const MOST_LINES: usize = 500;

const MOST_COLUMNS: usize = 100;

struct Source {
    /// Relative to `src`, as `journal/mod.rs`; of [`texts`], to the repository.
    path: String,
    text: String,
}

/// The files below some files and folders of the repository with these extensions, by path.
fn read(places: &[&str], extensions: &[&str], relative_to: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = places.iter().map(|place| root.join(place)).collect();
    let mut sources = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| extensions.contains(&e.to_str().unwrap())) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root.join(relative_to)).unwrap();
            sources.push(Source { path: path.to_str().unwrap().to_owned(), text });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn sources() -> Vec<Source> {
    let sources = read(&["src"], &["rs"], "src");
    assert!(sources.len() > 100, "{} sources", sources.len());
    sources
}

/// What people read line by line.
fn texts() -> Vec<Source> {
    let code = ["src", "tests", "benches", "examples", "kernels"];
    let documents = ["docs", "README.md", "METHODOLOGY.md"];
    read(&[&code[..], &documents].concat(), &["rs", "cu", "cuh", "js", "css", "md"], "")
}

impl Source {
    /// The lines of code that is no test, with their numbers, without comments. Tests stand last in
    /// a file, below the line that opens their module.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..if self.is_test() { 0 } else { tests }].lines();
        lines.map(|line| line.split("//").next().unwrap()).zip(1..).map(|(line, at)| (at, line))
    }

    fn is_test(&self) -> bool {
        // A test that is in no module makes a file of tests.
        let is_of_tests = self.text.contains("\n#[test]\n");
        is_of_tests || self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// Its module path, as `[journal, record]`.
    fn module(&self) -> Vec<String> {
        let path = self.path.strip_suffix(".rs").unwrap();
        let names = path.split('/').map(str::to_owned);
        names.filter(|name| !["mod", "lib", "main"].contains(&&**name)).collect()
    }

    /// Lines of code outside of `module` in which `finds` finds something that belongs there.
    fn misplaced(&self, module: &str, finds: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.code().filter(|(_, line)| top(&self.path) != module && finds(line));
        found.map(|(at, line)| format!("src/{}:{at}: {}", self.path, line.trim())).collect()
    }
}

/// What the code of a file names by paths.
#[derive(Default)]
struct Names {
    /// Absolute paths below the crate, as `[journal, record, Trial]`.
    paths: BTreeSet<Vec<String>>,
    /// What it hands on: the name here, and the path of the item.
    exports: BTreeMap<String, Vec<String>>,
    module: Vec<String>,
    children: BTreeSet<String>,
}

impl Names {
    fn of(source: &Source) -> Names {
        let file = syn::parse_file(&source.text)
            .unwrap_or_else(|error| panic!("{}: {error}", source.path));
        let mut children = BTreeSet::new();
        for item in &file.items {
            if let syn::Item::Mod(item) = item {
                children.insert(item.ident.to_string());
            }
        }
        let mut names = Names { module: source.module(), children, ..Names::default() };
        names.visit_file(&file);
        names
    }

    /// The absolute path of one written here; none if it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut absolute = match &**first {
            "crate" | "night_sweep" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().checked_sub(1)?].to_vec(),
            child if self.children.contains(child) => {
                [&self.module[..], &[child.to_owned()]].concat()
            }
            _ => return None,
        };
        for name in rest {
            match &**name {
                "super" => drop(absolute.pop()),
                "self" => {}
                _ => absolute.push(name.clone()),
            }
        }
        Some(absolute)
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String], is_export: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident), is_export),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, before, is_export));
            }
            syn::UseTree::Glob(_) => self.paths.extend(self.absolute(before)),
            syn::UseTree::Name(syn::UseName { ident }) => self.item(&with(ident), ident, is_export),
            syn::UseTree::Rename(use_as) => {
                self.item(&with(&use_as.ident), &use_as.rename, is_export)
            }
        }
    }

    fn item(&mut self, path: &[String], name: &syn::Ident, is_export: bool) {
        let Some(path) = self.absolute(path) else { return };
        match is_export {
            true => drop(self.exports.insert(name.to_string(), path)),
            false => drop(self.paths.insert(path)),
        }
    }
}

impl Visit<'_> for Names {
    fn visit_item(&mut self, item: &syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        };
        if !attributes.iter().any(is_test) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.tree(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.paths.extend(self.absolute(&names));
        }
        syn::visit::visit_path(self, path);
    }
}

/// Which file uses which: paths of files, and below each those it uses, with what it names there.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

fn graph(sources: &[Source]) -> Graph {
    let sources: Vec<_> = sources.iter().filter(|source| !source.is_test()).collect();
    let names: Vec<_> = sources.iter().map(|source| Names::of(source)).collect();
    let files: BTreeMap<_, _> = sources.iter().map(|source| (source.module(), source)).collect();
    let exports: BTreeMap<_, _> =
        names.iter().map(|names| (&names.module, &names.exports)).collect();
    // What a module hands on is of the file that defines it.
    let defined_in = |path: &[String]| {
        let mut path = path.to_vec();
        loop {
            let module = (0..=path.len())
                .rev()
                .map(|n| &path[..n])
                .find(|part| files.contains_key(*part))?;
            let (module, rest) = (module.to_vec(), path[module.len()..].to_vec());
            match rest.first().and_then(|name| exports.get(&module)?.get(name)) {
                Some(item) => path = [&item[..], &rest[1..]].concat(),
                None => return Some((files[&module], rest.join("::"))),
            }
        }
    };
    let mut graph = Graph::new();
    for (source, names) in sources.iter().zip(&names) {
        let uses = graph.entry(source.path.clone()).or_default();
        for (used, item) in names.paths.iter().filter_map(|path| defined_in(path)) {
            // The name of a module is no use of it, and an item of the file itself is not either.
            if used.path != source.path && !item.is_empty() {
                uses.insert(used.path.clone(), item);
            }
        }
    }
    graph
}

fn top(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

fn upward(graph: &Graph) -> Vec<String> {
    let place = |path: &str| ORDER.split(' ').position(|name| name == top(path));
    let mut found = Vec::new();
    for (file, uses) in graph {
        let Some(at) = place(file) else {
            if !["lib.rs", "main.rs"].contains(&&**file) {
                found.push(format!("src/{file} is in no module of the order"));
            }
            continue;
        };
        let above = uses.iter().filter(|(used, _)| place(used).is_none_or(|used| used > at));
        found.extend(above.map(|(used, item)| format!("src/{file} uses {item} of src/{used}")));
    }
    found
}

/// Files that use each other, directly or by way of others: one way round for each.
fn cycles(graph: &Graph) -> Vec<String> {
    let reaches = |from: &str, to: &str| {
        let (mut open, mut seen) = (vec![vec![from.to_owned()]], BTreeSet::new());
        while let Some(way) = (!open.is_empty()).then(|| open.remove(0)) {
            for next in graph.get(way.last().unwrap()).into_iter().flat_map(BTreeMap::keys) {
                let longer = [&way[..], std::slice::from_ref(next)].concat();
                if next == to {
                    return Some(longer);
                }
                if seen.insert(next.clone()) {
                    open.push(longer);
                }
            }
        }
        None
    };
    let ways = graph.keys().filter_map(|file| reaches(file, file));
    // The same way begins at each of its files.
    ways.filter(|way| way.iter().min() == way.first()).map(|way| way.join(" -> ")).collect()
}

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
    let found = (lines > MOST_LINES).then(|| format!("src/{} has {lines} lines", source.path));
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

fn assert_none(found: &[String], instead: &str) {
    assert!(found.is_empty(), "{instead}:\n{}", found.join("\n"));
}

#[test]
fn a_module_uses_only_modules_before_it() {
    assert_none(&upward(&graph(&sources())), "the order is explained in src/lib.rs");
}

#[test]
fn files_do_not_use_each_other_in_a_circle() {
    assert_none(&cycles(&graph(&sources())), "move what both need to a third file");
}

#[test]
fn no_line_is_wider_than_a_screen() {
    let found: Vec<String> = texts().iter().flat_map(too_wide).collect();
    assert_none(&found, &format!("wrap at {MOST_COLUMNS} columns"));
}

#[test]
fn everything_lies_where_it_belongs() {
    let sources = sources();
    for (rule, instead) in RULES {
        let found: Vec<String> = sources.iter().flat_map(rule).collect();
        assert_none(&found, instead);
    }
    let benches = read(&["benches"], &["rs"], "");
    assert_none(&benches.iter().flat_map(prints).collect::<Vec<_>>(), "use night_sweep::terminal");
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn an_import_upward_is_found() {
    let found = |used: &str| {
        let user = source("stats/mod.rs", used);
        upward(&graph(&[user, source("spec/mod.rs", ""), source("units.rs", "")]))
    };
    let expected = ["src/stats/mod.rs uses Spec of src/spec/mod.rs"];
    assert_eq!(found("use crate::spec::Spec;"), expected);
    assert_eq!(found("use crate::{spec::{Spec as S}};"), expected);
    assert_eq!(found("fn f() -> crate::spec::Spec { todo!() }"), expected);
    assert_eq!(found("mod inner { use crate::spec::Spec; }"), expected);
    assert!(found("#[cfg(test)]\nmod tests { use crate::spec::Spec; }").is_empty());
    assert!(found("use std::spec::Spec;").is_empty());
    let unknown = upward(&graph(&[source("extra.rs", "")]));
    assert_eq!(unknown, ["src/extra.rs is in no module of the order"]);
    let down = [source("stats/mod.rs", ""), source("spec/mod.rs", "use crate::stats::median;")];
    assert!(upward(&graph(&down)).is_empty());
}

#[test]
fn a_cycle_of_files_is_found_also_by_way_of_a_third_and_of_a_re_export() {
    let of = |texts: [&str; 3]| {
        let paths = ["spec/mod.rs", "spec/a.rs", "spec/b.rs"];
        let sources: Vec<_> =
            paths.into_iter().zip(texts).map(|(p, text)| source(p, text)).collect();
        cycles(&graph(&sources))
    };
    let child_and_parent = of(["mod a; use a::A;", "use super::P;", ""]);
    assert_eq!(child_and_parent, ["spec/a.rs -> spec/mod.rs -> spec/a.rs"]);
    let siblings = of(["mod a; mod b; pub use b::B;", "use super::B;", "use super::a::A;"]);
    assert_eq!(siblings, ["spec/a.rs -> spec/b.rs -> spec/a.rs"]);
    let third = of(["mod a; use a::A;", "use super::b::B;", "fn f() { crate::spec::p() }"]);
    assert_eq!(third, ["spec/a.rs -> spec/b.rs -> spec/mod.rs -> spec/a.rs"]);
    // A module that only hands on is no part of one.
    assert!(of(["mod a; mod b; pub use b::B; pub use a::A;", "use super::B;", ""]).is_empty());
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
