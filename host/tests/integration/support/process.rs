//! A child process with its output in files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{SOON, eventually};

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program; its output goes to files in `folder` that are
    /// appended to, so that a second life of it continues them.
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
                    "{} can not be started ({error}): use `make test`",
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

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended = self.child.wait().ok();
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(SOON).await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn wait(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let child = std::cell::RefCell::new(&mut self.child);
        let status = eventually(&what, within, || async {
            child
                .borrow_mut()
                .try_wait()
                .unwrap()
                .ok_or_else(|| "it runs".to_owned())
        })
        .await;
        self.ended = Some(status);
        status
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

fn append(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("open a log file")
}
