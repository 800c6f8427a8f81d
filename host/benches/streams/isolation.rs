//! What a stream with a bad sink does to another one on the same node.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::common::{Fallible, Owned, Stage, guests, median};
use super::{ask, led_by};
use serde_json::{Value, json};

const NODE: &str = "127.0.0.1:13111";
const ROUNDS: u64 = 5;
/// What the sink of the other stream does with each write.
const KINDS: [&str; 3] = ["always spinning", "always trapping", "always stuck"];
/// The most that p99 may grow, as a ratio.
const AIM: f64 = 1.2;
/// How long the node takes to close a stream whose sink takes nothing.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// How long a stream may take to be led.
const LED_WITHIN: Duration = Duration::from_secs(20);

pub(super) fn measure(seconds: u64) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18670,
    };
    let _consul = stage.consul(None)?;
    let sinks = guests()?;
    let mut command = stage.program("sluice", None);
    command.args([
        "node",
        "--name",
        "a",
        "--listen",
        NODE,
        "--drain-timeout",
        "1s",
    ]);
    command.arg("--plugin-dir");
    let _node = stage.spawn(command.arg(&sinks), "a")?;
    stage.settled(1)?;
    put(&stage, "good", "builtin:stdout")?;
    until_led("good")?;
    println!(
        "\np99 of a stream with 4 connections and 1000 messages a second, beside one whose sink \
         misbehaves and that gets as much, medians of {ROUNDS} rounds of {seconds} s, in ms"
    );
    for kind in KINDS {
        // While the other stream is there, its sink works on what it has not written.
        let alone = rounds(&stage, seconds)?;
        put(&stage, "bad", &manifest(&sinks, kind))?;
        until_led("bad")?;
        let sender = send(&stage, "bad", ROUNDS * seconds + 60)?;
        std::thread::sleep(Duration::from_secs(1));
        let beside = rounds(&stage, seconds)?;
        drop(sender);
        let ratio = beside / alone;
        let verdict = if ratio <= AIM { "" } else { "  MISSED" };
        println!("{kind:16}  alone {alone:7.3}  beside {beside:7.3}  ratio {ratio:.2}{verdict}");
        let path = "/v1/kv/sluice/streams/bad/plugin";
        ask(&stage.consul_address(), "DELETE", path, "")?;
        std::thread::sleep(CLOSED_WITHIN);
    }
    Ok(())
}

/// The median of p99 over some rounds.
fn rounds(stage: &Stage, seconds: u64) -> Fallible<f64> {
    let rounds = (0..ROUNDS).map(|_| p99(stage, seconds));
    Ok(median(rounds.collect::<Fallible<_>>()?))
}

fn manifest(sinks: &Path, kind: &str) -> String {
    let source = sinks.join("misbehave.wasm");
    let manifest = json!({
        "source": format!("file://{}", source.display()),
        "config": kind,
        "rollout": { "probation_s": 0 },
    });
    manifest.to_string()
}

fn put(stage: &Stage, stream: &str, manifest: &str) -> Fallible<()> {
    let path = format!("/v1/kv/sluice/streams/{stream}/plugin");
    ask(&stage.consul_address(), "PUT", &path, manifest).map(drop)
}

fn until_led(stream: &str) -> Fallible<()> {
    let deadline = Instant::now() + LED_WITHIN;
    while !led_by(NODE)?.contains(stream) {
        if Instant::now() > deadline {
            return Err(format!("nobody leads {stream}").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // Until the lease begins.
    std::thread::sleep(Duration::from_millis(1500));
    Ok(())
}

fn client(stage: &Stage, stream: &str, seconds: u64) -> std::process::Command {
    let mut client = stage.program("sluice-producer", None);
    client.args(["bench", "--json", "--connections", "4", "--rate", "1000"]);
    client.args(["--duration", &format!("{seconds}s")]);
    client.args([
        "--target",
        &format!("http://{NODE}/streams/{stream}/api/v1/log"),
    ]);
    client
}

fn send(stage: &Stage, stream: &str, seconds: u64) -> Fallible<Owned> {
    let mut client = client(stage, stream, seconds);
    Ok(Owned(
        client.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?,
    ))
}

fn p99(stage: &Stage, seconds: u64) -> Fallible<f64> {
    let output = client(stage, "good", seconds).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let p99 = report.get("p99_ms").and_then(Value::as_f64);
    p99.ok_or_else(|| format!("the report lacks a number: {report}").into())
}
