//! Which file uses which: only modules before it, and none in a circle.

use crate::assert_none;
use crate::names::Names;
use crate::sources::{Source, source, sources, top};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// The modules of the crate, leaves first: one may use only what stands before it. `lib.rs`
/// explains them.
const ORDER: &str = "stats units terminal files workload device ops measure journal results \
                     experiments spec render advise model export process compare criterion run \
                     fan_out cli";

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

/// To parse all sources takes a second.
fn of_sources() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| graph(&sources()))
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

#[test]
fn a_module_uses_only_modules_before_it() {
    assert_none(&upward(of_sources()), "the order is explained in src/lib.rs");
}

#[test]
fn files_do_not_use_each_other_in_a_circle() {
    assert_none(&cycles(of_sources()), "move what both need to a third file");
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
