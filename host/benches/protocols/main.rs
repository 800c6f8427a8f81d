//! Measures what a record costs in each protocol: one node on one core, the
//! clients on another, the default sink in its sandbox, its output to /dev/null.
//! A client sends requests of 1000 records, each with five attributes, and its
//! next one when an earlier one is acknowledged.
//!
//! The figure to compare is the time of a processor per record, because it
//! hardly depends on what else the machine does. Its reciprocal is what one core
//! takes per second. The baselines, measured in the same round, are the node's own
//! route for NDJSON and a route of the same binary that reads the NDJSON and
//! answers `OK`.
//!
//! At the end of each row, the node's metrics must say that all that was sent has
//! been acknowledged.
//!
//! Run it with `make bench-protocols`; `PROTOCOLS='forward syslog'` only measures
//! those with one of these words in their names. `SLUICE_BENCH_SECONDS` and
//! `SLUICE_BENCH_ROUNDS` shorten it, `SLUICE_BENCH_CONNECTIONS` sets the number of
//! connections of each row, and `SLUICE_BIN` names another `sluice`.

mod bodies;
#[path = "../common/mod.rs"]
mod common;
mod forward;
mod http;
mod load;
mod names;
mod node;
mod progress;
mod rows;
mod syslog;
mod table;

use std::time::Duration;

use common::{Fallible, Stage, is_wanted, setting, stay_on};
use node::Node;
use table::Table;

const CLIENT_CORE: &str = "1";
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let seconds = Duration::from_secs(setting("SLUICE_BENCH_SECONDS", 3)?);
    let rounds: usize = setting("SLUICE_BENCH_ROUNDS", 3)?;
    let rows = rows::chosen(&words())?;
    stay_on(CLIENT_CORE)?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        folder: folder.path().to_owned(),
        consul_port: 18540,
    };
    let _consul = stage.consul(Some(CLIENT_CORE))?;
    let node = Node::start(&stage)?;
    println!(
        "requests of {} records with five attributes; medians of {rounds} rounds of {} s\n",
        bodies::RECORDS,
        seconds.as_secs()
    );
    let mut table = Table::new(&rows);
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let measured = rows.iter().map(|row| {
            let figures = load::measure(&node, row, WARM_UP, seconds);
            figures.map_err(|error| format!("{}: {error}", row.name).into())
        });
        table.add(measured.collect::<Fallible<Vec<_>>>()?);
    }
    table.print();
    Ok(())
}

/// The words that say which rows are wanted.
fn words() -> Vec<String> {
    let arguments = std::env::args().skip(1);
    arguments.filter(|word| !word.starts_with('-')).collect()
}
