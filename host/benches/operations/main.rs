//! Measures what it costs to operate a node, each against the same node without:
//! metrics that are scraped each second, traces of one request in a hundred, and
//! records that somebody watches. Then what a client at 100 times its quota
//! costs another one.
//!
//! The node has one core, and the clients have the other. The figure to compare
//! is the time of a processor per message in the node, because it hardly depends
//! on what else the machine does; the rows of a round are measured one after the
//! other, and compared within the round.
//!
//! Run it with `make bench-operations`; `OPERATIONS=quota` measures only the last. `SLUICE_BENCH_SECONDS` and
//! `SLUICE_BENCH_PAIRS` shorten it, and `SLUICE_BIN` names another `sluice`.

#[path = "../common/mod.rs"]
mod common;
mod node;
mod observers;
mod quota;
mod receiver;

use common::{Fallible, Stage, is_wanted, median, setting, spread, stay_on};
use node::{Bench, LOADS, Load};
use observers::Observer;
use receiver::Receiver;

const CLIENT_CORE: &str = "1";

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let seconds: u64 = setting("SLUICE_BENCH_SECONDS", 8)?;
    let rounds: usize = setting("SLUICE_BENCH_PAIRS", 5)?;
    stay_on(CLIENT_CORE)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18740,
    };
    let _consul = stage.consul(Some(CLIENT_CORE))?;
    let receiver = Receiver::start()?;
    let bench = Bench { stage, seconds };
    println!("medians of {rounds} rounds of {seconds} s\n");
    let is_only_quota = std::env::args().any(|word| word == "quota");
    for load in LOADS.iter().filter(|_| !is_only_quota) {
        observed(&bench, load, rounds, &receiver)?;
    }
    if !is_only_quota {
        let cost = observers::of_a_scrape(&bench, &LOADS)?;
        let share = cost / 10.0;
        println!(
            "a scrape of the metrics: {cost:.2} ms of a processor, {share:.2} % if each second"
        );
    }
    quota::measure(&bench, rounds)
}

/// A load without any observer, and with each.
fn observed(bench: &Bench, load: &Load, rounds: usize, receiver: &Receiver) -> Fallible<()> {
    let mut rows: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); Observer::ALL.len()];
    for round in 1..=rounds {
        eprintln!("{}: round {round} of {rounds}", load.name);
        // In another order each time, so that a machine that gets slower favours none.
        let mut figures = [0.0; Observer::ALL.len()];
        for turn in 0..figures.len() {
            let place = (round + turn) % figures.len();
            if let (Some(observer), Some(figure)) =
                (Observer::ALL.get(place), figures.get_mut(place))
            {
                *figure = observer.measure(bench, load, receiver)?;
            }
        }
        let [plain, ..] = figures;
        for (figure, (costs, ratios)) in figures.into_iter().zip(&mut rows) {
            costs.push(figure);
            ratios.push(figure / plain);
        }
    }
    println!("{}: ns of a processor per message", load.name);
    for (observer, (costs, ratios)) in Observer::ALL.iter().zip(rows) {
        let (cost, [least, ratio, most]) = (median(costs), spread(ratios));
        println!(
            "    {:32} {cost:9.0}   {ratio:.3} × without  ({least:.3} to {most:.3})",
            observer.name()
        );
    }
    Ok(())
}
