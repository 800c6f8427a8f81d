//! No files or folders may import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::graph::Graph;
use crate::imports::{Imports, Names, between_files};
use crate::manifest::Package;
use crate::problem::Problem;
use crate::source::Source;

const REMEDY: &str = "move what they share to a file of its own that imports none of them";

/// How many imports of a circle a problem lists.
const MOST_TIES: usize = 16;

/// Finds the circles between the files of a package, and between its folders.
pub(crate) fn check(package: &Package, source: &Source) -> Vec<Problem> {
    let imports = between_files(source);
    let mut problems = of_files(package, source, &imports);
    problems.extend(of_folders(package, source, &imports));
    problems
}

/// An import from one file or folder to another.
struct Edge {
    names: Names,
    /// The file that holds the import.
    importer: PathBuf,
}

/// By the names that a problem shows for the importer and the imported.
type Edges = BTreeMap<(String, String), Edge>;

fn of_files(package: &Package, source: &Source, imports: &Imports) -> Vec<Problem> {
    let mut edges = Edges::new();
    for ((from, to), names) in imports {
        if let (Some(from), Some(to)) = (source.files.get(*from), source.files.get(*to)) {
            let shown = (shown(package, &from.path), shown(package, &to.path));
            edges.insert(shown, edge(names, &from.path));
        }
    }
    problems("files", &edges, |_| true)
}

/// Compares the files and folders of one folder with each other, on every
/// level. A folder imports what any file in it imports from outside.
fn of_folders(package: &Package, source: &Source, imports: &Imports) -> Vec<Problem> {
    let with_folder = folders(source);
    let mut levels = BTreeMap::<PathBuf, Edges>::new();
    for ((from, to), names) in imports {
        let (Some(from), Some(to)) = (source.files.get(*from), source.files.get(*to)) else {
            continue;
        };
        let (from_place, to_place) = (
            place(&from.path, &with_folder),
            place(&to.path, &with_folder),
        );
        let level = common_folder(&from_place, &to_place);
        let shown = (
            sibling(package, &level, &from_place),
            sibling(package, &level, &to_place),
        );
        levels
            .entry(level)
            .or_default()
            .entry(shown)
            .and_modify(|edge| edge.names.names.extend(names.names.iter().cloned()))
            .or_insert_with(|| edge(names, &from.path));
    }
    levels
        .values()
        .flat_map(|edges| problems("files and folders", edges, is_folder))
        .collect()
}

fn edge(names: &Names, importer: &Path) -> Edge {
    Edge {
        names: names.clone(),
        importer: importer.to_owned(),
    }
}

/// One problem for each circle that has a node of interest.
fn problems(kind: &str, edges: &Edges, is_of_interest: impl Fn(&str) -> bool) -> Vec<Problem> {
    let graph = Graph::new(edges.keys().cloned());
    graph
        .circles()
        .iter()
        .filter(|circle| circle.iter().any(|node| is_of_interest(node)))
        .filter_map(|circle| problem(kind, edges, circle))
        .collect()
}

fn problem(kind: &str, edges: &Edges, circle: &BTreeSet<String>) -> Option<Problem> {
    let mut inside: Vec<_> = edges
        .iter()
        .filter(|((from, to), _)| circle.contains(from) && circle.contains(to))
        .collect();
    let (_, first) = *inside.first()?;
    // Pairs that import each other come first, as the shortest circles.
    inside.sort_by_key(|((from, to), _)| !edges.contains_key(&(to.clone(), from.clone())));
    let mut ties: Vec<String> = inside
        .iter()
        .take(MOST_TIES)
        .map(|((from, to), edge)| format!("{from} -> {to}: {}", listed(&edge.names)))
        .collect();
    if let Some(more) = inside.len().checked_sub(MOST_TIES + 1) {
        ties.push(format!("and {} more", more + 1));
    }
    let text = format!(
        "{} {kind} import each other in a circle; {REMEDY}: {}",
        circle.len(),
        ties.join("; ")
    );
    Some(Problem::new(&first.importer, first.names.line, text))
}

fn listed(names: &Names) -> String {
    let names: Vec<&str> = names.names.iter().map(String::as_str).collect();
    names.join(", ")
}

/// The folders that hold source files.
fn folders(source: &Source) -> BTreeSet<PathBuf> {
    source
        .files
        .iter()
        .filter_map(|file| file.path.parent().map(Path::to_owned))
        .collect()
}

/// The place of a file among the folders: `a.rs` beside a folder `a` is part of
/// that folder, as `a/mod.rs` would be.
fn place(path: &Path, folders: &BTreeSet<PathBuf>) -> PathBuf {
    let folder = path.with_extension("");
    if folders.contains(&folder) {
        return folder.join("mod.rs");
    }
    path.to_owned()
}

/// The innermost folder that both paths are in.
fn common_folder(from: &Path, to: &Path) -> PathBuf {
    from.components()
        .zip(to.components())
        .take_while(|(from, to)| from == to)
        .map(|(component, _)| component)
        .collect()
}

/// The part of `path` that is directly in the folder `level`, as a problem
/// shows it: a file, or a folder with a trailing slash.
fn sibling(package: &Package, level: &Path, path: &Path) -> String {
    let depth = level.components().count() + 1;
    let sibling: PathBuf = path.components().take(depth).collect();
    let slash = if sibling == path { "" } else { "/" };
    format!("{}{slash}", shown(package, &sibling))
}

fn is_folder(shown: &str) -> bool {
    shown.ends_with('/')
}

/// A path inside the package, without its `src`.
fn shown(package: &Package, path: &Path) -> String {
    let inside = path.strip_prefix(&package.folder).unwrap_or(path);
    let inside = inside.strip_prefix("src").unwrap_or(inside);
    inside.display().to_string()
}
