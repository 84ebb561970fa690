//! House rules that a machine can hold: who imports whom, what the core may not touch, how large a file grows, what a
//! page may load and which licences may be linked. A finding names the file, the line and the rule.

mod arrows;
mod claims;
mod files;
mod licences;
mod pages;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the repository.
struct Source {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

/// A line of code, without its comment.
struct Line<'a> {
    number: usize,
    code: &'a str,
}

impl Source {
    fn of(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// Code that is shipped: no comments, and nothing from the tests on, which stand last in a file.
    fn shipped(&self) -> impl Iterator<Item = Line<'_>> {
        self.code().take_while(|line| !line.code.trim_start().starts_with("#[cfg(test)]"))
    }

    /// All code without comments. Strings are kept; a `//` inside one ends the line early, which only hides its tail.
    fn code(&self) -> impl Iterator<Item = Line<'_>> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| Line { number: index + 1, code: line.split_once("//").map_or(line, |(code, _)| code) })
    }
}

/// What breaks a rule, gathered so that one run shows all of it.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, path: &str, line: usize, why: &str) {
        self.0.push(format!("{path}:{line}: {why}"));
    }

    fn none_or_panic(self) {
        assert!(self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the repository").to_path_buf()
}

/// Files under `folder` (from the root) whose names end with one of `endings`.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    gather(&root().join(folder), endings, &mut found);
    found.sort();
    assert!(!found.is_empty(), "{folder} holds no {endings:?}: did it move?");
    found.iter().map(|path| Source::of(path)).collect()
}

fn gather(folder: &Path, endings: &[&str], found: &mut Vec<String>) {
    const NOT_OURS: [&str; 7] = ["target", "node_modules", "dist", "dist.new", "out", ".git", "vectors"];
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !NOT_OURS.contains(&name) {
                gather(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let relative = path.strip_prefix(root()).expect("under the root");
            found.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
}

/// Whether `word` stands in `code` with no letter, digit or `_` before it.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}
