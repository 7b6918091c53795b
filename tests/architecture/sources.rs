//! The files of the repository, and what of a file is code.

use std::fs;
use std::path::Path;

pub struct Source {
    /// Relative to `src`, as `journal/mod.rs`; of [`texts`], to the repository.
    pub path: String,
    pub text: String,
}

/// The files below some files and folders of the repository with these extensions, by path.
pub fn read(places: &[&str], extensions: &[&str], relative_to: &str) -> Vec<Source> {
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

pub fn sources() -> Vec<Source> {
    let sources = read(&["src"], &["rs"], "src");
    assert!(sources.len() > 100, "{} sources", sources.len());
    sources
}

/// What people read line by line.
pub fn texts() -> Vec<Source> {
    let code = ["src", "tests", "benches", "examples", "kernels"];
    let documents = ["docs", "README.md", "METHODOLOGY.md"];
    read(&[&code[..], &documents].concat(), &["rs", "cu", "cuh", "js", "css", "md"], "")
}

impl Source {
    /// The lines of code that is no test, with their numbers, without comments. Tests stand last in
    /// a file, below the line that opens their module.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..if self.is_test() { 0 } else { tests }].lines();
        lines.map(|line| line.split("//").next().unwrap()).zip(1..).map(|(line, at)| (at, line))
    }

    pub fn is_test(&self) -> bool {
        // A test that is in no module makes a file of tests.
        let is_of_tests = self.text.contains("\n#[test]\n");
        is_of_tests || self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// Its module path, as `[journal, record]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.strip_suffix(".rs").unwrap();
        let names = path.split('/').map(str::to_owned);
        names.filter(|name| !["mod", "lib", "main"].contains(&&**name)).collect()
    }

    /// Lines of code outside of `module` in which `finds` finds something that belongs there.
    pub fn misplaced(&self, module: &str, finds: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.code().filter(|(_, line)| top(&self.path) != module && finds(line));
        found.map(|(at, line)| format!("src/{}:{at}: {}", self.path, line.trim())).collect()
    }
}

pub fn top(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

pub fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
