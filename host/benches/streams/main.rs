//! Measures what streams cost while nothing is sent, and how long it takes until all
//! streams of a node that is killed take records again: three nodes, and 1, 8 and 64
//! streams that have spread over them.
//!
//! Then what a stream whose sink spins, traps or hangs does to another one on the same
//! node.
//!
//! Run it with `make bench-streams`; `SLUICE_BENCH_SECONDS` is the time of each
//! measurement, and `STREAMS=cost` or `STREAMS=isolation` leaves the other part out.

#[path = "../common/mod.rs"]
mod common;
mod isolation;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Fallible, Owned, Stage, cpu_time, is_wanted, setting, spread};
use serde_json::Value;

const NODES: [(&str, &str); 3] = [
    ("a", "127.0.0.1:13101"),
    ("b", "127.0.0.1:13102"),
    ("c", "127.0.0.1:13103"),
];
/// Streams of a cluster, the default one included.
const COUNTS: [usize; 3] = [1, 8, 64];
/// How long it may take until the streams are there and have spread.
const SPREAD_WITHIN: Duration = Duration::from_secs(180);
/// How long streams may take to be led again.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// The interval of Consul's own metrics.
const CONSUL_INTERVAL: f64 = 10.0;
/// The aim for the last stream after a kill, in seconds.
const AIM: f64 = 3.5;

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let seconds: u64 = setting("SLUICE_BENCH_SECONDS", 20)?;
    let part: String = setting("STREAMS", String::new())?;
    if part != "isolation" {
        cost(seconds)?;
    }
    if part != "cost" {
        isolation::measure(seconds)?;
    }
    Ok(())
}

fn cost(seconds: u64) -> Fallible<()> {
    println!(
        "{:>7}  {:>12}  {:>11}  {:>13}  {:>11}  {:>11}  {:>11}",
        "streams", "CPU of nodes", "memory MiB", "Consul req/s", "led by it", "median s", "last s"
    );
    for count in COUNTS {
        measure(count, Duration::from_secs(seconds))?;
    }
    println!(
        "\nCPU: of a core, mean of the three nodes. Memory: resident and anonymous, mean. Consul: \
         requests of a node that Consul answers. Then: streams of the node that was killed, and \
         the time until they took records again (aim for the last: {AIM} s)."
    );
    Ok(())
}

fn measure(count: usize, time: Duration) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18650,
    };
    let _consul = stage.consul(None)?;
    let mut nodes = Vec::new();
    for (name, listen) in NODES {
        let mut command = stage.program("sluice", None);
        command.args(["node", "--name", name, "--listen", listen]);
        nodes.push(stage.spawn(&mut command, name)?);
    }
    stage.settled(NODES.len())?;
    for number in 1..count {
        let path = format!("/v1/kv/sluice/streams/s{number:02}/plugin");
        ask(&stage.consul_address(), "PUT", &path, "builtin:stdout")?;
    }
    let led = until_spread(count)?;
    // Until nothing is new: the last hand-overs, and Consul's current interval.
    std::thread::sleep(Duration::from_secs(12));
    let before = total(&nodes)?;
    let began = Instant::now();
    std::thread::sleep(time);
    let busy = (total(&nodes)? - before).as_secs_f64();
    let cpu = busy / began.elapsed().as_secs_f64() / 3.0;
    let memory: f64 = nodes.iter().map(anonymous).sum::<Fallible<f64>>()? / 3.0;
    let requests = consul_requests(&stage)? / 3.0;
    let (victim, streams) = most(&led).ok_or("no node leads")?;
    let times = kill(nodes.remove(victim), victim, streams);
    let [_, median, last] = spread(times);
    let verdict = if last <= AIM { "" } else { "  MISSED" };
    println!(
        "{count:7}  {:11.2}%  {memory:11.1}  {requests:13.1}  {:11}  {median:11.2}  {last:11.2}{verdict}",
        cpu * 100.0,
        streams.len(),
    );
    Ok(())
}

