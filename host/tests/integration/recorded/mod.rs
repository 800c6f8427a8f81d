//! Requests as real clients send them, without the clients: each file of
//! `clients/` is sent to the leader and to a follower. The answers must be what
//! the client takes for a success, and the records must come out of the sink.
//!
//! To add a client, add a file; [`recording`] says what is in it.

mod http;
mod payload;
mod recording;
mod replay;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::listeners::doors::Doors;
use crate::support::{Cluster, Options, Port, SOON};
use recording::Recording;
use replay::{Target, replay};

/// The sink writes whole records.
const SINK: &str = r#"{"source":"builtin:stdout","config":{"format":"json"}}"#;
/// What of a record is not the client's.
const OWN_FIELDS: [&str; 3] = ["epoch", "sequence", "observed"];

/// A folder of the repository.
fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn recordings() -> Vec<Recording> {
    let files = fs::read_dir(folder("tests/integration/recorded/clients")).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Recording::read(path)).collect()
}

/// A leader and a follower on which every protocol is served.
async fn cluster() -> (Cluster, Vec<Target>) {
    // Both nodes get the same messages, which are no repeats.
    let arguments = [
        "--plugin",
        SINK,
        "--dedupe-ids",
        "0",
        "--follower",
        "forward",
    ];
    let mut cluster = Cluster::start(0, &arguments).await;
    let mut ports = Vec::new();
    for name in ["a", "b"] {
        let (doors, grpc) = (Doors::claim(), Port::claim());
        let address = format!("127.0.0.1:{}", grpc.number);
        let mut arguments = doors.flags();
        arguments.extend(["--otlp-grpc-listen".to_owned(), address]);
        let options = Options {
            arguments,
            ..Options::default()
        };
        cluster.add_with(name, options).await;
        ports.push((doors, grpc));
    }
    let follower = cluster.follower().await;
    if follower == 0 {
        ports.swap(0, 1);
    }
    let places = [("leader", 1 - follower), ("follower", follower)];
    let targets = places.into_iter().zip(ports);
    let targets = targets.map(|((role, place), (doors, grpc))| Target {
        role,
        http: cluster.node(place).address.clone(),
        doors,
        grpc,
    });
    let targets = targets.collect();
    (cluster, targets)
}

/// The records that were written after the first `seen`, once there are so many.
async fn written(cluster: &Cluster, seen: usize, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + SOON;
    loop {
        let output = cluster.output();
        let whole = output.rfind('\n').map_or("", |end| &output[..end]);
        let lines: Vec<_> = whole.lines().skip(seen).collect();
        if lines.len() >= count || Instant::now() > deadline {
            return lines.into_iter().map(record).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// A line of the sink, without what is the node's own.
fn record(line: &str) -> Value {
    let mut record: Value = serde_json::from_str(line).unwrap();
    let fields = record.as_object_mut().unwrap();
    fields.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
    record
}

/// Whether a record is the expected one. Of its time, a `?` stands for any
/// character: some clients do not say the year.
fn is_as_expected(record: &Value, expected: &Value) -> bool {
    let (mut record, mut expected) = (record.clone(), expected.clone());
    let (time, pattern) = (record["timestamp"].take(), expected["timestamp"].take());
    let (time, pattern) = (
        time.as_str().unwrap_or_default(),
        pattern.as_str().unwrap_or_default(),
    );
    let is_time = time.len() == pattern.len()
        && time
            .chars()
            .zip(pattern.chars())
            .all(|(one, wanted)| wanted == '?' || one == wanted);
    is_time && record == expected
}

/// What is wrong with the records of a client, if anything is.
fn difference(written: &[Value], expected: &[Value]) -> Option<String> {
    if written.len() != expected.len() {
        let all = lines(written);
        let count = expected.len();
        return Some(format!("expected {count} records, got:\n{all}"));
    }
    let mut pairs = written.iter().zip(expected);
    let (got, wanted) = pairs.find(|(got, wanted)| !is_as_expected(got, wanted))?;
    let all = lines(written);
    Some(format!(
        "expected the record\n{wanted}\ninstead of\n{got}\nof:\n{all}"
    ))
}

fn lines(records: &[Value]) -> String {
    let lines: Vec<_> = records.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[tokio::test]
async fn what_real_clients_send_is_taken_and_answered_as_they_expect() {
    let recordings = recordings();
    let (cluster, targets) = cluster().await;
    let (mut seen, mut faults) = (0, Vec::new());
    for target in &targets {
        for recording in &recordings {
            let mut fault = |what: String| {
                let (client, role) = (&recording.title, target.role);
                faults.push(format!("{client}, to the {role}: {what}"));
            };
            let replayed = tokio::time::timeout(SOON, replay(recording, target)).await;
            match replayed {
                Ok(Ok(())) => {}
                Ok(Err(what)) => fault(what),
                Err(_) => fault("there is no answer".to_owned()),
            }
            let written = written(&cluster, seen, recording.records.len()).await;
            seen += written.len();
            if let Some(what) = difference(&written, &recording.records) {
                fault(what);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    let late = written(&cluster, seen, 0).await;
    assert!(late.is_empty(), "{}", lines(&late));
}

#[test]
fn every_client_that_is_run_is_recorded() {
    let recorded: BTreeSet<_> = recordings().into_iter().map(|one| one.name).collect();
    let run = fs::read_dir(folder("../clients")).unwrap();
    let run = run.map(|entry| entry.unwrap().path());
    let run: Vec<_> = run
        .filter(|path| path.join("client.toml").exists())
        .collect();
    assert!(!run.is_empty());
    for path in run {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(recorded.contains(name), "there is no recording of {name}");
    }
}
