//! Follows `docs/writing-a-sink.md`, its long form, `docs/by-hand.md` and the examples of
//! `docs/plugins.md` to the letter, each in an empty folder, and checks the links in
//! all documents.
//!
//! How the fenced blocks of a walkthrough are treated:
//!
//! - `sh`: runs, and must succeed. All blocks, in order, form one script of
//!   `bash -euo pipefail`, so later blocks see what earlier ones set.
//! - `sh fails`: the same, but in a subshell, and it must fail.
//! - `text`, directly after one of these: the output of that block. `…` stands
//!   for anything, and any run of white space equals one space, so that long
//!   lines may be broken. The parts between must occur in the block's output,
//!   in this order and without gaps.
//! - Anything else is only for the reader.
//!
//! The script gets what the document's requirements list: `sluice` and `consul`
//! on the `PATH`, and the repository in `SLUICE`. It needs curl, and cargo's
//! registry or its local copy. It uses Consul's own ports and 3000 to 3002, and
//! reports ports that are taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod document;
mod follow;
mod links;
#[path = "../integration/support/turn.rs"]
mod turn;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use document::{blocks, missing};
use follow::{follow, read};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The names of the files in a folder.
fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().into()).collect()
}

#[test]
fn the_guide_to_writing_a_sink_can_be_followed() {
    let folder = tempfile::tempdir().unwrap();
    follow("docs/writing-a-sink.md", folder.path(), "logfmt/data");
    let left = names(folder.path());
    assert!(left.is_empty(), "the clean-up leaves {left:?}");
}

#[test]
fn a_sink_can_be_written_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    follow(
        "docs/writing-a-sink-by-hand.md",
        folder.path(),
        "my-sink/data",
    );
    let left = names(folder.path());
    assert!(left.is_empty(), "the clean-up leaves {left:?}");
}

/// A folder with the sink that `make sinks` builds in a clone.
fn folder_with_sink() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or(repository().join("target"), PathBuf::from);
    let built = ["guests/wasm32-wasip2", "wasm32-wasip2"].map(|folder| target.join(folder));
    let sink = built.map(|folder| folder.join("release/file.wasm"));
    let sink = sink.iter().find(|file| file.exists());
    let sinks = folder.path().join("plugins/dist");
    fs::create_dir_all(&sinks).unwrap();
    let sink = sink.expect("`make test` builds the sinks");
    fs::copy(sink, sinks.join("file.wasm")).unwrap();
    folder
}

#[test]
fn three_nodes_can_be_started_by_hand() {
    let folder = folder_with_sink();
    follow("docs/by-hand.md", folder.path(), "data");
    let left = names(folder.path());
    assert_eq!(left, [PathBuf::from("plugins")], "the clean-up");
}

#[test]
fn the_examples_of_plugins_can_be_followed() {
    let folder = folder_with_sink();
    follow("docs/plugins.md", folder.path(), "data");
    let left = names(folder.path());
    assert_eq!(left, [PathBuf::from("plugins")], "the clean-up");
}

#[test]
fn the_guide_uses_the_bindings_that_the_plugins_use() {
    let document = read(&repository().join("docs/writing-a-sink-by-hand.md"));
    let workspace = read(&repository().join("Cargo.toml"));
    let line = workspace.lines().find(|l| l.starts_with("wit-bindgen = "));
    let line = line.expect("the workspace names wit-bindgen");
    assert!(document.contains(line), "{line}");
}

/// `make compose-test` runs the blocks of `docs/compose.md`, so every Docker
/// Compose command in the README is run too.
#[test]
fn the_readme_shows_only_commands_of_the_walkthroughs() {
    let commands = |document: &str| -> Vec<String> {
        let blocks = blocks(&read(&repository().join(document)));
        let lines = blocks.iter().flat_map(|block| block.commands.lines());
        lines.map(str::to_owned).collect()
    };
    let shown = commands("README.md");
    assert!(shown.len() >= 10, "the README has lost its commands");
    let run = commands("docs/compose.md");
    for line in shown {
        let is_known = run.contains(&line) || line == "make demo";
        assert!(is_known, "docs/compose.md does not run: {line}");
    }
}

#[test]
fn every_dependency_is_explained() {
    let document = read(&repository().join("docs/dependencies.md"));
    let workspace = read(&repository().join("Cargo.toml"));
    let table = workspace.split("[workspace.dependencies]\n").nth(1);
    let table = table.unwrap().lines().take_while(|l| !l.starts_with('['));
    let ours = |line: &&str| line.contains(" = ") && !line.contains("path = ");
    for line in table.filter(ours) {
        let (name, _) = line.split_once(" = ").unwrap();
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_flag_of_a_node_is_documented() {
    let document = read(&repository().join("docs/configuration.md"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output = command.args(["node", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let lines = help
        .lines()
        .filter_map(|l| l.trim_start().strip_prefix("--"));
    let flags: Vec<_> = lines.filter_map(|l| l.split([' ', '[']).next()).collect();
    assert!(flags.len() > 20, "{help}");
    for flag in flags {
        assert!(document.contains(&format!("`--{flag}`")), "--{flag}");
    }
}

#[test]
fn the_links_between_documents_lead_somewhere() {
    let broken = links::broken(repository());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_is_expected_is_found_in_what_is_printed() {
    let output = "wrote  a/b: x\na: running y\n\na: done\n";
    for found in [
        "wrote a/b: x",
        "wrote …: x\n  a: running",
        "…running … done",
    ] {
        assert_eq!(missing(output, found), None, "{found}");
    }
    for (lacking, part) in [("wrote x", "wrote x"), ("done … running", "running")] {
        assert_eq!(missing(output, lacking), Some(part.to_owned()));
    }
}

#[test]
fn blocks_are_read_as_they_stand() {
    let document = "```console\nno\n```\n```sh\none\n```\n\n```text\n1\n```\n```text\nno\n```\n\
                    ```sh fails\ntwo\n```\nprose\n```text\nno\n```\n";
    let read: Vec<_> = blocks(document)
        .into_iter()
        .map(|b| (b.line, b.commands, b.fails, b.expected))
        .collect();
    let one = (4, "one\n".to_owned(), false, Some("1\n".to_owned()));
    let two = (14, "two\n".to_owned(), true, None);
    assert_eq!(read, [one, two]);
}

#[test]
fn broken_links_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    fs::create_dir(&docs).unwrap();
    let readme = "# One\n[a](docs/a.md#b-c) [b](docs/b.md) [c](#two) [d](https://example.com)\n\
                  ```text\n[e](e.md)\n```\n";
    fs::write(folder.path().join("README.md"), readme).unwrap();
    fs::write(docs.join("a.md"), "## `B` c!\n[up](../README.md#one)\n").unwrap();
    let broken = links::broken(folder.path());
    assert_eq!(
        broken,
        [
            "README.md: docs/b.md does not exist",
            "README.md: #two is not a heading",
        ]
    );
}
