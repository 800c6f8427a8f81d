//! Nothing on the path of the messages can starve the control loop: whatever
//! keeps the node busy or runs out, the leader keeps its lock and answers
//! health checks.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::cluster::say;
use crate::support::{Bench, Cluster, Consul, Process, SOON, Turn, eventually, guest};

/// How long the leader has to keep its lock.
const LENGTH: Duration = Duration::from_secs(15);
/// The agent's timeout for a health check.
const TIMEOUT: Duration = Duration::from_millis(500);

/// All clients of these tests have one address.
const ONE_SOURCE_MAY_TAKE_ALL: [&str; 2] = ["--max-connections-per-source", "0"];

/// A script that starts the node directly.
const DIRECTLY: &str = "exec \"$@\"";

/// A single node, which leads.
struct Alone {
    process: Process,
    /// The address of the HTTP API.
    address: String,
    health: String,
    /// Runs Consul, but no nodes.
    cluster: Cluster,
    _turn: Turn,
}

impl Alone {
    async fn start(turn: Turn, arguments: &[&str]) -> Self {
        Self::start_within(DIRECTLY, turn, arguments, None).await
    }

    /// Starts the node by a shell that runs this script and becomes the node.
    /// `$0` is the data directory; the arguments are the node's command.
    async fn start_within(
        script: &str,
        turn: Turn,
        arguments: &[&str],
        stdout: Option<Stdio>,
    ) -> Self {
        let cluster = Cluster::empty(Consul::agent().await, &[]);
        let folder = cluster.folder.path();
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(&data)
            .args([env!("CARGO_BIN_EXE_sluice"), "node", "--name", "a"])
            .args([
                "--request-timeout",
                "2s",
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(&data)
            .args(arguments)
            .env("CONSUL_HTTP_ADDR", &cluster.consul.address)
            .current_dir(folder);
        let process = match stdout {
            None => Process::start("a", folder, &mut command),
            Some(stdout) => Process::start_with_stdout("a", folder, &mut command, stdout),
        };
        let address = cluster.served_by(&process).await;
        let health = format!("127.0.0.1:{}", process.other_port(&address));
        let alone = Self {
            process,
            address,
            health,
            cluster,
            _turn: turn,
        };
        eventually("the node leads", SOON, || async {
            let status = alone.status().await?;
            match status["role"] == "leader" {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        })
        .await;
        alone
    }

    async fn status(&self) -> Result<Value, String> {
        let url = format!("http://{}/api/v1/status", self.address);
        let answer = self.cluster.http.get(url).send().await;
        let body = answer.map_err(|error| error.to_string())?.bytes().await;
        serde_json::from_slice(&body.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    /// Sends `POST /api/v1/log`, and returns the status.
    async fn log(&self, text: &str) -> u16 {
        let url = format!("http://{}/api/v1/log", self.address);
        let answer = self.cluster.http.post(url).body(text.to_owned()).send();
        answer.await.unwrap().status().as_u16()
    }

    /// Checks for a while that the lock is not lost, and that each health check
    /// is answered in time.
    async fn keeps_its_lock(&self, through: &str) {
        let lock = self.lock().await;
        let end = Instant::now() + LENGTH;
        let (mut checks, mut slowest) = (0, Duration::ZERO);
        while Instant::now() < end {
            let asked = Instant::now();
            let url = format!("http://{}/healthz", self.health);
            let answer = self.cluster.http.get(url).timeout(TIMEOUT).send().await;
            let answer = answer.unwrap_or_else(|error| panic!("health check {checks}: {error:?}"));
            assert_eq!(answer.status(), 200, "health check {checks}");
            slowest = slowest.max(asked.elapsed());
            checks += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(self.lock().await, lock, "the lock was lost meanwhile");
        say(&format!(
            "{through}: {checks} health checks, the slowest answered after {slowest:?}"
        ));
    }

    /// The session that holds the lock, and the index at which it acquired it.
    async fn lock(&self) -> (String, String) {
        let key = self.cluster.consul.key("sluice/leader").await.unwrap();
        assert!(key["Session"].is_string(), "{key}");
        (key["Session"].to_string(), key["ModifyIndex"].to_string())
    }

    /// Opens connections that become idle after a request each, so that the
    /// node keeps them for a minute.
    async fn connect(&self, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let request = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            streams.push(stream);
        }
        streams
    }

    fn open_files(&self) -> usize {
        let pid = self.process.pid().as_raw_pid();
        let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
        open.unwrap().count()
    }

    /// Creates a file in the node's data directory, as the node's mount
    /// namespace sees it.
    fn file(&self, name: &str) -> File {
        let pid = self.process.pid().as_raw_pid();
        let data = self.cluster.folder.path().join("data");
        let path = format!("/proc/{pid}/root{}/{name}", data.display());
        File::create(path).unwrap()
    }
}

/// Allows this process to have at least this many files open.
fn allow_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|maximum| maximum >= wanted),
        "this test needs {wanted} open files, and the limit is {limit:?}: raise it"
    );
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(wanted);
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("raise a limit");
    }
}

#[tokio::test]
async fn busy_cores() {
    let alone = Alone::start(Turn::alone(), &[]).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let busy = |_| {
        let mut command = Command::new("sh");
        command.args(["-c", "while kill -0 $PPID; do :; done"]);
        Process::start("busy", alone.cluster.folder.path(), &mut command)
    };
    let busy: Vec<_> = (0..8 * cores).map(busy).collect();
    alone.keeps_its_lock("8 busy loops per core").await;
    assert_eq!(alone.log("Message: 1").await, 200);
    drop(busy);
}

#[tokio::test]
async fn a_sink_that_computes_without_end() {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let source = format!("file://{}", file.display());
    let manifest = json!({"source": source, "config": "always spinning"}).to_string();
    let alone = Alone::start(
        Turn::alone(),
        &["--plugin", &manifest, "--plugin-dir", &folder],
    )
    .await;
    let target = format!("http://{}", alone.address);
    let load = ["--duration", "16s", "--target", &target];
    let load = Bench::start(&alone.cluster, "load", &load);
    alone
        .keeps_its_lock("a sink that computes without end")
        .await;
    let (report, acknowledged) = load.finish(&alone.cluster).await;
    assert!(acknowledged.is_empty(), "{report}");
}

#[tokio::test]
async fn ten_thousand_idle_connections() {
    allow_files(12_000);
    let alone = Alone::start(Turn::beside_others(), &ONE_SOURCE_MAY_TAKE_ALL).await;
    let idle = alone.connect(10_000).await;
    eventually("all are accepted", SOON, || async {
        match alone.open_files() {
            10_000.. => Ok(()),
            open => Err(format!("{open} files are open")),
        }
    })
    .await;
    alone.keeps_its_lock("10000 idle connections").await;
    drop(idle);
    assert_eq!(alone.log("Message: 1").await, 200);
}

#[tokio::test]
async fn no_file_descriptor_left_for_clients() {
    let alone = Alone::start_within(
        "ulimit -n 200; exec \"$@\"",
        Turn::beside_others(),
        &ONE_SOURCE_MAY_TAKE_ALL,
        None,
    )
    .await;
    let before = alone.open_files();
    // Half of the descriptors are for clients; the remaining clients wait.
    let clients = alone.connect(200).await;
    eventually("many are accepted", SOON, || async {
        match alone.open_files() {
            open if open > before + 50 => Ok(()),
            open => Err(format!("{open} files are open")),
        }
    })
    .await;
    alone
        .keeps_its_lock("200 connections to a node with 200 file descriptors")
        .await;
    drop(clients);
    assert_eq!(alone.log("Message: 1").await, 200);
}

#[tokio::test]
async fn a_full_disk() {
    // A small disk that disappears with the node.
    let mount = "exec unshare --mount sh -c \
                 'mount -t tmpfs -o size=16m small \"$0\" && exec \"$@\"' \"$0\" \"$@\"";
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let source = format!("file://{}", file.display());
    let arguments = ["--plugin", &source, "--plugin-dir", &folder];
    let alone = Alone::start_within(mount, Turn::beside_others(), &arguments, None).await;
    assert_eq!(alone.log("Message: 1").await, 200);
    let filled = io::copy(&mut io::repeat(b'x'), &mut alone.file("filling"));
    assert_eq!(filled.unwrap_err().kind(), io::ErrorKind::StorageFull);
    // A record that cannot be set aside is not acknowledged.
    let poison = alone.log("trap");
    let ((), poison) = tokio::join!(alone.keeps_its_lock("a full disk"), poison);
    assert_ne!(poison, 200);
    assert_eq!(alone.log("Message: 2").await, 200);
}

#[tokio::test]
async fn a_blocked_stdout() {
    let (reader, writer) = io::pipe().unwrap();
    let alone =
        Alone::start_within(DIRECTLY, Turn::beside_others(), &[], Some(writer.into())).await;
    // Nobody reads the pipe, so this fills it.
    assert_eq!(alone.log(&"x".repeat(1 << 20)).await, 504);
    let target = format!("http://{}", alone.address);
    let load = ["--duration", "16s", "--target", &target];
    let load = Bench::start(&alone.cluster, "load", &load);
    alone.keeps_its_lock("a stdout that nobody reads").await;
    let (report, acknowledged) = load.finish(&alone.cluster).await;
    assert!(acknowledged.is_empty(), "{report}");
    drop(reader);
}
