//! A node in a child process: starts it, prints its lines, stops it, and
//! starts it again after it has ended.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::event::Event;
use super::phase::{NODE_STOP_TIMEOUT, Phase, reached};
use super::screen::{Label, Screen};

/// The pause before a node that has ended is started again.
const RESTART_DELAY: Duration = Duration::from_secs(5);

/// How to start a node.
#[derive(Clone, Debug)]
pub(super) struct NodeProcess {
    pub(super) name: String,
    /// Counted from 0.
    pub(super) index: usize,
    /// `host:port` for clients.
    pub(super) address: String,
    pub(super) data_dir: PathBuf,
    pub(super) program: PathBuf,
    /// The coordinator, `host:port`.
    pub(super) consul: String,
    pub(super) screen: Screen,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl NodeProcess {
    /// Keeps the node running until the demo ends.
    pub(super) async fn run(self) {
        let mut ending = self.phase.clone();
        loop {
            match self.start() {
                Ok(child) => self.follow(child).await,
                Err(error) => {
                    self.say(&format!("{} cannot be started: {error}", self.name))
                        .await;
                }
            }
            tokio::select! {
                () = reached(&mut ending, Phase::Stop) => return,
                () = sleep(RESTART_DELAY) => {}
            }
        }
    }

    /// The node gets its own process group, so that Ctrl-C reaches only the
    /// demo, which then stops the nodes in order. It is killed when the child
    /// is dropped, and by the kernel if this process ends in another way.
    ///
    /// The kernel treats the end of the thread that starts a process as the end
    /// of its parent, so this must run on the main thread.
    fn start(&self) -> std::io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(["node", "--name", &self.name, "--listen", &self.address])
            .args(["--log-format", "text", "--data-dir"])
            .arg(&self.data_dir)
            .args(["--parent", &std::process::id().to_string()]);
        // Settings for other nodes must not apply to these.
        for variable in inherited_settings() {
            command.env_remove(variable);
        }
        command
            .env("CONSUL_HTTP_ADDR", &self.consul)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Command::from(command).kill_on_drop(true).spawn()
    }

    /// Prints what the node writes until it has ended.
    async fn follow(&self, mut child: Child) {
        let pid = child.id().unwrap_or_default();
        let node = self.index;
        self.emit(Event::NodeStarted { node, pid }).await;
        self.say(&format!(
            "{} runs as process {pid} on http://{}",
            self.name, self.address
        ))
        .await;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let log = Label::log(&self.name, self.index);
        tokio::join!(
            self.print_sink(stdout),
            self.print_log(stderr, &log),
            self.supervise(child, pid),
        );
    }

    /// Waits until the node ends, and stops it when the demo ends.
    async fn supervise(&self, mut child: Child, pid: u32) {
        let mut phase = self.phase.clone();
        tokio::select! {
            status = child.wait() => return self.report_end(pid, status).await,
            () = reached(&mut phase, Phase::Stop) => {}
        }
        // The child was not reaped, so the id is still its own.
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(errno) = kill_process(pid, Signal::TERM)
        {
            self.say(&format!("{} cannot be told to stop: {errno}", self.name))
                .await;
        }
        tokio::select! {
            _ = child.wait() => return,
            () = sleep(NODE_STOP_TIMEOUT) => {
                self.say(&format!("{} does not stop, and is killed", self.name)).await;
            }
            () = reached(&mut phase, Phase::Kill) => {}
        }
        if let Err(error) = child.kill().await {
            self.say(&format!("{} cannot be killed: {error}", self.name))
                .await;
        }
    }

    async fn report_end(&self, pid: u32, status: std::io::Result<ExitStatus>) {
        let how = match status {
            Ok(status) => in_words(status),
            Err(error) => format!("has ended, but its exit status cannot be read: {error}"),
        };
        let seconds = RESTART_DELAY.as_secs();
        let name = &self.name;
        self.say(&format!(
            "{name} (process {pid}) {how}; it starts again in {seconds} s"
        ))
        .await;
    }

    async fn print_sink(&self, stdout: Option<impl AsyncRead + Unpin>) {
        let label = Label::sink(&self.name, self.index);
        let mut lines = Lines::of(stdout);
        while let Some(line) = lines.next().await {
            self.screen.say(&label, &line).await;
            self.emit(Event::SinkPrinted(line)).await;
        }
    }

    async fn print_log(&self, stderr: Option<impl AsyncRead + Unpin>, label: &Label) {
        let mut lines = Lines::of(stderr);
        while let Some(line) = lines.next().await {
            self.screen.say(label, &line).await;
        }
    }

    async fn say(&self, text: &str) {
        self.screen.say(&Label::demo(), text).await;
    }

    async fn emit(&self, event: Event) {
        // Without its supervisor the demo is over.
        let _ended = self.events.send(event).await;
    }
}

/// The variables that configure nodes and their way to Consul.
fn inherited_settings() -> impl Iterator<Item = OsString> {
    let is_setting = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("SLUICE_") || name.starts_with("CONSUL_")
    };
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(move |name| is_setting(name))
}

fn in_words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed with SIGKILL".to_owned(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// The lines of a pipe, with invalid UTF-8 replaced.
struct Lines<R> {
    reader: Option<BufReader<R>>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn of(pipe: Option<R>) -> Self {
        Self {
            reader: pipe.map(BufReader::new),
            line: Vec::new(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        let reader = self.reader.as_mut()?;
        self.line.clear();
        // A read error counts as the end of the pipe.
        let read = reader.read_until(b'\n', &mut self.line).await.unwrap_or(0);
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        (read > 0).then(|| String::from_utf8_lossy(line).into_owned())
    }
}
