//! A child process whose output goes to files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{SOON, START_LIMIT, eventually};

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program. Its output is appended to files in `folder`, so that
    /// they have the output of all processes of that name.
    pub(crate) fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let stdout = folder.join(format!("{name}.out"));
        Self::start_with_stdout(name, folder, command, append(&stdout).into())
    }

    pub(crate) fn start_with_stdout(
        name: &str,
        folder: &Path,
        command: &mut Command,
        stdout: Stdio,
    ) -> Self {
        let (out, err) = (
            folder.join(format!("{name}.out")),
            folder.join(format!("{name}.err")),
        );
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(append(&err))
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start {} ({error}): use `make test`",
                    command.get_program().display()
                )
            });
        Self {
            name: name.to_owned(),
            child,
            stdout: out,
            stderr: err,
            ended: None,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            kill_process(self.pid(), signal).expect("signal a child");
        }
    }

    /// Sends SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended = self.child.wait().ok();
    }

    /// Sends SIGTERM, and waits until the process has exited.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(SOON).await
    }

    /// Waits until the process exits by itself.
    pub(crate) async fn wait(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let process = std::cell::RefCell::new(self);
        eventually(&what, within, || async {
            let mut process = process.borrow_mut();
            process.has_ended();
            process.ended.ok_or_else(|| "it runs".to_owned())
        })
        .await
    }

    /// Whether the process has exited.
    pub(crate) fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("look at a child");
        }
        self.ended.is_some()
    }

    /// Waits until the process listens on a port.
    pub(crate) async fn listens(&self) {
        let what = format!("{} listens", self.name);
        eventually(&what, START_LIMIT, || async {
            match self.ports().is_empty() {
                true => Err(self.stderr()),
                false => Ok(()),
            }
        })
        .await;
    }

    /// The TCP ports that the process listens on: it shows which port a program
    /// on port 0 got, and that a port is not that of another program.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let links = fs::read_dir(process.join("fd")).into_iter().flatten();
        let targets = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        let sockets: BTreeSet<String> = targets
            .filter_map(|target| {
                let inode = target.to_str()?.strip_prefix("socket:[")?;
                Some(inode.strip_suffix(']')?.to_owned())
            })
            .collect();
        let tables = ["tcp", "tcp6"].map(|table| process.join("net").join(table));
        let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
        tables
            .iter()
            .flat_map(|table| table.lines())
            .filter_map(listener)
            .filter(|(inode, _)| sockets.contains(*inode))
            .map(|(_, port)| port)
            .collect()
    }

    /// The port of a node for health checks, given the address for clients.
    pub(crate) fn other_port(&self, address: &str) -> u16 {
        let ports = self.ports();
        let is_other = |port: &&u16| !address.ends_with(&format!(":{port}"));
        *ports.iter().find(is_other).expect("a second port")
    }

    /// The processes that it started and that still run.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let own = self.child.id().to_string();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The name may hold anything; state and parent follow it.
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            let mut fields = rest.split(' ');
            fields.next() != Some("Z") && fields.next() == Some(&own)
        })
        .filter_map(Pid::from_raw)
        .collect()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
        if std::thread::panicking() {
            let log = self.stderr();
            let from = log.len().saturating_sub(6000);
            let tail = log.get(from..).unwrap_or_default();
            eprintln!("----- the log of {} ends with:\n{tail}", self.name);
        }
    }
}

/// The inode and the port of a listening socket, from a line of
/// `/proc/net/tcp`.
fn listener(line: &str) -> Option<(&str, u16)> {
    const LISTENING: &str = "0A";
    let fields: Vec<_> = line.split_whitespace().collect();
    let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else {
        return None;
    };
    let (_, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == LISTENING).then_some((inode, port))
}

fn append(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("open a log file")
}
