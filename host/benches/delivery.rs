//! Measures what the path of a message costs: one node on one core, and the
//! load generator on another. The sink's output goes to a file, in memory if
//! the system supports that, because the speed of the disk is not the question.
//! The baseline, measured in the same run, is a route of the same binary that
//! reads the body and answers `OK`. Every row also says how much of a processor
//! the node needed per message.
//!
//! At the end nothing is pinned, as on a user's machine: the node, with one
//! thread and with more, and the load generator share all cores.
//!
//! Run it with `make bench`. `SLUICE_BENCH_SECONDS` and `SLUICE_BENCH_PAIRS`
//! shorten it for a quick look.

mod common;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Fallible, Owned, Stage, cpu_time, guests, is_wanted, median, setting};
use serde_json::{Value, json};

const NODE: &str = "127.0.0.1:13000";
const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";
/// A file system in memory, on Linux.
const MEMORY: &str = "/dev/shm";

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let seconds: u64 = setting("SLUICE_BENCH_SECONDS", 10)?;
    let pairs: usize = setting("SLUICE_BENCH_PAIRS", 5)?;
    let folder = tempfile::tempdir()?;
    let outputs = match Path::new(MEMORY).is_dir() {
        true => tempfile::tempdir_in(MEMORY)?,
        false => tempfile::tempdir()?,
    };
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18500,
    };
    let _consul = stage.consul(Some(CLIENT_CORE))?;
    let bench = Bench {
        stage,
        output: outputs.path().join("output"),
        seconds,
        pairs,
        is_pinned: true,
    };
    let node = bench.node(&[])?;
    bench.stage.settled(1)?;
    println!(
        "{pairs} alternating pairs of {seconds} s; the median of the ratios, and both medians\n"
    );
    let log = "/api/v1/log";
    bench.compare(
        "one message per request, 32 connections",
        &node,
        log,
        &["--connections", "32"],
        "requests_per_second",
    )?;
    bench.compare(
        "one message per request, 1 connection, p50 in ms",
        &node,
        log,
        &["--connections", "1"],
        "p50_ms",
    )?;
    bench.lines(&node)?;
    drop(node);
    let manifest = json!({"source": "builtin:stdout", "config": {"format": "json"}});
    let node = bench.node(&["--plugin", &manifest.to_string()])?;
    bench.stage.settled(1)?;
    bench.objects(&node, "JSON")?;
    drop(node);
    bench.journal()?;
    bench.overload()?;
    bench.spinning()?;
    let unpinned = Bench {
        is_pinned: false,
        ..bench
    };
    unpinned.threads()
}

struct Bench {
    stage: Stage,
    /// The file that the sink writes to.
    output: PathBuf,
    seconds: u64,
    pairs: usize,
    /// Whether the node and the load generator have a core each.
    is_pinned: bool,
}

/// What a run of the load generator showed.
struct Run {
    report: Value,
    /// What the node needed per acknowledged message, in microseconds.
    cpu: f64,
}

impl Run {
    fn figure(&self, name: &str) -> Fallible<f64> {
        let figure = self.report.get(name).and_then(Value::as_f64);
        figure.ok_or_else(|| format!("the report lacks {name}: {}", self.report).into())
    }
}

impl Bench {
    /// This core, or none.
    fn core(&self, core: &'static str) -> Option<&'static str> {
        self.is_pinned.then_some(core)
    }

    fn node(&self, arguments: &[&str]) -> Fallible<Owned> {
        let mut command = self.command(arguments);
        let output = File::options()
            .create(true)
            .append(true)
            .open(&self.output)?;
        let errors = File::create(self.stage.folder.join("node.err"))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        Ok(Owned(command.spawn()?))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stage.program("sluice", self.core(SERVER_CORE));
        command.args(["node", "--name", "bench", "--listen", NODE]);
        command.arg("--bench-baseline").args(arguments);
        command
    }

    fn producer(&self) -> Command {
        self.stage
            .program("sluice-producer", self.core(CLIENT_CORE))
    }

    /// Runs the load generator once.
    fn load(&self, node: &Owned, path: &str, arguments: &[&str]) -> Fallible<Run> {
        let mut command = self.producer();
        command.args([
            "bench",
            "--json",
            "--target",
            &format!("http://{NODE}{path}"),
        ]);
        command
            .args(["--duration", &format!("{}s", self.seconds)])
            .args(arguments);
        let before = cpu_time(node)?;
        let output = command.stderr(Stdio::inherit()).output()?;
        let spent = cpu_time(node)? - before;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        if !output.status.success() {
            return Err(format!("not all messages were acknowledged: {report}").into());
        }
        // The output is not needed any more, and memory is limited.
        File::options().write(true).open(&self.output)?.set_len(0)?;
        let mut run = Run { report, cpu: 0.0 };
        run.cpu = spent.as_secs_f64() * 1e6 / run.figure("acknowledged")?;
        Ok(run)
    }

    fn compare(
        &self,
        what: &str,
        node: &Owned,
        path: &str,
        arguments: &[&str],
        figure: &str,
    ) -> Fallible<()> {
        let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut our_cpu, mut their_cpu) = (Vec::new(), Vec::new());
        for pair in 0..self.pairs {
            let baseline = |bench: &Self| bench.load(node, "/bench/baseline", arguments);
            let (real, base) = if pair % 2 == 0 {
                let base = baseline(self)?;
                (self.load(node, path, arguments)?, base)
            } else {
                (self.load(node, path, arguments)?, baseline(self)?)
            };
            let (real_figure, base_figure) = (real.figure(figure)?, base.figure(figure)?);
            ratios.push(real_figure / base_figure);
            ours.push(real_figure);
            theirs.push(base_figure);
            our_cpu.push(real.cpu);
            their_cpu.push(base.cpu);
        }
        let (ratio, ours, theirs) = (median(ratios), median(ours), median(theirs));
        let (our_cpu, their_cpu) = (median(our_cpu), median(their_cpu));
        println!("{what}\n    {ratio:.3} × the baseline  ({ours:.3} against {theirs:.3})");
        println!("    {our_cpu:.2} µs of a processor per message ({their_cpu:.2})");
        Ok(())
    }

