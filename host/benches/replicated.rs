//! Measures what a replicated journal costs: messages per second and latency with
//! acknowledgements from the sink, from the local journal, and from the replicated
//! one, with three nats-servers on this machine (`sync_interval: always`).
//!
//! Everything shares the cores of this machine: the node, the three servers and the
//! load generator. So the figures are ratios within one run, not what three machines
//! give.
//!
//! Run it with `make bench-replicated`. `SLUICE_BENCH_SECONDS` shortens it, and
//! `SLUICE_BIN` names another `sluice`.

mod common;

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Fallible, Owned, Stage, is_wanted, setting};
use serde_json::Value;

const NODE: &str = "127.0.0.1:13340";
/// The first port of three for clients, and of three between servers.
const CLIENTS: u16 = 18841;
const ROUTES: u16 = 18851;
/// The time for the servers to elect their leaders.
const SERVERS_START: Duration = Duration::from_secs(5);

/// What a client sends.
const LOADS: [(&str, &str, &[&str]); 5] = [
    (
        "single messages, 1 connection",
        "log",
        &["--connections", "1"],
    ),
    (
        "single messages, 32 connections",
        "log",
        &["--connections", "32"],
    ),
    (
        "single messages, 128 connections",
        "log",
        &["--connections", "128"],
    ),
    (
        "single messages, 256 connections",
        "log",
        &["--connections", "256"],
    ),
    (
        "1000 lines per request, 8 connections",
        "logs",
        &["--connections", "8", "--batch", "1000"],
    ),
];

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let seconds: u64 = setting("SLUICE_BENCH_SECONDS", 8)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18840 + 20,
    };
    let _consul = stage.consul(None)?;
    let _servers = servers(&stage)?;
    std::thread::sleep(SERVERS_START);
    let urls: Vec<_> = (0..3)
        .map(|place| format!("127.0.0.1:{}", CLIENTS + place))
        .collect();
    let urls = format!("nats://{}", urls.join(","));
    let kinds: [(&str, Vec<&str>); 3] = [
        ("--ack sink", vec![]),
        ("local journal", vec!["--ack", "journal"]),
        ("replicated", vec!["--ack", "journal", "--journal", &urls]),
    ];
    println!(
        "{:36} {:15} {:>12} {:>9} {:>9}",
        "", "", "messages/s", "p50 ms", "p99 ms"
    );
    for (name, path, load) in LOADS {
        for (kind, arguments) in &kinds {
            let _node = node(&stage, arguments)?;
            report(&stage, path, 1, load)?;
            let report = report(&stage, path, seconds, load)?;
            println!(
                "{name:36} {kind:15} {:12.0} {:9.2} {:9.2}",
                figure(&report, "messages_per_second")?,
                figure(&report, "p50_ms")?,
                figure(&report, "p99_ms")?
            );
        }
    }
    Ok(())
}

/// Three servers that form a cluster.
fn servers(stage: &Stage) -> Fallible<Vec<Owned>> {
    let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    let route = |place| format!("\"nats://127.0.0.1:{}\"", ROUTES + place);
    let routes = [route(0), route(1), route(2)].join(", ");
    let start = |place: u16| {
        let name = format!("nats-{place}");
        let config = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{}\"\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always }}\n\
             cluster {{ name: logs, listen: \"127.0.0.1:{}\", routes: [{routes}] }}\n",
            CLIENTS + place,
            stage.folder.join(&name).display(),
            ROUTES + place,
        );
        let file = stage.folder.join(format!("{name}.conf"));
        std::fs::write(&file, config)?;
        stage.spawn(Command::new(&program).arg("-c").arg(file), &name)
    };
    (0..3).map(start).collect()
}

fn node(stage: &Stage, arguments: &[&str]) -> Fallible<Owned> {
    let mut command = stage.program("sluice", None);
    command
        .args(["node", "--name", "bench", "--listen", NODE])
        .args(arguments);
    command.stdin(Stdio::null());
    command.stdout(File::options().write(true).open("/dev/null")?);
    command.stderr(File::create(stage.folder.join("node.err"))?);
    let node = Owned(command.spawn()?);
    stage.settled(1)?;
    Ok(node)
}

fn report(stage: &Stage, path: &str, seconds: u64, load: &[&str]) -> Fallible<Value> {
    let mut producer = stage.program("sluice-producer", None);
    producer.args(["bench", "--json", "--target"]);
    producer.arg(format!("http://{NODE}/api/v1/{path}"));
    producer
        .args(["--duration", &format!("{seconds}s")])
        .args(load);
    let output = producer.stderr(Stdio::null()).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    match output.status.success() {
        true => Ok(report),
        false => Err(format!("not all messages were acknowledged: {report}").into()),
    }
}

/// A figure of the load generator's report.
fn figure(report: &Value, name: &str) -> Fallible<f64> {
    let figure = report.get(name).and_then(Value::as_f64);
    figure.ok_or_else(|| format!("the report lacks {name}: {report}").into())
}
