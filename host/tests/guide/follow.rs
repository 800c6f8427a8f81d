//! Runs the blocks of a walkthrough as one script.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::document::{Block, blocks, missing};
use crate::repository;
use crate::turn::Turn;

/// For one walkthrough on a busy machine. One of them builds a crate from
/// scratch, twice.
const LIMIT: Duration = Duration::from_secs(1200);
/// For processes that were told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Follows a document in this folder, and panics with everything that differs
/// from the document. The nodes of the walkthrough write their logs to `data`,
/// below the folder.
pub(crate) fn follow(document: &str, folder: &Path, data: &str) {
    let blocks = blocks(&read(&repository().join(document)));
    assert!(blocks.len() > 10, "{document} has lost its commands");
    let _ports = reserve_ports();
    // It compiles, and tests that need all cores would measure that.
    let _turn = Turn::beside_others();
    let notes = tempfile::tempdir().unwrap();
    let programs: PathBuf = notes.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let file = notes.path().join("script");
    fs::write(&file, script(&blocks, notes.path())).unwrap();

    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail"]).arg(&file);
    command.current_dir(folder).stdin(Stdio::null());
    provide(&mut command, &programs);
    let mut following = Following::start(&mut command);
    let status = following.end();

    let problems = problems(&blocks, notes.path(), status);
    let logs = || logs(&folder.join(data));
    assert!(problems.is_empty(), "{document}:{problems}{}", logs());
    assert!(following.is_alone(), "the clean-up leaves processes");
}

/// All walkthroughs use the same ports, so only one is followed at a time.
fn reserve_ports() -> File {
    let name = Path::new(env!("CARGO_TARGET_TMPDIR")).join("walkthrough-ports");
    let file = File::create(name).unwrap();
    file.lock().unwrap();
    file
}

/// All blocks as one script. It writes the output of each block, and the number
/// of the current block, to the folder `notes`. If these tests are interrupted,
/// it stops with everything that it has started.
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

/// What went wrong in the blocks up to the last one that ran.
fn problems(blocks: &[Block], notes: &Path, status: Option<ExitStatus>) -> String {
    let at: usize = read(&notes.join("at")).trim().parse().unwrap();
    let mut problems = String::new();
    for (number, block) in blocks.iter().enumerate().take(at + 1) {
        let output = read(&notes.join(number.to_string()));
        let lacks = block.expected.as_ref().and_then(|e| missing(&output, e));
        let problem = match (status, lacks) {
            (None, _) if number == at => format!("it did not finish within {LIMIT:?}"),
            (Some(status), _) if number == at && !status.success() => format!("{status}"),
            (_, Some(part)) => format!("its output lacks: {part}"),
            _ => continue,
        };
        let Block { line, commands, .. } = block;
        write!(
            problems,
            "\n===== the block at line {line}:\n{commands}----- {problem}; its output:\n{output}"
        )
        .unwrap();
    }
    problems
}

/// A script and everything that it has started, which is killed on drop.
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

    /// Waits until the script exits. Returns `None` after the time limit.
    fn end(&mut self) -> Option<ExitStatus> {
        within(LIMIT, || self.child.try_wait().unwrap())
    }

    /// Whether everything that it started has stopped.
    fn is_alone(&self) -> bool {
        let is_gone = || test_kill_process_group(self.group) == Err(Errno::SRCH);
        within(STOP_LIMIT, || is_gone().then_some(())).is_some()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Fails if nothing is left to kill, which is fine.
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

/// The text of a file; empty if it cannot be read.
pub(crate) fn read(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

/// The ends of the logs that the walkthrough's processes have written.
fn logs(data: &Path) -> String {
    let mut logs = String::new();
    for name in ["consul", "a", "b", "c"] {
        let log = read(&data.join(format!("{name}.log")));
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        write!(logs, "\n----- the end of {name}.log:\n{tail}").unwrap();
    }
    logs
}

/// Provides what the document's requirements list.
fn provide(command: &mut Command, programs: &Path) {
    let sluice = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap();
    // If it is not set, Consul must be on the PATH, or the document's first
    // block fails.
    if let Some(consul) = std::env::var_os("CONSUL") {
        let consul = fs::canonicalize(consul).expect("CONSUL names a program");
        std::os::unix::fs::symlink(consul, programs.join("consul")).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap();
    let path = [programs.to_owned(), sluice.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    // The script runs without the settings of the tests.
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
        .env("SLUICE", repository());
}
