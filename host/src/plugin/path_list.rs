//! Paths in the texts of errors.

use std::path::PathBuf;

/// The paths, separated by commas.
pub(super) fn path_list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}
