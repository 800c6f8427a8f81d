//! Trees with one planted problem each, and the report on it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::workspace::check;

/// A workspace with a library and a program, without problems.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
            .with("README.md", "# A tree\n")
            .with(
                "Cargo.toml",
                "[workspace]\nmembers = [\"host\", \"host/crates/*\", \"plugins/file\"]\n\n\
                 [workspace.dependencies]\nsluice-types = { path = \"host/crates/types\" }\n\
                 hidden = { package = \"sluice-consul\", path = \"host/crates/consul\" }\n",
            )
            .package("host", "sluice", "sluice-types.workspace = true\n")
            .package("host/crates/types", "sluice-types", "")
            .package(
                "plugins/file",
                "sluice-plugin-file",
                "wit-bindgen = \"1\"\n",
            )
            .with("host/src/main.rs", "fn main() {\n    sluice::run();\n}\n")
            .with("host/src/lib.rs", "mod queue;\n\npub use queue::run;\n")
            .with("host/src/queue.rs", "pub fn run() {}\n")
            .with("host/crates/types/src/lib.rs", "//! Types.\n")
            .with("plugins/file/src/lib.rs", "//! A sink.\n")
    }

    /// Adds a file, or replaces it.
    fn with(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn package(self, folder: &str, name: &str, dependencies: &str) -> Self {
        self.with(
            &format!("{folder}/Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{dependencies}"),
        )
    }

    /// Adds files to the library of the host.
    fn library(self, files: &[(&str, &str)]) -> Self {
        files.iter().fold(self, |tree, (path, text)| {
            tree.with(&format!("host/src/{path}"), text)
        })
    }

    fn problems(&self) -> Vec<String> {
        let report = check(self.0.path()).unwrap();
        report.problems.iter().map(ToString::to_string).collect()
    }

    /// Asserts that there is exactly one problem, which starts and ends like
    /// this.
    fn assert_only(&self, start: &str, end: &str) {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with(start), "{}", problems[0]);
        assert!(problems[0].ends_with(end), "{}", problems[0]);
    }

    fn assert_clean(&self) {
        assert_eq!(self.problems(), Vec::<String>::new());
    }
}

#[test]
fn a_clean_tree_has_no_problems() {
    let report = check(Tree::new().0.path()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(
        report.figures,
        "3 crates, 5 files and 2 functions (median 3 lines)"
    );
}

#[test]
fn two_files_in_a_circle() {
    Tree::new()
        .library(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            (
                "a.rs",
                "//! A.\n\nuse crate::b::{self, B};\n\npub struct A(B);\n",
            ),
            (
                "b.rs",
                "pub struct B;\n\nfn b() {\n    super::a::A::new();\n}\n",
            ),
        ])
        .assert_only(
            "host/src/a.rs:3: 2 files import each other in a circle; move ",
            ": a.rs -> b.rs: B; b.rs -> a.rs: A",
        );
}

#[test]
fn three_files_in_a_circle_through_a_face() {
    Tree::new()
        .library(&[
            ("lib.rs", "mod delivery;\n"),
            (
                "delivery/mod.rs",
                "//! Delivery.\n\nmod a;\nmod b;\nmod c;\n\npub use a::{A, more as other};\npub(crate) use b::*;\npub use c::C as Renamed;\n",
            ),
            ("delivery/a.rs", "use super::B;\npub struct A(B);\n"),
            ("delivery/b.rs", "use crate::delivery::Renamed;\npub struct B(Renamed);\n"),
            (
                "delivery/c.rs",
                "pub struct C;\nfn c() {\n    crate::delivery::A::new();\n}\n",
            ),
        ])
        .assert_only(
            "host/src/delivery/a.rs:1: 3 files ",
            ": delivery/a.rs -> delivery/b.rs: B; delivery/b.rs -> delivery/c.rs: C; \
             delivery/c.rs -> delivery/a.rs: A",
        );
}

#[test]
fn a_face_ties_no_circle() {
    Tree::new()
        .library(&[
            ("lib.rs", "mod a;\nmod b;\n\npub use b::B;\nuse a::A;\n"),
            ("a.rs", "pub struct A;\n"),
            ("b.rs", "use crate::A;\npub struct B(A);\n"),
        ])
        .assert_clean();
}

