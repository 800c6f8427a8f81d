//! Measures how long nothing is acknowledged when the leader exits, steps down,
//! freezes or loses the lock: three nodes, four producers of numbered messages,
//! and a client that tries the next node 5 ms after each failure. Also checks
//! that every acknowledged number was written.
//!
//! Run it with `make bench-failover`; `SLUICE_BENCH_ROUNDS` shortens it.

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Fallible, Owned, Stage, is_wanted, setting, spread};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const NODES: [(&str, &str); 3] = [
    ("a", "127.0.0.1:13001"),
    ("b", "127.0.0.1:13002"),
    ("c", "127.0.0.1:13003"),
];
const PRODUCERS: u64 = 4;
/// The first number of each producer is a multiple of this.
const SPAN: u64 = 1_000_000_000;

/// What happens to the leader, and the highest acceptable median silence in
/// milliseconds.
const KINDS: [(Kind, &str, f64); 6] = [
    (Kind::Terminate, "SIGTERM", 100.0),
    (Kind::StepDown, "step-down", 100.0),
    (Kind::Kill, "kill -9", 2500.0),
    (Kind::Freeze, "SIGSTOP", 3500.0),
    (Kind::DestroySession, "session destroyed", 2000.0),
    (Kind::DeleteKey, "lock key deleted", 2000.0),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Terminate,
    Kill,
    Freeze,
    StepDown,
    DestroySession,
    DeleteKey,
}

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let rounds: usize = setting("SLUICE_BENCH_ROUNDS", 10)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18600,
    };
    let _consul = stage.consul(None)?;
    let mut nodes = Vec::new();
    for (name, listen) in NODES {
        nodes.push(start(&stage, name, listen)?);
    }
    stage.settled(NODES.len())?;
    let producers = (1..=PRODUCERS).map(|place| producer(&stage, place));
    let producers = producers.collect::<Fallible<Vec<_>>>()?;
    println!("silence between two acknowledgements, {rounds} rounds each, in ms\n");
    for (kind, what, target) in KINDS {
        let mut silences = Vec::new();
        for _ in 0..rounds {
            silences.push(round(&stage, &mut nodes, kind)?);
        }
        let [least, median, most] = spread(silences);
        let verdict = if median <= target { "" } else { "  MISSED" };
        println!(
            "{what:17}  min {least:5.0}  median {median:5.0}  max {most:5.0}  aim {target:5.0}{verdict}"
        );
    }
    for mut producer in producers {
        kill_process(Pid::from_child(&producer.0), Signal::TERM)?;
        producer.0.wait()?;
    }
    check(&stage)
}

fn start(stage: &Stage, name: &str, listen: &str) -> Fallible<Owned> {
    let mut command = stage.program("sluice", None);
    stage.spawn(
        command.args(["node", "--name", name, "--listen", listen]),
        name,
    )
}

fn producer(stage: &Stage, place: u64) -> Fallible<Owned> {
    let mut command = stage.program("sluice-producer", None);
    let (from, journal) = ((place * SPAN).to_string(), format!("{place}.journal"));
    command.args(["--interval", "10ms", "--from", &from, "--journal", &journal]);
    stage.spawn(&mut command, &format!("producer{place}"))
}

/// Causes the failure in the middle of a run, and repairs it afterwards.
fn round(stage: &Stage, nodes: &mut [Owned], kind: Kind) -> Fallible<f64> {
    let status = stage.settled(NODES.len())?;
    let leader = status.pointer("/leader/node").and_then(Value::as_str);
    let places = NODES.iter().zip(nodes);
    let mut leading = places.filter(|((name, _), _)| Some(*name) == leader);
    let ((name, listen), node) = leading.next().ok_or("the leader is none of the nodes")?;
    let client = client(stage, kind)?;
    std::thread::sleep(Duration::from_millis(1500));
    let pid = Pid::from_child(&node.0);
    match kind {
        Kind::Terminate => kill_process(pid, Signal::TERM)?,
        Kind::Kill => kill_process(pid, Signal::KILL)?,
        Kind::Freeze => kill_process(pid, Signal::STOP)?,
        Kind::StepDown => step_down(stage)?,
        Kind::DestroySession => {
            let lock = consul(stage, "GET", "kv/sluice/leader")?;
            let lock: Value = serde_json::from_str(&lock)?;
            let session = lock.pointer("/0/Session").and_then(Value::as_str);
            let session = session.ok_or("the lock is not held")?;
            consul(stage, "PUT", &format!("session/destroy/{session}"))?;
        }
        Kind::DeleteKey => drop(consul(stage, "DELETE", "kv/sluice/leader")?),
    }
    let report = client.wait_with_output()?;
    let report: Value = serde_json::from_slice(&report.stdout)?;
    match kind {
        Kind::Terminate | Kind::Kill => {
            node.0.wait()?;
            *node = start(stage, name, listen)?;
        }
        Kind::Freeze => kill_process(pid, Signal::CONT)?,
        Kind::StepDown | Kind::DestroySession | Kind::DeleteKey => {}
    }
    let silence = report.get("silence_ms").and_then(Value::as_f64);
    silence.ok_or_else(|| format!("the report lacks a number: {report}").into())
}

/// A client that tries the next node 5 ms after each failure. A frozen leader
/// causes no failure, so the client's timeout for it is 200 ms.
fn client(stage: &Stage, kind: Kind) -> Fallible<Child> {
    let targets = NODES
        .map(|(_, listen)| format!("http://{listen}"))
        .join(",");
    let mut client = stage.program("sluice-producer", None);
    client.args(["bench", "--json", "--connections", "1", "--size", "1"]);
    client.args(["--duration", "7s", "--rate", "1000", "--target", &targets]);
    if kind == Kind::Freeze {
        client.args(["--timeout", "200ms"]);
    }
    Ok(client.stdout(Stdio::piped()).spawn()?)
}

fn step_down(stage: &Stage) -> Fallible<()> {
    let output = stage.program("sluice", None).arg("step-down").output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// Sends a request to Consul, and returns the body of the answer.
fn consul(stage: &Stage, method: &str, path: &str) -> Fallible<String> {
    let mut stream = TcpStream::connect(stage.consul_address())?;
    write!(
        stream,
        "{method} /v1/{path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.contains(" 200 ") {
        true => Ok(body.to_owned()),
        false => Err(format!("{method} {path}: {answer}").into()),
    }
}

/// Fails if an acknowledged number is in no output.
fn check(stage: &Stage) -> Fallible<()> {
    let mut written = BTreeSet::new();
    for (name, _) in NODES {
        let output = std::fs::read_to_string(stage.folder.join(format!("{name}.out")))?;
        let numbers = output
            .lines()
            .filter_map(|line| line.strip_prefix("Message: "));
        written.extend(numbers.filter_map(|number| number.parse::<u64>().ok()));
    }
    let mut acknowledged = 0;
    for place in 1..=PRODUCERS {
        let journal = std::fs::read_to_string(stage.folder.join(format!("{place}.journal")))?;
        for number in journal.lines() {
            acknowledged += 1;
            if !written.contains(&number.parse()?) {
                return Err(format!("{number} was acknowledged but is in no output").into());
            }
        }
    }
    println!(
        "\n{acknowledged} messages of {PRODUCERS} producers acknowledged, all of them written"
    );
    Ok(())
}
