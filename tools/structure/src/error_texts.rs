//! The texts of Consul's errors may occur only in the crates that talk to
//! Consul or imitate it.

use crate::borders::host_crates;
use crate::manifest::Package;
use crate::problem::Problem;
use crate::source::Source;

/// The client, and the coordinator that answers as Consul does.
const MAY_KNOW: [&str; 2] = ["sluice-consul", "sluice-coordinator"];

/// Phrases by which Consul's errors are recognised.
const TEXTS: [&str; 8] = [
    "invalid session",
    "Permission denied",
    "lock is already held",
    "due to lock delay",
    "critical state",
    "Missing check",
    "Unknown service",
    "Unknown session",
];

/// Finds the string literals that contain a phrase of Consul's errors.
pub(crate) fn check(package: &Package, source: &Source) -> Vec<Problem> {
    let name = package.name.as_str();
    if MAY_KNOW.contains(&name) || !host_crates().any(|known| known == name) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for file in &source.files {
        for (literal, line) in &file.literals {
            let found = TEXTS.iter().find(|text| literal.contains(**text));
            problems.extend(found.map(|text| {
                let what = format!(
                    "{text:?} is how Consul words an error; \
                     let sluice-consul recognise it and give it a type"
                );
                Problem::new(&file.path, *line, what)
            }));
        }
    }
    problems
}
