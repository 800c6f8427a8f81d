//! Follows `docs/writing-a-sink.md` to the letter, in an empty folder.
//!
//! What the document's fenced blocks mean here:
//!
//! - `sh`: it is run, and must succeed. All of them are one script of
//!   `bash -euo pipefail`, in order: what one block sets, the next ones have.
//! - `sh fails`: the same, but in a subshell, and it must fail.
//! - `text`, if nothing stands between it and one of these: what that block
//!   prints. `…` stands for anything, and every run of white space for one
//!   space, so that long lines may be broken. What is left must be in the
//!   block's output, in this order and without gaps.
//! - Anything else is for the reader's eyes only.
//!
//! The script has from here what the document's requirements ask for: `sluice`
//! and `consul` on the `PATH`, and the repository in `SLUICE`. It wants curl, and
//! cargo's registry or what cargo has of it already. It uses Consul's own ports
//! and 3000 to 3002, and says so if they are taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// The reader builds a crate from nothing, twice.
const LIMIT: Duration = Duration::from_secs(600);
/// How long what was told to end may take to do so.
const ENDING: Duration = Duration::from_secs(20);

/// A part of the document that is run.
struct Block {
    /// Where it begins in the document.
    line: usize,
    commands: String,
    fails: bool,
    expected: Option<String>,
}

/// The blocks that are run, in order.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = document.lines().enumerate();
    // Whether a text that begins here is the output of the last block.
    let mut is_output = false;
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            is_output &= line.is_empty();
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line);
        let text: String = inside
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        let is_run = matches!(kind, "sh" | "sh fails");
        if is_run {
            blocks.push(Block {
                line: number + 1,
                commands: text,
                fails: kind == "sh fails",
                expected: None,
            });
        } else if kind == "text" && is_output {
            blocks.last_mut().unwrap().expected = Some(text);
        }
        is_output = is_run;
    }
    blocks
}

/// All blocks as one script, which leaves the output of each, and the number of
/// the one that it has come to, in the folder `notes`. Should these tests be
/// interrupted, it ends with all that it has started.
fn script(blocks: &[Block], notes: &Path) -> String {
    let (notes, tests) = (notes.display(), std::process::id());
    let mut script = format!(
        "( while kill -0 {tests}; do sleep 1; done; kill -KILL 0 ) >/dev/null 2>&1 &\n\
         guardian=$!\n"
    );
    for (number, Block { commands, .. }) in blocks.iter().enumerate() {
        writeln!(script, "echo {number} >'{notes}/at'").unwrap();
        writeln!(script, "exec >'{notes}/{number}' 2>&1").unwrap();
        if blocks[number].fails {
            let complaint = "echo 'this must fail, and does not'; exit 1";
            writeln!(script, "set +e; ( set -e\n{commands})").unwrap();
            writeln!(script, "[ $? != 0 ] || {{ {complaint}; }}; set -e").unwrap();
        } else {
            script.push_str(commands);
        }
    }
    script.push_str("kill $guardian\n");
    script
}

/// A script with all that it has started, killed at the end.
struct Following {
    child: Child,
    group: Pid,
}

impl Following {
    fn start(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn().unwrap();
        let group = Pid::from_child(&child);
        Self { child, group }
    }

    /// Waits for its end; `None` if the time is over.
    fn end(&mut self) -> Option<ExitStatus> {
        within(LIMIT, || self.child.try_wait().unwrap())
    }

    /// Whether everything that it started has ended.
    fn is_alone(&self) -> bool {
        let is_gone = || test_kill_process_group(self.group) == Err(Errno::SRCH);
        within(ENDING, || is_gone().then_some(())).is_some()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Fails if nothing is left, which is as good.
        let _gone = kill_process_group(self.group, Signal::KILL);
        let _reaped = self.child.wait();
    }
}

fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() > deadline {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

/// The first part of what is expected that the output lacks.
fn missing(output: &str, expected: &str) -> Option<String> {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (output, expected) = (squeeze(output), squeeze(expected));
    let mut rest = output.as_str();
    for part in expected.split('…').map(str::trim) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return Some(part.to_owned()),
        }
    }
    None
}

/// The ends of the logs that the reader's processes have written.
fn logs(folder: &Path) -> String {
    let mut logs = String::new();
    for name in ["consul", "a", "b", "c"] {
        let log = read(&folder.join(format!("my-sink/data/{name}.log")));
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        write!(logs, "\n----- the end of data/{name}.log:\n{tail}").unwrap();
    }
    logs
}

/// What the requirements of the document ask for.
fn provide(command: &mut Command, repository: &Path, programs: &Path) {
    let sluice = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap();
    // Without it, there is one on the PATH, or the document's first block fails.
    if let Some(consul) = std::env::var_os("CONSUL") {
        let consul = fs::canonicalize(consul).expect("CONSUL names a program");
        std::os::unix::fs::symlink(consul, programs.join("consul")).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap();
    let path = [programs.to_owned(), sluice.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    // Settings of whoever runs the tests are not the reader's.
    for (name, _) in std::env::vars_os() {
        let is_setting = name.to_str().is_some_and(|name| {
            let settings = ["CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "RUST_LOG"];
            let families = ["SLUICE_", "CONSUL_", "CARGO_BUILD_", "CARGO_PROFILE_"];
            settings.contains(&name)
                || name.ends_with("RUSTFLAGS")
                || families.iter().any(|family| name.starts_with(family))
        });
        if is_setting {
            command.env_remove(name);
        }
    }
    command
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("SLUICE", repository);
}

#[test]
fn the_guide_to_writing_a_sink_can_be_followed() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = read(&repository.join("docs/writing-a-sink.md"));
    let blocks = blocks(&document);
    assert!(blocks.len() > 10, "the document has lost its commands");
    let (folder, notes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let programs: PathBuf = notes.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let file = notes.path().join("script");
    fs::write(&file, script(&blocks, notes.path())).unwrap();

    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail"]).arg(&file);
    command.current_dir(folder.path()).stdin(Stdio::null());
    provide(&mut command, repository, &programs);
    let mut following = Following::start(&mut command);
    let status = following.end();

    let at: usize = read(&notes.path().join("at")).trim().parse().unwrap();
    let mut problems = String::new();
    for (number, block) in blocks.iter().enumerate().take(at + 1) {
        let output = read(&notes.path().join(number.to_string()));
        let lacks = block.expected.as_ref().and_then(|e| missing(&output, e));
        let problem = match (status, lacks) {
            (None, _) if number == at => format!("it was not done within {LIMIT:?}"),
            (Some(status), _) if number == at && !status.success() => format!("{status}"),
            (_, Some(part)) => format!("its output has no (more): {part}"),
            _ => continue,
        };
        let Block { line, commands, .. } = block;
        write!(
            problems,
            "\n===== the block at line {line}:\n{commands}----- {problem}; its output:\n{output}"
        )
        .unwrap();
    }
    assert!(problems.is_empty(), "{problems}{}", logs(folder.path()));
    assert!(following.is_alone(), "the clean-up leaves processes");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "the clean-up leaves {left:?}");
}

#[test]
fn the_guide_uses_the_bindings_that_the_plugins_use() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = read(&repository.join("docs/writing-a-sink.md"));
    let workspace = read(&repository.join("Cargo.toml"));
    let line = workspace.lines().find(|l| l.starts_with("wit-bindgen = "));
    let line = line.expect("the workspace names wit-bindgen");
    assert!(document.contains(line), "{line}");
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
