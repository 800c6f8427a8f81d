//! The program as `make` runs it: what it prints and its exit code.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(argument: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice-structure"))
        .arg(argument)
        .output()
        .unwrap()
}

fn tree(first: &str, second: &str) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("a/src")).unwrap();
    for (path, text) in [
        ("README.md", "# A tree\n"),
        ("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n"),
        ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ("a/src/lib.rs", "mod first;\nmod second;\n"),
        ("a/src/first.rs", first),
        ("a/src/second.rs", second),
    ] {
        fs::write(tree.path().join(path), text).unwrap();
    }
    tree
}

#[test]
fn a_planted_circle_fails() {
    let tree = tree(
        "use crate::second::Second;\npub struct First(Second);\n",
        "use crate::first::First;\npub struct Second(Box<First>);\n",
    );
    let output = run(tree.path());
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.starts_with("a/src/first.rs:1: 2 files "),
        "{printed}"
    );
    assert_eq!(printed.lines().count(), 1);
}

#[test]
fn a_clean_tree_passes_with_one_line() {
    let tree = tree(
        "pub struct First;\n",
        "use crate::first::First;\npub struct Second(Box<First>);\n",
    );
    let output = run(tree.path());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "structure: no problems in 1 crates, 3 files and 0 functions (median 0 lines)\n"
    );
}

#[test]
fn what_is_no_workspace_is_no_problem_of_structure() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(run(empty.path()).status.code(), Some(2));
}

#[test]
fn help_explains() {
    let output = run(Path::new("--help"));
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("usage:"));
}
