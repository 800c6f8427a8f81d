//! The node that is measured.

use std::fs::File;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Fallible, Owned, Stage, cpu_time, metrics};
use crate::progress::PATIENCE;

/// Where the node listens.
pub(crate) const HTTP: &str = "127.0.0.1:13040";
pub(crate) const FORWARD: &str = "127.0.0.1:13041";
pub(crate) const SYSLOG: &str = "127.0.0.1:13042";

const SERVER_CORE: &str = "0";
const ACKNOWLEDGED: &str = "sluice_records_acknowledged_total{stream=\"default\"} ";
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A node with one thread on one core, and the default sink.
pub(crate) struct Node(Owned);

impl Node {
    pub(crate) fn start(stage: &Stage) -> Fallible<Self> {
        let mut command = stage.program("sluice", Some(SERVER_CORE));
        command.args([
            "node",
            "--name",
            "bench",
            "--listen",
            HTTP,
            "--threads",
            "1",
        ]);
        command.args(["--forward-listen", &format!("tcp://{FORWARD}")]);
        command.args(["--syslog-listen", &format!("tcp://{SYSLOG}")]);
        command.arg("--bench-baseline").stdin(Stdio::null());
        command.stdout(File::options().write(true).open("/dev/null")?);
        command.stderr(File::create(stage.folder.join("node.err"))?);
        let node = Self(Owned(command.spawn()?));
        stage.settled(1)?;
        Ok(node)
    }

    /// How long it has kept processors busy so far.
    pub(crate) fn cpu(&self) -> Fallible<Duration> {
        cpu_time(&self.0)
    }

    /// How many records it has acknowledged so far, also to clients that it cannot
    /// tell.
    pub(crate) fn acknowledged(&self) -> Fallible<u64> {
        let metrics = metrics(HTTP)?;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix(ACKNOWLEDGED));
        Ok(count
            .ok_or("the metrics lack the acknowledged records")?
            .parse()?)
    }

    /// Waits until it has acknowledged so many records.
    ///
    /// # Errors
    /// It acknowledges fewer, or more.
    pub(crate) fn has_acknowledged(&self, expected: u64) -> Fallible<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.acknowledged()?;
            if found == expected {
                return Ok(());
            }
            if found > expected || Instant::now() > deadline {
                return Err(format!("{found} records acknowledged instead of {expected}").into());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}
