//! Measures what a sink gains from several writes at a time: one that posts each
//! batch to a server that takes 20 ms for every request. The rows of a round are
//! measured one after the other, and compared within the round.
//!
//! Run it with `make bench-concurrency`. `SLUICE_BENCH_SECONDS` and
//! `SLUICE_BENCH_PAIRS` shorten it for a quick look.

mod common;

use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use common::{Fallible, Stage, guests, is_wanted, setting, spread};
use serde_json::{Value, json};

const NODE: &str = "127.0.0.1:13200";
const LATENCY: Duration = Duration::from_millis(20);
/// The writes at a time. All are compared with the first.
const CONCURRENCY: [usize; 3] = [1, 4, 16];

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let seconds: u64 = setting("SLUICE_BENCH_SECONDS", 10)?;
    let rounds: usize = setting("SLUICE_BENCH_PAIRS", 5)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18700,
    };
    let _consul = stage.consul(None)?;
    let server = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let origin = server.block_on(start())?;
    let bench = Bench {
        stage,
        origin,
        seconds,
    };
    let (mut rates, mut ratios) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
    for _ in 0..rounds {
        let mut first = None;
        for (row, concurrency) in CONCURRENCY.into_iter().enumerate() {
            let rate = bench.rate(concurrency)?;
            let of_first = rate / *first.get_or_insert(rate);
            if let (Some(rates), Some(ratios)) = (rates.get_mut(row), ratios.get_mut(row)) {
                rates.push(rate);
                ratios.push(of_first);
            }
        }
    }
    println!("1000 lines per request, 64 connections, {LATENCY:?} per request of the sink");
    println!("{rounds} rounds of {seconds} s: min, median, max");
    for (concurrency, (rates, ratios)) in CONCURRENCY.iter().zip(rates.into_iter().zip(ratios)) {
        let ([_, rate, _], [least, ratio, most]) = (spread(rates), spread(ratios));
        println!(
            "    concurrency {concurrency:2}: {rate:9.0} records/s, {least:.2} {ratio:.2} {most:.2} × one"
        );
    }
    Ok(())
}

/// Starts the server, and returns its origin.
async fn start() -> Fallible<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let take = |_: axum::body::Bytes| tokio::time::sleep(LATENCY);
    let router = Router::new()
        .route("/logs", post(take))
        .layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(origin)
}

struct Bench {
    stage: Stage,
    /// Of the server.
    origin: String,
    seconds: u64,
}

impl Bench {
    /// The records per second of a sink with this many writes at a time.
    fn rate(&self, concurrency: usize) -> Fallible<f64> {
        let guests = guests()?;
        let manifest = json!({
            "source": format!("file://{}", guests.join("network.wasm").display()),
            "config": {"post": format!("{}/logs", self.origin)},
            "permissions": {"http": [self.origin]},
            "limits": {"concurrency": concurrency},
        });
        let mut command = self.stage.program("sluice", None);
        command.args(["node", "--name", "bench", "--listen", NODE]);
        command.args(["--allow-http", &self.origin, "--plugin-dir"]);
        command.arg(&guests);
        command.args(["--plugin", &manifest.to_string()]);
        let _node = self.stage.spawn(&mut command, "node")?;
        self.stage.settled(1)?;
        let mut load = self.stage.program("sluice-producer", None);
        load.args(["bench", "--json", "--batch", "1000", "--connections", "64"]);
        load.args(["--target", &format!("http://{NODE}/api/v1/logs")]);
        load.args(["--duration", &format!("{}s", self.seconds)]);
        let output = load.stderr(Stdio::inherit()).output()?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let rate = report.get("messages_per_second").and_then(Value::as_f64);
        rate.ok_or_else(|| format!("the report lacks a rate: {report}").into())
    }
}
