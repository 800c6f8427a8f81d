//! What the benchmarks share: starting processes, and killing them at the end.

#![allow(dead_code, reason = "not every benchmark needs all of it")]

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The unit of times in `/proc`: Linux's `USER_HZ` on every architecture but Alpha.
const TICKS_PER_SECOND: u32 = 100;

/// How long a node may take to send its metrics.
const METRICS_PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// A process that is killed when the benchmark ends.
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("failed to kill a process: {error}");
        }
    }
}

/// A folder for logs, and the port of a Consul.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    /// The port of Consul's HTTP API. The ports above it are used too.
    pub(crate) consul_port: u16,
}

impl Stage {
    /// The address for `CONSUL_HTTP_ADDR`.
    pub(crate) fn consul_address(&self) -> String {
        format!("127.0.0.1:{}", self.consul_port)
    }

    /// The command for a program of this build, or for one beside `SLUICE_BIN`,
    /// pinned to a core if one is given.
    pub(crate) fn program(&self, name: &str, core: Option<&str>) -> Command {
        let built = || env!("CARGO_BIN_EXE_sluice").into();
        let sluice = std::env::var_os("SLUICE_BIN").map_or_else(built, PathBuf::from);
        let path = sluice.with_file_name(name);
        let mut command = pinned(core, &path);
        command
            .env("CONSUL_HTTP_ADDR", self.consul_address())
            .current_dir(&self.folder);
        command
    }

    pub(crate) fn consul(&self, core: Option<&str>) -> Fallible<Owned> {
        let program = std::env::var("CONSUL").unwrap_or_else(|_| "consul".to_owned());
        let port = self.consul_port;
        let mut command = pinned(core, Path::new(&program));
        command.args(["agent", "-dev", "-bind=127.0.0.1", "-log-level=err"]);
        command.args([
            format!("-http-port={port}"),
            format!("-server-port={}", port + 1),
        ]);
        command.args([
            format!("-serf-lan-port={}", port + 2),
            "-serf-wan-port=-1".to_owned(),
        ]);
        command.args(["-dns-port=-1", "-grpc-port=-1"]);
        self.spawn(&mut command, "consul")
    }

    /// Starts a process. Its output is appended to files that are named after
    /// it.
    pub(crate) fn spawn(&self, command: &mut Command, name: &str) -> Fallible<Owned> {
        let append = |kind: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(self.folder.join(format!("{name}.{kind}")))
        };
        command
            .stdin(Stdio::null())
            .stdout(append("out")?)
            .stderr(append("err")?);
        Ok(Owned(command.spawn()?))
    }

    /// Waits until a node leads and `nodes` of them answer. Returns the output
    /// of `sluice status --json`.
    pub(crate) fn settled(&self, nodes: usize) -> Fallible<serde_json::Value> {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let output = self
                .program("sluice", None)
                .args(["status", "--json"])
                .output()?;
            let status: serde_json::Value =
                serde_json::from_slice(&output.stdout).unwrap_or_default();
            let rows = status.get("nodes").and_then(|nodes| nodes.as_array());
            let answering = rows.map_or(0, |rows| {
                rows.iter()
                    .filter(|row| row.get("status").is_some())
                    .count()
            });
            if output.status.success() && answering == nodes {
                return Ok(status);
            }
            if Instant::now() > deadline {
                let shown = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(format!("no leader within 40 s: {status} {shown}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn pinned(core: Option<&str>, program: &Path) -> Command {
    match core {
        None => Command::new(program),
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", core]).arg(program);
            command
        }
    }
}

/// The directory of the sinks that `make guests` builds.
pub(crate) fn guests() -> Fallible<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_sluice"));
    let found = program
        .ancestors()
        .map(|directory| directory.join("guests/wasm32-wasip2/release"))
        .find(|directory| directory.is_dir());
    found.ok_or_else(|| "there are no guests: run `make guests`".into())
}

/// Keeps this process, and the threads that it starts from now on, on a core.
pub(crate) fn stay_on(core: &str) -> Fallible<()> {
    let process = std::process::id().to_string();
    let output = Command::new("taskset")
        .args(["-cp", core, &process])
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// The metrics of the node at this address.
pub(crate) fn metrics(node: &str) -> Fallible<String> {
    let mut connection = TcpStream::connect(node)?;
    connection.set_read_timeout(Some(METRICS_PATIENCE))?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {node}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Reads a setting from the environment.
pub(crate) fn setting<T: std::str::FromStr>(name: &str, default: T) -> Result<T, T::Err> {
    std::env::var(name).map_or(Ok(default), |value| value.parse())
}

/// Whether the benchmark should run: `cargo test --benches` only checks that it
/// builds.
pub(crate) fn is_wanted() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// How long a process has kept processors busy so far.
pub(crate) fn cpu_time(process: &Owned) -> Fallible<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id()))?;
    // The name, in parentheses, may hold anything. What follows begins with the
    // third field of proc_pid_stat(5); the 14th and the 15th are the times.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in the stat")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    let [_, median, _] = spread(values);
    median
}

/// Minimum, median and maximum.
pub(crate) fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    [
        at(0),
        at(values.len() / 2),
        at(values.len().saturating_sub(1)),
    ]
}
