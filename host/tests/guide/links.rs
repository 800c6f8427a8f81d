//! Links between the documents of the repository.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::follow::read;

/// Every relative link in the documents of the root and of `docs/` whose target
/// file or heading does not exist.
pub(crate) fn broken(root: &Path) -> Vec<String> {
    let mut documents = Vec::new();
    for folder in ["", "docs", "docs/deploy"] {
        documents.extend(documents_in(root, folder));
    }
    documents
        .iter()
        .flat_map(|document| broken_in(root, document))
        .collect()
}

/// The documents of one folder, as paths from the root.
fn documents_in(root: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return Vec::new();
    };
    let names = entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name()));
    let mut documents: Vec<_> = names
        .filter(|name| name.extension().is_some_and(|e| e == "md"))
        .collect();
    documents.sort();
    documents
}

fn broken_in(root: &Path, document: &Path) -> Vec<String> {
    let text = prose(&read(&root.join(document)));
    let targets = text.split("](").skip(1).filter_map(|t| t.split_once(')'));
    let relative = targets.map(|(target, _)| target);
    relative
        .filter(|target| !target.contains("://"))
        .filter_map(|target| problem(root, document, target))
        .map(|problem| format!("{}: {problem}", document.display()))
        .collect()
}

/// What is wrong with a link of this document.
fn problem(root: &Path, document: &Path, target: &str) -> Option<String> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => root.join(document),
        path => root.join(document).parent().unwrap().join(path),
    };
    if !file.exists() {
        return Some(format!("{path} does not exist"));
    }
    let is_there = heading.is_empty() || headings(&read(&file)).contains(heading);
    (!is_there).then(|| format!("#{heading} is not a heading"))
}

/// The text without its fenced blocks.
fn prose(document: &str) -> String {
    let parts = document.split("\n```").step_by(2);
    parts.collect::<Vec<_>>().join("\n")
}

/// The names of the headings, as GitHub derives them.
fn headings(document: &str) -> HashSet<String> {
    let name = |heading: &str| -> String {
        let lower = heading.trim_start_matches('#').trim().to_lowercase();
        let is_kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        lower
            .chars()
            .filter(is_kept)
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    let text = prose(document);
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(name).collect()
}