#[test]
fn a_module_with_code_may_pass_on_what_it_does_not_use() {
    let tree = |code: &str| {
        Tree::new().library(&[
            (
                "lib.rs",
                &format!("mod a;\n\npub use a::A;\n\npub struct Root;\n{code}"),
            ),
            ("a.rs", "use crate::Root;\npub struct A(Root);\n"),
        ])
    };
    tree("").assert_clean();
    tree("fn f(a: A) {}\n").assert_only(
        "host/src/a.rs:1: 2 files ",
        ": a.rs -> lib.rs: Root; lib.rs -> a.rs: A",
    );
}

#[test]
fn importing_all_ties_by_what_is_used_of_it() {
    let tree = |code: &str| {
        Tree::new().library(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", &format!("use super::b::*;\npub struct A;\n{code}")),
            ("b.rs", "use crate::a::A;\npub struct B(A);\n"),
        ])
    };
    tree("fn f() {}\n").assert_clean();
    tree("fn f(b: B) {}\n").assert_only(
        "host/src/a.rs:3: 2 files ",
        ": a.rs -> b.rs: B; b.rs -> a.rs: A",
    );
}

#[test]
fn tests_comments_and_strings_tie_nothing() {
    Tree::new()
        .library(&[
            ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod t;\n"),
            (
                "a.rs",
                "// use crate::b::B;\npub struct A;\n/* crate::b::B */\nfn f() {\n    g(\"crate::b::B\");\n}\n\
                 #[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::b::B;\n}\n",
            ),
            ("b.rs", "use crate::a::A;\npub struct B(A);\n"),
        ])
        .assert_clean();
}

#[test]
fn folders_in_a_circle_without_one_of_files() {
    Tree::new()
        .library(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a/mod.rs", "pub mod one;\npub mod two;\n"),
            (
                "a/one.rs",
                "use crate::b::three::Three;\npub struct One(Three);\n",
            ),
            ("a/two.rs", "pub struct Two;\n"),
            ("b.rs", "pub mod four;\npub mod three;\n"),
            ("b/three.rs", "pub struct Three;\n"),
            (
                "b/four.rs",
                "use crate::a::two::Two;\npub struct Four(Two);\n",
            ),
        ])
        .assert_only(
            "host/src/a/one.rs:1: 2 files and folders import each other in a circle; move ",
            ": a/ -> b/: Three; b/ -> a/: Two",
        );
}

#[test]
fn a_file_beside_a_folder_is_its_sibling() {
    let tree = |handler: &str| {
        Tree::new().library(&[
            ("lib.rs", "mod http;\n"),
            ("http/mod.rs", "mod budget;\nmod ingest;\nmod router;\n"),
            ("http/budget.rs", "pub struct Budget;\n"),
            (
                "http/router.rs",
                "use super::ingest::Handler;\npub struct Router(Handler);\n",
            ),
            (
                "http/ingest/mod.rs",
                "mod handler;\nmod other;\n\npub use handler::Handler;\n",
            ),
            (
                "http/ingest/handler.rs",
                "use crate::http::budget::Budget;\npub struct Handler(Budget);\n",
            ),
            ("http/ingest/other.rs", handler),
        ])
    };
    tree("pub struct Other;\n").assert_clean();
    tree("use crate::http::router::Router;\n\npub struct Other(Router);\n").assert_only(
        "host/src/http/ingest/other.rs:1: 2 files and folders ",
        ": http/ingest/ -> http/router.rs: Router; http/router.rs -> http/ingest/: Handler",
    );
}

#[test]
fn a_dependency_that_crosses_a_border() {
    let tree = |dependencies: &str| {
        Tree::new()
            .package("host/crates/delivery", "sluice-delivery", dependencies)
            .with("host/crates/delivery/src/lib.rs", "//! Delivery.\n")
    };
    tree("sluice-types.workspace = true\n").assert_clean();
    for hidden in [
        "hidden.workspace = true\n",
        "other = { package = \"sluice-consul\", path = \"../consul\" }\n",
        "\n[dev-dependencies]\nsluice-consul = { path = \"../consul\" }\n",
        "\n[target.'cfg(unix)'.dependencies]\nsluice-consul = { path = \"../consul\" }\n",
    ] {
        tree(hidden).assert_only(
            "host/crates/delivery/Cargo.toml:",
            ": sluice-delivery must not depend on sluice-consul: it may use only sluice-types; \
             move what it needs to a crate that it may use",
        );
    }
}

