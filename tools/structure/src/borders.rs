//! Which crate may depend on which. This table is the place to change it.

use crate::manifest::{Dependency, Package};
use crate::problem::Problem;

/// The crates of this table that one crate of the host may depend on.
struct Border {
    name: &'static str,
    may_use: &'static [&'static str],
    /// What its tests may use in addition.
    tests_may_use: &'static [&'static str],
}

/// The crates of the host. No other member of the workspace, such as a plugin,
/// may depend on any of them.
const BORDERS: [Border; 11] = [
    Border {
        name: "sluice-types",
        may_use: &[],
        tests_may_use: &[],
    },
    Border {
        name: "sluice-access",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    Border {
        name: "sluice-consul",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    Border {
        name: "sluice-leadership",
        may_use: &["sluice-types", "sluice-consul"],
        tests_may_use: &["sluice-coordinator"],
    },
    // It knows sinks only by their trait, and the leader only by its lease.
    Border {
        name: "sluice-delivery",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    // It knows the replicated journal by what that needs of a log.
    Border {
        name: "sluice-jetstream",
        may_use: &["sluice-delivery"],
        tests_may_use: &[],
    },
    Border {
        name: "sluice-sandbox",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    // It takes spans that have ended; it makes none.
    Border {
        name: "sluice-traces",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    // It turns bytes into records and back; it neither waits nor delivers.
    Border {
        name: "sluice-protocols",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    Border {
        name: "sluice-coordinator",
        may_use: &["sluice-types"],
        tests_may_use: &[],
    },
    Border {
        name: "sluice",
        may_use: &[
            "sluice-types",
            "sluice-access",
            "sluice-consul",
            "sluice-leadership",
            "sluice-delivery",
            "sluice-jetstream",
            "sluice-protocols",
            "sluice-sandbox",
            "sluice-coordinator",
            "sluice-traces",
        ],
        tests_may_use: &[],
    },
];

/// External crates that only one crate may depend on.
const RESERVED: [(&str, &str); 7] = [
    ("async-nats", "sluice-jetstream"),
    ("opentelemetry", "sluice-traces"),
    ("opentelemetry-otlp", "sluice-traces"),
    ("opentelemetry_sdk", "sluice-traces"),
    ("wasmtime", "sluice-sandbox"),
    ("wasmtime-wasi", "sluice-sandbox"),
    ("wasmtime-wasi-http", "sluice-sandbox"),
];

/// The crates of the host, by name.
pub(crate) fn host_crates() -> impl Iterator<Item = &'static str> {
    BORDERS.iter().map(|border| border.name)
}

/// Finds the dependencies that cross a border.
pub(crate) fn check(package: &Package) -> Vec<Problem> {
    let manifest = package.folder.join("Cargo.toml");
    let border = BORDERS.iter().find(|border| border.name == package.name);
    let mut problems = Vec::new();
    if border.is_none() && package.folder.starts_with("host/crates") {
        let text = format!(
            "{} has no borders; add it to the table in tools/structure/src/borders.rs",
            package.name
        );
        problems.push(Problem::new(&manifest, 1, text));
    }
    for dependency in &package.dependencies {
        if let Some(text) = crossed(&package.name, border, dependency) {
            problems.push(Problem::new(&manifest, dependency.line, text));
        }
    }
    problems
}

/// What is wrong with the dependency of the package `name`.
fn crossed(name: &str, border: Option<&Border>, dependency: &Dependency) -> Option<String> {
    let wanted = dependency.package.as_str();
    let owner = RESERVED.iter().find(|(reserved, _)| *reserved == wanted);
    if let Some((_, owner)) = owner.filter(|(_, owner)| *owner != name) {
        return Some(format!(
            "{name} must not depend on {wanted}; only {owner} may, so go through it"
        ));
    }
    if !host_crates().any(|known| known == wanted) || border.is_some_and(|b| b.allows(dependency)) {
        return None;
    }
    let allowed = border.map_or(&[][..], |border| border.may_use);
    let allowed = match allowed {
        [] => "no crate of the host".to_owned(),
        allowed => format!("only {}", allowed.join(", ")),
    };
    Some(format!(
        "{name} must not depend on {wanted}: it may use {allowed}; \
         move what it needs to a crate that it may use"
    ))
}

impl Border {
    fn allows(&self, dependency: &Dependency) -> bool {
        let wanted = dependency.package.as_str();
        let is_for_tests = dependency.is_dev && self.tests_may_use.contains(&wanted);
        wanted == self.name || self.may_use.contains(&wanted) || is_for_tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_crate_can_reach_one_that_may_use_it() {
        let edges = BORDERS
            .iter()
            .flat_map(|border| border.may_use.iter().map(|used| (border.name, *used)));
        assert!(crate::graph::Graph::new(edges).circles().is_empty());
    }

    #[test]
    fn what_only_tests_may_use_is_not_for_the_code() {
        let problem = |is_dev| {
            let dependency = Dependency {
                package: "sluice-coordinator".to_owned(),
                line: 1,
                is_dev,
            };
            let border = BORDERS.iter().find(|b| b.name == "sluice-leadership");
            crossed("sluice-leadership", border, &dependency)
        };
        assert_eq!(problem(true), None);
        assert!(problem(false).is_some());
    }
}
