//! `sluice plugin check`: puts a sink to the test.
//!
//! Each file has the checks of one kind. They run one after the other, on
//! instances of their own.

mod batches;
mod bench;
mod early;
mod failing;
mod memory;
mod opening;
mod promises;
mod report;
mod secrets;
mod speed;
mod world;

use sluice_types::record::LogRecord;

use bench::Bench;
pub(crate) use bench::PLACEHOLDER;
use early::found;
pub(crate) use report::{Finding, Outcome, Report, Speed};

use super::destination::Destination;
use super::printed::Printed;
use super::workbench::{KitError, Workbench};

/// The most lines of what a sink printed that are shown, of each kind.
const LINES: usize = 5;
/// The most of what a sink printed that is read for that, in bytes.
const SHOWN_BYTES: usize = 64 << 10;

/// How a sink is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// How many records the sink's speed is measured with.
    pub(crate) count: usize,
    /// The author's own records, to be written as well.
    pub(crate) records: Vec<LogRecord>,
}

/// A destination for the sink under test.
///
/// # Errors
/// There is no port, or no thread.
pub(crate) fn destination() -> Result<Destination, KitError> {
    Destination::start().map_err(KitError::Destination)
}

/// Runs all checks. `tell` hears of each finding at once.
///
/// # Errors
/// The checks themselves cannot be run; what the sink does wrong is in the report.
pub(crate) async fn check(
    sink: &Workbench,
    destination: &Destination,
    printed: &Printed,
    plan: &Plan,
    mut tell: impl FnMut(&Finding),
) -> Result<Report, KitError> {
    let mut report = world::report(sink);
    let mut keep = |findings: Vec<Finding>, report: &mut Report| {
        findings.iter().for_each(&mut tell);
        report.findings.extend(findings);
    };
    keep(vec![world::world(sink)], &mut report);
    if report.count(Outcome::Failed) > 0 {
        return Ok(report);
    }
    let mut bench = Bench::new(sink, destination)?;
    keep(opening::checks(&mut bench).await?, &mut report);
    if report.count(Outcome::Failed) > 0 {
        finish(&mut report, &bench, printed)?;
        return Ok(report);
    }
    keep(
        batches::checks(&mut bench, &plan.records).await?,
        &mut report,
    );
    keep(promises::checks(&mut bench).await?, &mut report);
    keep(failing::checks(&mut bench).await?, &mut report);
    keep(vec![found(memory::check(&mut bench).await)?], &mut report);
    keep(vec![secrets::check(&bench, printed)?], &mut report);
    if report.count(Outcome::Failed) == 0 {
        report.speed = speed::measure(&mut bench, plan.count).await?;
    }
    finish(&mut report, &bench, printed)?;
    Ok(report)
}

/// Adds what the sink printed.
fn finish(report: &mut Report, bench: &Bench<'_>, printed: &Printed) -> Result<(), KitError> {
    let stdout = bench.stdout.since(0).map_err(KitError::Stdout)?;
    let stdout = stdout.get(..SHOWN_BYTES).unwrap_or(&stdout);
    report.stdout = first_lines(&String::from_utf8_lossy(stdout));
    report.log = first_lines(&printed.text());
    report.peak_memory = bench.peak_memory;
    Ok(())
}

fn first_lines(text: &str) -> Vec<String> {
    text.lines().take(LINES).map(str::to_owned).collect()
}
