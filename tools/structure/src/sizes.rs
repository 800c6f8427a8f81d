//! Files, functions and the README stay short enough to be read.

use std::path::Path;

use crate::problem::Problem;
use crate::scope::Function;
use crate::source::{File, Source};

/// In lines, without its tests.
const LONGEST_FILE: usize = 400;

/// In lines, from `fn` to the closing brace.
const LONGEST_FUNCTION: usize = 60;

/// In lines, of all functions of the workspace.
const LARGEST_MEDIAN: usize = 9;

/// In lines.
const LONGEST_README: usize = 150;

/// Finds the files and functions of a package that are too long.
pub(crate) fn check(source: &Source) -> Vec<Problem> {
    source
        .files
        .iter()
        .flat_map(|file| long_file(file).into_iter().chain(long_functions(file)))
        .collect()
}

/// Whether the median function is too long. The problem belongs to no single
/// file, so it is reported for the manifest of the workspace.
pub(crate) fn check_median(median: usize) -> Option<Problem> {
    let text = format!(
        "the median function has {median} lines, more than {LARGEST_MEDIAN}; split functions"
    );
    (median > LARGEST_MEDIAN).then(|| Problem::new(Path::new("Cargo.toml"), 1, text))
}

/// The median length of the functions of all `sources`, 0 if there are none.
pub(crate) fn median(sources: &[Source]) -> usize {
    let mut lengths: Vec<usize> = functions(sources).map(|function| function.lines).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or(0)
}

pub(crate) fn functions(sources: &[Source]) -> impl Iterator<Item = &Function> {
    let files = sources.iter().flat_map(|source| &source.files);
    files.flat_map(|file| &file.functions)
}

/// Whether the README is too long, given its text.
pub(crate) fn check_readme(text: &str) -> Option<Problem> {
    let lines = text.lines().count();
    let what = format!(
        "the README has {lines} lines, more than {LONGEST_README}; \
         move what a newcomer does not need to docs/"
    );
    (lines > LONGEST_README).then(|| Problem::new(Path::new("README.md"), lines, what))
}

fn long_file(file: &File) -> Option<Problem> {
    let text = format!(
        "the file has {} lines without its tests, more than {LONGEST_FILE}; \
         move an independent part to a file of its own",
        file.lines
    );
    (file.lines > LONGEST_FILE).then(|| Problem::new(&file.path, 1, text))
}

fn long_functions(file: &File) -> impl Iterator<Item = Problem> {
    let too_long = |function: &&Function| function.lines > LONGEST_FUNCTION;
    file.functions.iter().filter(too_long).map(|function| {
        let text = format!(
            "the function {} has {} lines, more than {LONGEST_FUNCTION}; split it",
            function.name, function.lines
        );
        Problem::new(&file.path, function.line, text)
    })
}