    /// The node with more and more threads, compared with one.
    fn threads(&self) -> Fallible<()> {
        let cores = std::thread::available_parallelism()?.get();
        println!("nothing pinned, {cores} cores");
        self.threads_under(
            "one message per request, 32 connections",
            "/api/v1/log",
            &["--connections", "32"],
            cores,
        )?;
        self.threads_under(
            "1000 NDJSON objects of five fields per request, 32 connections",
            "/api/v1/logs",
            &["--connections", "32", "--batch", "1000", "--ndjson"],
            cores,
        )
    }

    fn threads_under(&self, what: &str, path: &str, load: &[&str], cores: usize) -> Fallible<()> {
        let counts = [1, cores, 2 * cores];
        let mut runs: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); counts.len()];
        for _ in 0..self.pairs {
            for (threads, (rates, cpu)) in counts.iter().zip(&mut runs) {
                let node = self.node(&["--threads", &threads.to_string()])?;
                self.stage.settled(1)?;
                let run = self.load(&node, path, load)?;
                rates.push(run.figure("requests_per_second")?);
                cpu.push(run.cpu);
            }
        }
        println!("{what}");
        let mut of_one = None;
        for (threads, (rates, cpu)) in counts.iter().zip(runs) {
            let (rate, cpu) = (median(rates), median(cpu));
            let (one_rate, one_cpu) = *of_one.get_or_insert((rate, cpu));
            println!(
                "    {threads} threads: {rate:.0} requests/s ({:.3} × one), {cpu:.2} µs of a \
                 processor per message ({:.3} × one)",
                rate / one_rate,
                cpu / one_cpu
            );
        }
        Ok(())
    }

    /// Bodies of 1000 lines, compared with a plain loop that writes the same
    /// lines.
    fn lines(&self, node: &Owned) -> Fallible<()> {
        let arguments = ["--connections", "32", "--batch", "1000"];
        let (ours, cpu) = self.rate(node, &arguments)?;
        let loop_rate = self.plain_loop()?;
        let (ours_m, loop_m) = (ours / 1e6, loop_rate / 1e6);
        println!("1000 lines per request, 32 connections, in million lines per second");
        println!(
            "    {:.3} × a plain loop of 64 KiB writes  ({ours_m:.3} against {loop_m:.3})",
            ours / loop_rate
        );
        println!("    {cpu:.3} µs of a processor per line");
        self.objects(node, "text")
    }

    /// NDJSON, compared with nothing; the sink writes lines of text or JSON.
    fn objects(&self, node: &Owned, form: &str) -> Fallible<()> {
        let arguments = ["--connections", "32", "--batch", "1000", "--ndjson"];
        let (ndjson, cpu) = self.rate(node, &arguments)?;
        println!("1000 NDJSON objects of 5 fields per request, 32 connections, {form} out");
        println!("    {:.3} million objects per second", ndjson / 1e6);
        println!("    {cpu:.3} µs of a processor per object");
        Ok(())
    }

    /// The medians of messages per second, and of the node's microseconds per
    /// message.
    fn rate(&self, node: &Owned, arguments: &[&str]) -> Fallible<(f64, f64)> {
        let (mut rates, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..self.pairs {
            let run = self.load(node, "/api/v1/logs", arguments)?;
            rates.push(run.figure("messages_per_second")?);
            cpu.push(run.cpu);
        }
        Ok((median(rates), median(cpu)))
    }

    /// Compares acknowledgement by the journal with acknowledgement by the
    /// sink.
    fn journal(&self) -> Fallible<()> {
        let arguments = ["--connections", "128"];
        let (mut ratios, mut journal, mut sink) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.pairs {
            let rate = |ack| -> Fallible<f64> {
                let node = self.node(&["--ack", ack])?;
                self.stage.settled(1)?;
                let run = self.load(&node, "/api/v1/log", &arguments)?;
                run.figure("messages_per_second")
            };
            let (by_sink, by_journal) = (rate("sink")?, rate("journal")?);
            ratios.push(by_journal / by_sink);
            journal.push(by_journal);
            sink.push(by_sink);
        }
        let (ratio, journal, sink) = (median(ratios), median(journal), median(sink));
        println!("--ack journal, one message per request, 128 connections");
        println!("    {ratio:.3} × --ack sink  ({journal:.0} against {sink:.0} requests/s)");
        Ok(())
    }

    /// A sink that spins on one record in 1000, compared with the same sink
    /// without that.
    fn spinning(&self) -> Fallible<()> {
        let guests = guests()?;
        let source = format!("file://{}", guests.join("misbehave.wasm").display());
        let mut rates = Vec::new();
        for config in ["write 1 in 1", "spin 1 in 1000"] {
            let limits = json!({"write_timeout_ms": 500});
            let manifest = json!({"source": source, "config": config, "limits": limits});
            let mut command = self.command(&["--plugin", &manifest.to_string(), "--plugin-dir"]);
            command.arg(&guests);
            let _node = self.stage.spawn(&mut command, "node")?;
            self.stage.settled(1)?;
            let mut load = self.producer();
            load.args(["bench", "--json", "--target", &format!("http://{NODE}")]);
            load.args(["--duration", &format!("{}s", 2 * self.seconds)]);
            let report: Value = serde_json::from_slice(&load.output()?.stdout)?;
            let rate = report.get("messages_per_second").and_then(Value::as_f64);
            rates.push(rate.ok_or("the report lacks a number")?);
        }
        if let [healthy, spinning] = rates.as_slice() {
            println!("a sink that spins on one record in 1000, 32 connections");
            println!(
                "    {:.3} × the same without  ({spinning:.0} against {healthy:.0} requests/s)",
                spinning / healthy
            );
        }
        Ok(())
    }

    /// Sends more than a slow sink takes, and reports how much memory the node
    /// needs.
    fn overload(&self) -> Fallible<()> {
        for (what, arguments) in [
            (
                "1000 lines per request",
                ["--batch", "1000", "--connections", "256"],
            ),
            (
                "one message per request",
                ["--batch", "1", "--connections", "256"],
            ),
        ] {
            let mut command = self.command(&[]);
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut node = Owned(command.spawn()?);
            let stdout = node.0.stdout.take().ok_or("no pipe")?;
            let reader = std::thread::spawn(move || read_slowly(stdout));
            self.stage.settled(1)?;
            let mut load = self.producer();
            load.args(["bench", "--json", "--target", &format!("http://{NODE}")]);
            load.args(["--duration", &format!("{}s", self.seconds)])
                .args(arguments);
            let report: Value = serde_json::from_slice(&load.output()?.stdout)?;
            let status = std::fs::read_to_string(format!("/proc/{}/status", node.0.id()))?;
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or_default();
            println!(
                "{what}, 256 connections, a sink of {SLOW} bytes per second: {} acknowledged, \
                 {} refused\n    peak resident memory: {}",
                count("acknowledged"),
                count("refused"),
                peak.unwrap_or("unknown").trim()
            );
            drop(node);
            drop(reader.join());
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn plain_loop(&self) -> Fallible<f64> {
        let mut block = Vec::new();
        let mut lines = 0_u64;
        while block.len() < 64 << 10 {
            let mut line = format!("Message: {lines} ").into_bytes();
            line.resize(100, b'x');
            line.push(b'\n');
            block.extend(line);
            lines += 1;
        }
        let mut file = File::create(self.output.with_file_name("plain"))?;
        let (started, mut rounds) = (Instant::now(), 0_u64);
        while started.elapsed() < Duration::from_secs(1) {
            for _ in 0..100 {
                file.write_all(&block)?;
            }
            rounds += 100;
        }
        let rate = (rounds * lines) as f64 / started.elapsed().as_secs_f64();
        std::fs::remove_file(self.output.with_file_name("plain"))?;
        Ok(rate)
    }
}

/// The speed of the slow sink, in bytes per second.
const SLOW: usize = 1 << 20;

fn read_slowly(mut from: impl std::io::Read) {
    let mut block = vec![0; SLOW / 100];
    while from.read_exact(&mut block).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
}
