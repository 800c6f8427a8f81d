//! Measures what a swap of the sink costs the clients: three nodes, 32
//! connections, and puts that alternate between two digests. Each is active on
//! all nodes before the next is put. The same load without swaps is the
//! baseline.
//!
//! Run it with `make bench-swap`. `SLUICE_BENCH_ROUNDS` sets the number of swaps,
//! `SLUICE_BENCH_PACE_MS` the shortest time between two, and `SLUICE_BENCH_RATE` the
//! requests per second, 0 for as many as there can be.

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Fallible, Owned, Stage, is_wanted, setting};
use serde_json::Value;

const NODES: [(&str, &str); 3] = [
    ("a", "127.0.0.1:13001"),
    ("b", "127.0.0.1:13002"),
    ("c", "127.0.0.1:13003"),
];
const KEY: &str = "sluice/plugin";
/// The most windows without a swap.
const QUIET_MAX: u32 = 200;
/// How long a swap may take to reach all nodes.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "there is a TLS provider already")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Fallible<()> {
    let swaps: u32 = setting("SLUICE_BENCH_ROUNDS", 100)?;
    let pace = Duration::from_millis(setting("SLUICE_BENCH_PACE_MS", 400)?);
    let rate: u32 = setting("SLUICE_BENCH_RATE", 20_000)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18600,
    };
    let _consul = stage.consul(None)?;
    let nodes = NODES.map(|(name, listen)| start(&stage, name, listen));
    let nodes: Vec<Owned> = nodes.into_iter().collect::<Fallible<_>>()?;
    stage.settled(NODES.len())?;
    let bench = Bench {
        http: reqwest::Client::builder().no_proxy().build()?,
        sources: sources(&stage)?,
        stage: &stage,
    };
    bench.put(0).await?;
    bench.all_have(0).await?;

    // One run of the load: half of the windows have a swap, half do not.
    let quiet = swaps.min(QUIET_MAX);
    let length = pace * (swaps + quiet) * 3 / 2 + Duration::from_secs(5);
    let duration = format!("{}s", length.as_secs());
    let mut load = stage.program("sluice-producer", None);
    load.args(["bench", "--json", "--connections", "32"]);
    load.args(["--duration", &duration, "--journal", "load.journal"]);
    load.args(["--silences", "load.silences"]);
    if rate > 0 {
        load.args(["--rate", &rate.to_string()]);
    }
    let mut load = stage.spawn(&mut load, "load")?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let used = || {
        let each = nodes.iter().map(|node| Used::by(node.0.id()));
        each.fold(Used::default(), Used::and)
    };
    let before = used();
    let mut windows = Windows::default();
    for swap in 1..=swaps {
        let began = SystemTime::now();
        let asked = Instant::now();
        bench.put(swap).await?;
        bench.all_have(swap).await?;
        windows.reported.push(asked.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(pace.saturating_sub(asked.elapsed())).await;
        windows.swapped.push((began, SystemTime::now()));
        if swap == 2 || swap == swaps / 10 {
            windows.used.push((swap, used()));
        }
    }
    windows.used.insert(0, (0, before));
    windows.used.push((swaps, used()));
    for _ in 0..quiet {
        let began = SystemTime::now();
        tokio::time::sleep(pace).await;
        windows.quiet.push((began, SystemTime::now()));
    }
    if load.0.try_wait()?.is_some() {
        return Err("the load ended before the swaps did".into());
    }
    load.0.wait()?;
    report(&stage, pace, windows)
}

fn start(stage: &Stage, name: &str, listen: &str) -> Fallible<Owned> {
    let mut command = stage.program("sluice", None);
    command.args(["node", "--name", name, "--listen", listen]);
    stage.spawn(&mut command, name)
}

/// Two components with the same behaviour but different digests.
fn sources(stage: &Stage) -> Fallible<[String; 2]> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/stdout.wasm");
    let component = std::fs::read(built)?;
    let mut other = component.clone();
    // An unknown custom section, which has no effect.
    other.extend_from_slice(b"\0\x06\x05other");
    let mut names = Vec::new();
    for (name, bytes) in [("one.wasm", component), ("two.wasm", other)] {
        let file = stage.folder.join(name);
        std::fs::write(&file, bytes)?;
        names.push(format!("file://{}", file.display()));
    }
    names.try_into().map_err(|_| "two sources".into())
}

/// The windows with and without swaps, and how long the swaps took to be
/// reported.
#[derive(Default)]
struct Windows {
    swapped: Vec<(SystemTime, SystemTime)>,
    quiet: Vec<(SystemTime, SystemTime)>,
    /// Milliseconds.
    reported: Vec<f64>,
    /// What the nodes together use after so many swaps.
    used: Vec<(u32, Used)>,
}

/// What processes use.
#[derive(Clone, Copy, Default)]
struct Used {
    resident_kib: u64,
    descriptors: usize,
}

