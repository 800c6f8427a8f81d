//! How long nothing is acknowledged when the leader ends: three nodes, four
//! producers of numbered messages, and a client that goes to the next node 5 ms
//! after each failure. Also checks that every acknowledged number was written.
//!
//! Run it with `make bench-failover`; `SLUICE_BENCH_ROUNDS` shortens it.

mod common;

use std::collections::BTreeSet;
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
    for (what, signal) in [("SIGTERM", Signal::TERM), ("kill -9", Signal::KILL)] {
        let mut silences = Vec::new();
        for _ in 0..rounds {
            silences.push(round(&stage, &mut nodes, signal)?);
        }
        let [least, median, most] = spread(silences);
        println!("{what:8}  min {least:.0}  median {median:.0}  max {most:.0}");
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

/// Ends the leader in the middle of a run, and starts it again afterwards.
fn round(stage: &Stage, nodes: &mut [Owned], signal: Signal) -> Fallible<f64> {
    let status = stage.settled(NODES.len())?;
    let leader = status.pointer("/leader/node").and_then(Value::as_str);
    let places = NODES.iter().zip(nodes);
    let mut leading = places.filter(|((name, _), _)| Some(*name) == leader);
    let ((name, listen), node) = leading.next().ok_or("the leader is none of the nodes")?;
    let targets = NODES
        .map(|(_, listen)| format!("http://{listen}"))
        .join(",");
    let mut client = stage.program("sluice-producer", None);
    client.args([
        "bench",
        "--json",
        "--connections",
        "1",
        "--duration",
        "6s",
        "--size",
        "1",
    ]);
    client.args(["--rate", "1000", "--target", &targets]);
    let client = client.stdout(std::process::Stdio::piped()).spawn()?;
    std::thread::sleep(Duration::from_millis(1500));
    kill_process(Pid::from_child(&node.0), signal)?;
    node.0.wait()?;
    let report = client.wait_with_output()?;
    let report: Value = serde_json::from_slice(&report.stdout)?;
    *node = start(stage, name, listen)?;
    let silence = report.get("silence_ms").and_then(Value::as_f64);
    silence.ok_or_else(|| format!("the report lacks a figure: {report}").into())
}

/// Every number that a producer was told is safe must stand in an output.
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
                return Err(format!("{number} was acknowledged and stands in no output").into());
            }
        }
    }
    println!(
        "\n{acknowledged} messages of {PRODUCERS} producers acknowledged, all of them written"
    );
    Ok(())
}