#[test]
fn a_plugin_that_depends_on_the_host() {
    Tree::new()
        .package(
            "plugins/file",
            "sluice-plugin-file",
            "sluice-types = \"1\"\n",
        )
        .assert_only(
            "plugins/file/Cargo.toml:5: sluice-plugin-file must not depend on sluice-types: \
             it may use no crate of the host",
            "may use",
        );
}

#[test]
fn a_sandbox_in_the_wrong_crate() {
    Tree::new()
        .package("host", "sluice", "wasmtime-wasi = \"1\"\n")
        .assert_only(
            "host/Cargo.toml:5: sluice must not depend on wasmtime-wasi; only sluice-sandbox may",
            "go through it",
        );
}

#[test]
fn a_crate_of_the_host_without_borders() {
    Tree::new()
        .package("host/crates/new", "sluice-new", "")
        .assert_only(
            "host/crates/new/Cargo.toml:1: sluice-new has no borders; add it ",
            "borders.rs",
        );
}

#[test]
fn a_file_that_is_too_long_without_its_tests() {
    let tree = |lines: usize| {
        let test = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n";
        Tree::new().with(
            "host/src/queue.rs",
            &format!("{}{test}", "// A line.\n".repeat(lines)),
        )
    };
    tree(400).assert_clean();
    tree(401).assert_only(
        "host/src/queue.rs:1: the file has 401 lines without its tests, more than 400; ",
        "of its own",
    );
}

#[test]
fn a_function_that_is_too_long() {
    let tree = |lines: usize| {
        let text = format!("\npub fn run() {{\n{}}}\n", "    a();\n".repeat(lines - 2));
        Tree::new().with("host/src/queue.rs", &format!("{text}fn a() {{}}\n"))
    };
    tree(60).assert_clean();
    tree(61).assert_only(
        "host/src/queue.rs:2: the function run has 61 lines, more than 60; split it",
        "",
    );
}

#[test]
fn functions_that_are_too_long_in_the_median() {
    let function = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(8));
    Tree::new()
        .with("host/src/queue.rs", &function.repeat(2))
        .assert_only(
            "Cargo.toml:1: the median function has 10 lines, more than 9; ",
            "",
        );
}

#[test]
fn a_readme_that_is_too_long() {
    Tree::new()
        .with("README.md", &"A line.\n".repeat(151))
        .assert_only(
            "README.md:151: the README has 151 lines, more than 150; ",
            "docs/",
        );
}

#[test]
fn an_error_of_consul_recognised_outside_its_crate() {
    let code = "pub fn run(text: &str) -> bool {\n    text.contains(\"invalid session\")\n}\n";
    Tree::new().with("host/src/queue.rs", code).assert_only(
        "host/src/queue.rs:2: \"invalid session\" is how Consul words an error; ",
        "a type",
    );
    Tree::new()
        .with("plugins/file/src/lib.rs", code)
        .assert_clean();
}

#[test]
fn a_file_that_is_created_past_the_one_place() {
    for call in [
        "std::fs::File::create(path)",
        "File::create_new(path)",
        "std::fs::write(path, \"\")",
        "fs::create_dir_all(path)",
        "File::options().create(true).open(path)",
        "OpenOptions::new().write(true).create_new(true).open(path)",
        "tempfile::Builder::new().tempdir()",
        "rustix::fs::mkdirat(parent, path, mode)",
        "Database::create(path)",
    ] {
        let code = format!("pub fn run() {{\n    {call};\n}}\n");
        Tree::new()
            .library(&[("queue.rs", &code)])
            .assert_only("host/src/queue.rs:2: ", "a function of sluice_types::files");
        let place = "host/crates/types/src/files.rs";
        Tree::new()
            .with("host/crates/types/src/lib.rs", "pub mod files;\n")
            .with(place, &code)
            .assert_clean();
    }
    let test = "#[cfg(test)]\nmod tests {\n    fn f() { std::fs::write(a, b); }\n}\n";
    let harmless = "fn g() { Coordinator::create(1); builder.create_file(open); write(a); }\n";
    let code = format!("pub fn run() {{}}\n{harmless}{test}");
    Tree::new().library(&[("queue.rs", &code)]).assert_clean();
}

#[test]
fn a_tree_that_cannot_be_read_says_why() {
    let tree = Tree::new().with("host/src/lib.rs", "//! A.\nmod missing;\n");
    assert_eq!(
        check(tree.0.path()).unwrap_err().to_string(),
        "find the file of `mod missing` at host/src/lib.rs:2"
    );
    assert!(check(Path::new("/nowhere")).is_err());
}