impl Used {
    fn by(process: u32) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"));
        Self {
            resident_kib: resident_kib(process),
            descriptors: descriptors.map_or(0, Iterator::count),
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            resident_kib: self.resident_kib + other.resident_kib,
            descriptors: self.descriptors + other.descriptors,
        }
    }
}

struct Bench<'a> {
    http: reqwest::Client,
    sources: [String; 2],
    stage: &'a Stage,
}

impl Bench<'_> {
    fn source(&self, swap: u32) -> &str {
        let [one, two] = &self.sources;
        if swap.is_multiple_of(2) { one } else { two }
    }

    async fn put(&self, swap: u32) -> Fallible<()> {
        let url = format!("http://{}/v1/kv/{KEY}", self.stage.consul_address());
        let put = self.http.put(url).body(self.source(swap).to_owned());
        put.send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits until every node reports the new sink, and the leader runs it.
    async fn all_have(&self, swap: u32) -> Fallible<()> {
        let deadline = Instant::now() + PATIENCE;
        for (_, listen) in NODES {
            loop {
                let url = format!("http://{listen}/api/v1/status");
                let answer = self.http.get(url).send().await?.bytes().await?;
                let status: Value = serde_json::from_slice(&answer)?;
                let say = |path: &str| status.pointer(path).and_then(Value::as_str);
                let expected = match say("/role") {
                    Some("leader") => "running",
                    _ => "prepared",
                };
                if say("/plugin/active/source") == Some(self.source(swap))
                    && say("/plugin/active/state") == Some(expected)
                {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(format!("swap {swap} did not reach {listen}: {status}").into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

fn report(stage: &Stage, pace: Duration, windows: Windows) -> Fallible<()> {
    let load = std::fs::read_to_string(stage.folder.join("load.out"))?;
    let load: Value = serde_json::from_str(&load)?;
    let count = |name: &str| load.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX);
    let text = std::fs::read_to_string(stage.folder.join("load.silences"))?;
    let silences: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(ended, length)| Some((ended.parse().ok()?, length.parse().ok()?)))
        .collect();
    let pauses = |windows: &[(SystemTime, SystemTime)]| {
        let longest = windows
            .iter()
            .map(|(from, to)| longest(&silences, *from, *to));
        longest.collect::<Vec<_>>()
    };
    let swaps = windows.swapped.len();
    println!("{swaps} swaps under load, 32 connections; the longest silence between two");
    println!(
        "acknowledgements in each window of {} ms, in ms\n",
        pace.as_millis()
    );
    println!("with a swap  {}", percentiles(pauses(&windows.swapped)));
    println!("without      {}", percentiles(pauses(&windows.quiet)));
    println!("\nuntil all three nodes report it, in ms");
    println!("             {}", percentiles(windows.reported));
    println!("\nresident memory and descriptors of the three nodes after so many swaps");
    for (swaps, used) in &windows.used {
        let Used {
            resident_kib,
            descriptors,
        } = used;
        println!("    {swaps:6}  {resident_kib:8} KiB  {descriptors:4}");
    }
    println!(
        "{} messages acknowledged, {} refused, {} unknown, {:.0} a second",
        count("acknowledged"),
        count("refused"),
        count("unknown"),
        load.get("messages_per_second")
            .and_then(Value::as_f64)
            .unwrap_or_default(),
    );
    let failed = count("refused") + count("unknown");
    if failed > 0 {
        return Err(format!("{failed} requests failed").into());
    }
    check(stage)
}

/// The length in ms of the longest silence that overlaps with this period.
fn longest(silences: &[(f64, f64)], from: SystemTime, to: SystemTime) -> f64 {
    let ms = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    let (from, to) = (ms(from), ms(to));
    silences
        .iter()
        .filter(|(ended, length)| *ended > from && ended - length < to)
        .map(|(_, length)| *length)
        .fold(0.0, f64::max)
}

fn percentiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
        values.get(place).copied().unwrap_or(f64::NAN)
    };
    format!(
        "p50 {:6.1}  p90 {:6.1}  p99 {:6.1}  max {:6.1}",
        at(50),
        at(90),
        at(99),
        at(100)
    )
}

/// Fails if an acknowledged number is in no output.
fn check(stage: &Stage) -> Fallible<()> {
    let mut written = HashSet::new();
    for (name, _) in NODES {
        let output = std::fs::read_to_string(stage.folder.join(format!("{name}.out")))?;
        let numbers = output
            .lines()
            .filter_map(|line| line.strip_prefix("Message: ")?.split(' ').next());
        written.extend(numbers.filter_map(|number| number.parse::<u64>().ok()));
    }
    let journal = std::fs::read_to_string(stage.folder.join("load.journal"))?;
    let mut acknowledged = 0_u64;
    for number in journal.lines() {
        acknowledged += 1;
        if !written.contains(&number.parse()?) {
            return Err(format!("{number} was acknowledged but is in no output").into());
        }
    }
    println!("{acknowledged} numbers in the journal, all of them written");
    Ok(())
}