/// The streams of each node, once each has a leader and none leads two more than
/// another.
fn until_spread(count: usize) -> Fallible<BTreeMap<usize, BTreeSet<String>>> {
    let deadline = Instant::now() + SPREAD_WITHIN;
    loop {
        let led = led()?;
        let counts: Vec<_> = (0..NODES.len())
            .map(|place| led.get(&place).map_or(0, BTreeSet::len))
            .collect();
        let (least, most) = (counts.iter().min(), counts.iter().max());
        let is_even = most
            .zip(least)
            .is_some_and(|(most, least)| most - least <= 1);
        if counts.iter().sum::<usize>() == count && is_even {
            return Ok(led);
        }
        if Instant::now() > deadline {
            return Err(format!("the streams have not spread: {counts:?}").into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The streams that each node says it leads.
fn led() -> Fallible<BTreeMap<usize, BTreeSet<String>>> {
    let places = NODES.iter().enumerate();
    let led = places.map(|(place, (_, address))| Ok((place, led_by(address)?)));
    led.collect()
}

/// The streams that the node at this address says it leads.
fn led_by(address: &str) -> Fallible<BTreeSet<String>> {
    let (_, body) = ask(address, "GET", "/api/v1/streams", "")?;
    let listed: Value = serde_json::from_str(&body)?;
    let streams = listed.get("streams").and_then(Value::as_array);
    let leads = streams.into_iter().flatten().filter_map(|stream| {
        let text = |field: &str| stream.get(field).and_then(Value::as_str);
        (text("role") == Some("leader")).then(|| text("name").unwrap_or_default().to_owned())
    });
    Ok(leads.collect())
}

fn most(led: &BTreeMap<usize, BTreeSet<String>>) -> Option<(usize, &BTreeSet<String>)> {
    let most = led.iter().max_by_key(|(_, streams)| streams.len());
    most.map(|(place, streams)| (*place, streams))
}

/// Kills a node. Returns the seconds until each of its streams took a record again.
fn kill(node: Owned, victim: usize, streams: &BTreeSet<String>) -> Vec<f64> {
    let others = NODES
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != victim);
    let addresses: Vec<_> = others.map(|(_, (_, address))| *address).collect();
    let began = Instant::now();
    // It is killed with SIGKILL.
    drop(node);
    std::thread::scope(|scope| {
        let waiting = streams.iter().map(|stream| {
            let addresses = &addresses;
            scope.spawn(move || until_taken(stream, addresses, began))
        });
        let waiting: Vec<_> = waiting.collect();
        let times = waiting
            .into_iter()
            .map(|it| it.join().unwrap_or(f64::INFINITY));
        times.collect()
    })
}

fn until_taken(stream: &str, addresses: &[&str], began: Instant) -> f64 {
    let path = format!("/streams/{stream}/api/v1/log");
    while began.elapsed() < TAKEN_WITHIN {
        for address in addresses {
            if matches!(ask(address, "POST", &path, "again"), Ok((200, _))) {
                return began.elapsed().as_secs_f64();
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    f64::INFINITY
}

/// Sends a request; the status and the body of the answer.
fn ask(address: &str, method: &str, path: &str, body: &str) -> Fallible<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: \
         {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    let body = match head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        true => dechunked(body),
        false => body.to_owned(),
    };
    Ok((status, body))
}

/// The text of a body in chunks.
fn dechunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Some(chunk) = usize::from_str_radix(size.trim(), 16)
            .ok()
            .and_then(|size| rest.get(..size))
        else {
            break;
        };
        text.push_str(chunk);
        body = rest.get(chunk.len() + 2..).unwrap_or_default();
    }
    text
}

fn total(nodes: &[Owned]) -> Fallible<Duration> {
    nodes.iter().map(cpu_time).sum()
}

/// The resident memory of a process that is no file's, in MiB.
fn anonymous(node: &Owned) -> Fallible<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.0.id()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u32 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no RssAnon")?
        .parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// Requests of all nodes per second in Consul's last interval, by its own count.
fn consul_requests(stage: &Stage) -> Fallible<f64> {
    let (_, body) = ask(&stage.consul_address(), "GET", "/v1/agent/metrics", "")?;
    let metrics: Value = serde_json::from_str(&body)?;
    let samples = metrics.get("Samples").and_then(Value::as_array);
    let samples = samples.into_iter().flatten().filter(|sample| {
        let name = sample.get("Name").and_then(Value::as_str);
        name.is_some_and(|name| name.contains(".http."))
    });
    let counts = samples.filter_map(|sample| sample.get("Count").and_then(Value::as_f64));
    Ok(counts.sum::<f64>() / CONSUL_INTERVAL)
}
