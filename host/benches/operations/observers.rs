//! What may look at a node while it is measured.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Fallible, Owned, cpu_time, metrics};
use crate::node::{Bench, Load, NODE};
use crate::receiver::Receiver;

const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// How many scrapes are measured together.
const SCRAPES: u32 = 500;
/// How long a thread sleeps before it looks again whether it should end.
const STEP: Duration = Duration::from_millis(20);

#[derive(Clone, Copy)]
pub(crate) enum Observer {
    Nobody,
    Metrics,
    Traces,
    Tail,
}

impl Observer {
    /// The first is what the others are compared with.
    pub(crate) const ALL: [Self; 4] = [Self::Nobody, Self::Metrics, Self::Traces, Self::Tail];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "without",
            Self::Metrics => "metrics scraped each second",
            Self::Traces => "traces of 1 % of the requests",
            Self::Tail => "`sluice tail` watches",
        }
    }

    /// What a message costs a new node while this observes it.
    pub(crate) fn measure(self, bench: &Bench, load: &Load, receiver: &Receiver) -> Fallible<f64> {
        match self {
            Self::Nobody => bench.cost(&bench.node(&[], &[])?, load),
            Self::Metrics => scraped(bench, load),
            Self::Traces => traced(bench, load, receiver),
            Self::Tail => {
                let node = bench.node(&[], &[])?;
                let mut tail = bench.stage.program("sluice", Some(crate::CLIENT_CORE));
                tail.args(["tail", "--url", &format!("http://{NODE}"), "--json"]);
                let tail = tail.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
                let mut tail = Owned(tail);
                let cost = bench.cost(&node, load)?;
                match tail.0.try_wait()? {
                    None => Ok(cost),
                    Some(status) => Err(format!("`sluice tail` ended early: {status}").into()),
                }
            }
        }
    }
}

fn scraped(bench: &Bench, load: &Load) -> Fallible<f64> {
    let node = bench.node(&[], &[])?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| -> Result<u32, String> {
            let (started, mut scrapes) = (Instant::now(), 0);
            while !is_over.load(Ordering::Relaxed) {
                if started.elapsed() >= SCRAPE_INTERVAL * scrapes {
                    scrape().map_err(|error| error.to_string())?;
                    scrapes += 1;
                }
                thread::sleep(STEP);
            }
            Ok(scrapes)
        });
        let cost = bench.cost(&node, load);
        is_over.store(true, Ordering::Relaxed);
        let scrapes = scraper.join().map_err(|_| "the scraper panicked")??;
        match u64::from(scrapes) >= bench.seconds {
            true => cost,
            false => Err(format!("the metrics were scraped {scrapes} times only").into()),
        }
    })
}

/// What one scrape costs a node that has met clients, in milliseconds of a processor:
/// the rounds of the comparison differ by more than that.
pub(crate) fn of_a_scrape(bench: &Bench, loads: &[Load]) -> Fallible<f64> {
    let node = bench.node(&[], &[])?;
    for load in loads {
        bench.cost(&node, load)?;
    }
    let before = cpu_time(&node)?;
    (0..SCRAPES).try_for_each(|_| scrape())?;
    let spent = cpu_time(&node)? - before;
    Ok(spent.as_secs_f64() * 1e3 / f64::from(SCRAPES))
}

fn scrape() -> Fallible<()> {
    let answer = metrics(NODE)?;
    match answer.contains("sluice_records_acknowledged_total") {
        true => Ok(()),
        false => Err(format!("these are no metrics: {answer}").into()),
    }
}

fn traced(bench: &Bench, load: &Load, receiver: &Receiver) -> Fallible<f64> {
    let node = bench.node(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.origin()),
            ("OTEL_TRACES_SAMPLER", "traceidratio".to_owned()),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "1000".to_owned()),
        ],
    )?;
    let before = receiver.bytes();
    let cost = bench.cost(&node, load)?;
    match receiver.bytes() > before {
        true => Ok(cost),
        false => Err("the node sent no spans".into()),
    }
}
