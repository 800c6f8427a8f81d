//! Makes each folder of `sluice plugin new`, and follows its README: builds the
//! sink with the real tools of its language, runs its tests, puts it to the test
//! with `sluice plugin check`, and lets a line pass through it.
//!
//! The tools come from PyPI, npm and crates.io, so these tests run only with
//! `make templates-test`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod destination;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use destination::Destination;

/// In seconds, for all of a README on a busy machine.
const LIMIT: &str = "1500";

fn sluice() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
}

/// An empty folder below the build's directory.
fn empty(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("templates")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn new_sink(folder: &Path, flags: &[&str]) -> Output {
    let mut command = sluice();
    command.args(["plugin", "new", "loki-2"]).args(flags);
    command.current_dir(folder).output().unwrap()
}

/// The commands of the README, without the last one, which needs a cluster.
fn commands(readme: &str) -> String {
    let block = readme.split("```sh\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let (commands, last) = block.split_once("sluice plugin use ").unwrap();
    assert_eq!(last.matches("sluice").count(), 0, "{block}");
    commands.to_owned()
}

/// Follows the README of a new sink with these flags, and returns what it prints.
fn follow(name: &str, flags: &[&str], destination: Option<&Destination>) -> String {
    let folder = made(name, flags);
    let mut script = commands(&fs::read_to_string(folder.join("README.md")).unwrap());
    if let Some(destination) = destination {
        script = script.replace("127.0.0.1:9000", &destination.address());
    }
    run(name, &folder, &script)
}

/// The folder of a new sink.
fn made(name: &str, flags: &[&str]) -> PathBuf {
    let place = empty(name);
    let made = new_sink(&place, flags);
    assert!(made.status.success(), "{made:?}");
    place.join("loki-2")
}

/// Runs commands in the folder of a sink, and returns what they print.
fn run(name: &str, folder: &Path, script: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    let followed = Command::new("timeout")
        .args([LIMIT, "bash", "-euxo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let [stdout, stderr] = [&followed.stdout, &followed.stderr].map(|o| String::from_utf8_lossy(o));
    println!("===== {name}\n{stdout}\n----- {name}, stderr\n{stderr}");
    assert!(followed.status.success(), "{name}: {}", followed.status);
    stdout.into_owned()
}

/// Puts a file of `plugins/examples` in the place of the template's, builds the
/// sink, and lets three records pass through it.
fn keeps_severe_records(name: &str, lang: &str, example: &str, build: &str) {
    let folder = made(name, &["--lang", lang]);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples");
    let example = examples.join(example);
    fs::copy(&example, folder.join(example.file_name().unwrap())).unwrap();
    let records = ["info", "error", "fatal"]
        .map(|level| format!(r#"{{"level": "{level}", "message": "disk\\nfull"}}"#));
    let pass = "sluice plugin run loki-2.wasm --format ndjson --config '{\"min\": \"error\"}'";
    let records = records.join("\n");
    let script =
        format!("{build}\nsluice plugin check loki-2.wasm\n{pass} <<'END'\n{records}\nEND\n");
    let stdout = run(name, &folder, &script);
    let expected = "ERROR disk\\nfull\nFATAL disk\\nfull\n";
    assert!(stdout.ends_with(expected), "{name} keeps others");
}

fn writes_lines(name: &str, lang: &str) {
    let stdout = follow(name, &["--lang", lang], None);
    assert!(
        stdout.ends_with("hello\n"),
        "{name} does not write the line"
    );
}

fn posts_lines(name: &str, lang: &str) {
    let destination = Destination::start();
    follow(
        name,
        &["--lang", lang, "--kind", "http"],
        Some(&destination),
    );
    let body = destination.received();
    assert!(body.contains(r#""body":"hello""#), "{name}: {body}");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn rust_stdout() {
    writes_lines("rust_stdout", "rust");
    let built = "templates/rust_stdout/loki-2/target/wasm32-wasip2/release/loki_2.wasm";
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(built);
    let bytes = fs::metadata(built).unwrap().len();
    assert!(bytes <= 120 << 10, "the component has {bytes} bytes");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn rust_http() {
    posts_lines("rust_http", "rust");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn python_stdout() {
    writes_lines("python_stdout", "python");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn python_http() {
    posts_lines("python_http", "python");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn javascript_stdout() {
    writes_lines("javascript_stdout", "js");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn javascript_http() {
    posts_lines("javascript_http", "js");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn python_example() {
    keeps_severe_records("python_example", "python", "python/app.py", "make");
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn javascript_example() {
    let build = "npm install\nnpm run build";
    keeps_severe_records("javascript_example", "js", "javascript/sink.js", build);
}

#[test]
#[ignore = "downloads tools: make templates-test"]
fn c_stdout() {
    writes_lines("c_stdout", "c");
}

#[test]
fn a_new_sink_says_what_to_do_next() {
    let place = tempfile::tempdir().unwrap();
    let made = new_sink(place.path(), &["--lang", "python"]);
    assert!(made.status.success(), "{made:?}");
    let steps = String::from_utf8(made.stdout).unwrap();
    assert!(steps.contains("\n  cd loki-2\n  make "), "{steps}");
    assert!(place.path().join("loki-2/app.py").is_file());

    let again = new_sink(place.path(), &["--lang", "js"]);
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(
        said.contains("make loki-2: it is a folder with files in it"),
        "{said}"
    );
    assert!(!place.path().join("loki-2/package.json").exists());
}

#[test]
fn a_name_or_a_template_that_cannot_be_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut wrong = sluice();
    wrong
        .args(["plugin", "new", "../escape"])
        .current_dir(place.path());
    let wrong = wrong.output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let http = new_sink(place.path(), &["--lang", "c", "--kind", "http"]);
    assert_eq!(http.status.code(), Some(1), "{http:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
