//! Runs every check on a workspace.

use std::path::Path;

use crate::manifest::{Package, packages};
use crate::problem::{Error, Problem, read};
use crate::source::{Source, read_package};
use crate::{borders, circles, error_texts, file_creation, sizes};

/// What the checks found.
#[derive(Debug)]
pub(crate) struct Report {
    /// Sorted by file and line.
    pub(crate) problems: Vec<Problem>,
    /// How much was checked.
    pub(crate) figures: String,
}

/// Checks the workspace at `root`.
///
/// # Errors
///
/// A manifest or a source file cannot be read.
pub(crate) fn check(root: &Path) -> Result<Report, Error> {
    let packages = packages(root)?;
    let mut sources = Vec::new();
    for package in &packages {
        sources.push(read_package(root, package)?);
    }
    let median = sizes::median(&sources);
    let mut problems: Vec<Problem> = packages
        .iter()
        .zip(&sources)
        .flat_map(|(package, source)| of_package(package, source))
        .collect();
    problems.extend(sizes::check_median(median));
    problems.extend(sizes::check_readme(&read(&root.join("README.md"))?));
    problems.sort();
    Ok(Report {
        problems,
        figures: figures(&sources, median),
    })
}

fn of_package(package: &Package, source: &Source) -> Vec<Problem> {
    [
        borders::check(package),
        circles::check(package, source),
        error_texts::check(package, source),
        file_creation::check(package, source),
        sizes::check(source),
    ]
    .concat()
}

fn figures(sources: &[Source], median: usize) -> String {
    let files: usize = sources.iter().map(|source| source.files.len()).sum();
    format!(
        "{} crates, {files} files and {} functions (median {median} lines)",
        sources.len(),
        sizes::functions(sources).count()
    )
}
