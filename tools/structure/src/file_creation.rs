//! The host creates its files and directories in one place, which decides who
//! may use them.

use std::path::Path;

use crate::borders::host_crates;
use crate::manifest::Package;
use crate::problem::Problem;
use crate::source::Source;

/// The one place.
const PLACE: &str = "host/crates/types/src/files.rs";

/// Refuses calls that create a file or a directory in the host outside the one
/// place.
pub(crate) fn check(package: &Package, source: &Source) -> Vec<Problem> {
    if !host_crates().any(|known| known == package.name) {
        return Vec::new();
    }
    // A build script makes files for the build.
    let others = source
        .files
        .iter()
        .filter(|file| file.path != Path::new(PLACE) && !file.path.ends_with("build.rs"));
    others
        .flat_map(|file| {
            file.creations.iter().map(|(name, line)| {
                let what = format!(
                    "{name} creates a file or a directory with any mode; use a function of \
                     sluice_types::files"
                );
                Problem::new(&file.path, *line, what)
            })
        })
        .collect()
}
