//! A node in a process of its own: its start, its lines, its end, and its next
//! life.

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

use super::Event;
use super::phase::{LAST_BREATH, Phase, reached};
use super::screen::{Label, Screen};

/// How long a node that has ended stays away.
const AWAY: Duration = Duration::from_secs(5);

/// What a node is started with.
#[derive(Clone, Debug)]
pub(super) struct NodeProcess {
    pub(super) name: String,
    /// Among the nodes, from 0.
    pub(super) place: usize,
    /// `host:port` for clients.
    pub(super) address: String,
    pub(super) data_dir: PathBuf,
    pub(super) program: PathBuf,
    /// The coordinator.
    pub(super) consul: String,
    pub(super) screen: Screen,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl NodeProcess {
    /// Runs the node, again and again, until the demo ends.
    pub(super) async fn run(self) {
        let mut ending = self.phase.clone();
        loop {
            match self.start() {
                Ok(child) => self.live(child).await,
                Err(error) => {
                    self.say(&format!("{} can not be started: {error}", self.name))
                        .await;
                }
            }
            tokio::select! {
                () = reached(&mut ending, Phase::Stop) => return,
                () = sleep(AWAY) => {}
            }
        }
    }

    /// In a process group of its own, so that Ctrl-C reaches the demo alone,
    /// which ends the nodes in order. It is killed when it is dropped, and by
    /// the system if this process ends in another way.
    ///
    /// The system takes the end of the thread that starts a process for the
    /// end of its parent: this must be the main thread.
    fn start(&self) -> std::io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(["node", "--name", &self.name, "--listen", &self.address])
            .args(["--log-format", "text", "--data-dir"])
            .arg(&self.data_dir)
            .args(["--parent", &std::process::id().to_string()]);
        // What is set for nodes elsewhere does not concern these.
        for variable in others() {
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

    /// Carries what it says until it has ended.
    async fn live(&self, mut child: Child) {
        let pid = child.id().unwrap_or_default();
        self.tell(Event::Started(self.place, pid)).await;
        self.say(&format!(
            "{} runs as process {pid} on http://{}",
            self.name, self.address
        ))
        .await;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let log = Label::log(&self.name, self.place);
        tokio::join!(
            self.carry_sink(stdout),
            self.carry(stderr, &log),
            self.attend(child, pid),
        );
    }

    /// Waits for its end, and ends it when the demo does.
    async fn attend(&self, mut child: Child, pid: u32) {
        let mut phase = self.phase.clone();
        tokio::select! {
            status = child.wait() => return self.report(pid, status).await,
            () = reached(&mut phase, Phase::Stop) => {}
        }
        // It was not waited for, so the number is still its own.
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(errno) = kill_process(pid, Signal::TERM)
        {
            self.say(&format!("{} can not be told to end: {errno}", self.name))
                .await;
        }
        tokio::select! {
            _ = child.wait() => return,
            () = sleep(LAST_BREATH) => {
                self.say(&format!("{} does not end, and is killed", self.name)).await;
            }
            () = reached(&mut phase, Phase::Kill) => {}
        }
        if let Err(error) = child.kill().await {
            self.say(&format!("{} can not be killed: {error}", self.name))
                .await;
        }
    }

    async fn report(&self, pid: u32, status: std::io::Result<ExitStatus>) {
        let how = match status {
            Ok(status) => in_words(status),
            Err(error) => format!("has ended, unheard: {error}"),
        };
        let seconds = AWAY.as_secs();
        let name = &self.name;
        self.say(&format!(
            "{name} (process {pid}) {how}; it starts again in {seconds} s"
        ))
        .await;
    }

    async fn carry_sink(&self, stdout: Option<impl AsyncRead + Unpin>) {
        let label = Label::sink(&self.name, self.place);
        let mut lines = Lines::of(stdout);
        while let Some(line) = lines.next().await {
            self.screen.say(&label, &line).await;
            self.tell(Event::Printed(line)).await;
        }
    }

    async fn carry(&self, stderr: Option<impl AsyncRead + Unpin>, label: &Label) {
        let mut lines = Lines::of(stderr);
        while let Some(line) = lines.next().await {
            self.screen.say(label, &line).await;
        }
    }

    async fn say(&self, said: &str) {
        self.screen.say(&Label::demo(), said).await;
    }

    async fn tell(&self, event: Event) {
        // Who does not listen any more ends the demo at once.
        let _ended = self.events.send(event).await;
    }
}

/// The variables that are set for nodes and for Consul.
fn others() -> impl Iterator<Item = OsString> {
    let is_set_for_others = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("SLUICE_") || name.starts_with("CONSUL_")
    };
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(move |name| is_set_for_others(name))
}

fn in_words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "was killed with SIGKILL".to_owned(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A pipe, line by line. What is not UTF-8 is replaced.
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
        // A pipe that can not be read is at its end.
        let read = reader.read_until(b'\n', &mut self.line).await.unwrap_or(0);
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        (read > 0).then(|| String::from_utf8_lossy(line).into_owned())
    }
}
