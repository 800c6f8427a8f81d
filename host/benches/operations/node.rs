//! The node that is measured, and the load on it.

use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::CLIENT_CORE;
use crate::common::{Fallible, Owned, Stage, cpu_time};

pub(crate) const NODE: &str = "127.0.0.1:13240";
const SERVER_CORE: &str = "0";

/// What a client sends.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    path: &'static str,
    arguments: &'static [&'static str],
}

pub(crate) const LOADS: [Load; 2] = [
    Load {
        name: "one message per request, 32 connections",
        path: "/api/v1/log",
        arguments: &["--connections", "32"],
    },
    Load {
        name: "1000 NDJSON objects of five fields per request, 32 connections",
        path: "/api/v1/logs",
        arguments: &["--connections", "32", "--batch", "1000", "--ndjson"],
    },
];

pub(crate) struct Bench {
    pub(crate) stage: Stage,
    pub(crate) seconds: u64,
}

impl Bench {
    /// A node that leads, with one thread on one core, and its output to
    /// `/dev/null`.
    pub(crate) fn node(
        &self,
        arguments: &[&str],
        environment: &[(&str, String)],
    ) -> Fallible<Owned> {
        let mut command = self.stage.program("sluice", Some(SERVER_CORE));
        command.args(["node", "--name", "bench", "--listen", NODE]);
        command.args(["--threads", "1"]).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command.stdout(File::options().write(true).open("/dev/null")?);
        command.stderr(File::create(self.stage.folder.join("node.err"))?);
        let node = Owned(command.spawn()?);
        self.stage.settled(1)?;
        Ok(node)
    }

    /// The load generator for so many seconds.
    pub(crate) fn producer(&self, path: &str, seconds: u64, arguments: &[&str]) -> Command {
        let command = self.stage.program("sluice-producer", Some(CLIENT_CORE));
        Self::load(command, path, seconds, arguments)
    }

    /// The same, while the core has nothing else to do (`SCHED_IDLE`), so that
    /// others on this core measure the node and not this load generator.
    pub(crate) fn idle_producer(&self, path: &str, seconds: u64, arguments: &[&str]) -> Command {
        let producer = self.stage.program("sluice-producer", Some(CLIENT_CORE));
        let mut command = Command::new("chrt");
        command
            .args(["--idle", "0"])
            .arg(producer.get_program())
            .args(producer.get_args());
        command.current_dir(&self.stage.folder);
        Self::load(command, path, seconds, arguments)
    }

    fn load(mut command: Command, path: &str, seconds: u64, arguments: &[&str]) -> Command {
        command.args(["bench", "--json", "--target"]);
        command.arg(format!("http://{NODE}{path}"));
        command.args(["--duration", &format!("{seconds}s")]);
        command.args(arguments).stderr(Stdio::null());
        command
    }

    /// What the node needs per acknowledged message, in nanoseconds of a
    /// processor.
    ///
    /// # Errors
    /// Some message was not acknowledged.
    pub(crate) fn cost(&self, node: &Owned, load: &Load) -> Fallible<f64> {
        // Caches, connections, and the first growth of memory.
        self.report(&mut self.producer(load.path, 1, load.arguments))?;
        let before = cpu_time(node)?;
        let report = self.report(&mut self.producer(load.path, self.seconds, load.arguments))?;
        let spent = cpu_time(node)? - before;
        Ok(spent.as_secs_f64() * 1e9 / figure(&report, "acknowledged")?)
    }

    fn report(&self, producer: &mut Command) -> Fallible<Value> {
        let output = producer.output()?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        match output.status.success() {
            true => Ok(report),
            false => Err(format!("not all messages were acknowledged: {report}").into()),
        }
    }
}

/// A figure of the load generator's report.
pub(crate) fn figure(report: &Value, name: &str) -> Fallible<f64> {
    let figure = report.get(name).and_then(Value::as_f64);
    figure.ok_or_else(|| format!("the report lacks {name}: {report}").into())
}
