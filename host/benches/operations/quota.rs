//! What a client at 100 times its quota costs another one.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::common::{Fallible, median, spread};
use crate::node::{Bench, figure};

/// Messages per second that the greedy client may send.
const QUOTA: u64 = 50;
/// How many times its quota it tries to send.
const EXCESS: u64 = 100;
const STEADY: &str = "steady-token-of-the-benchmark";
const GREEDY: &str = "greedy-token-of-the-benchmark";
/// The digests are those of the two tokens.
const CLIENTS: &str = r#"
[[token]]
name = "steady"
sha256 = "dffcbcd121cda06bb601d6ed74b7e988c92291fc2cc31e6216ac827d93545839"
scopes = ["send"]

[[token]]
name = "greedy"
sha256 = "92681371f9b6df578f3a4b57f5391aff1d63a1a056a98829cca6581be0ff0bb7"
scopes = ["send"]
"#;

/// How the greedy client sends: the name, the path, its connections, and its messages
/// per request.
const KINDS: [(&str, &str, &str, &str); 2] = [
    ("requests of 100 messages", "/api/v1/logs", "16", "100"),
    ("requests of one message", "/api/v1/log", "600", "1"),
];

pub(crate) fn measure(bench: &Bench, rounds: usize) -> Fallible<()> {
    let file = |name: &str| bench.stage.folder.join(name).display().to_string();
    let (tokens, steady, greedy) = (file("tokens.toml"), file("steady"), file("greedy"));
    fs::write(&tokens, format!("{CLIENTS}records_per_second = {QUOTA}\n"))?;
    fs::write(&steady, STEADY)?;
    fs::write(&greedy, GREEDY)?;
    let _node = bench.node(&["--tokens", &tokens], &[])?;
    println!("a client of 500 messages/s beside one at {EXCESS} × its quota, p99 in ms");
    for (kind, path, connections, batch) in KINDS {
        let (mut ratios, mut alone, mut beside) = (Vec::new(), Vec::new(), Vec::new());
        let mut offered = Vec::new();
        for _ in 0..rounds {
            let before = figure(&steady_client(bench, &steady)?, "p99_ms")?;
            let mut command = bench.idle_producer(
                path,
                bench.seconds + 2,
                &["--connections", connections, "--batch", batch],
            );
            command.args(["--rate", &(QUOTA * EXCESS).to_string()]);
            command.args(["--token-file", &greedy]);
            let child = command.stdout(Stdio::piped()).spawn()?;
            let with = steady_client(bench, &steady)?;
            let output = child.wait_with_output()?;
            let report: Value = serde_json::from_slice(&output.stdout)?;
            let with = figure(&with, "p99_ms")?;
            ratios.push(with / before);
            alone.push(before);
            beside.push(with);
            let tried = figure(&report, "acknowledged")? + figure(&report, "refused")?;
            offered.push(tried / (bench.seconds + 2) as f64 / QUOTA as f64);
        }
        let (alone, beside, [least, ratio, most]) = (median(alone), median(beside), spread(ratios));
        println!(
            "    {kind}, {:.0} × the quota: {ratio:.3} × alone  ({least:.3} to {most:.3}; \
             {beside:.3} against {alone:.3})",
            median(offered)
        );
    }
    Ok(())
}

/// The report of a client within its means, which must be taken whole.
fn steady_client(bench: &Bench, token: &str) -> Fallible<Value> {
    let mut command = bench.producer("/api/v1/log", bench.seconds, &["--connections", "8"]);
    command.args(["--rate", "500", "--token-file", token]);
    let output = command.output()?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err("the steady client was refused".into()),
    }
}
