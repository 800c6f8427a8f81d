//! `write`: batches of every size, and records of every kind.

use sluice_types::outcome::WriteError;
use sluice_types::record::LogRecord;
use sluice_types::records::Records;

use super::bench::Bench;
use super::early::{Early, found};
use super::report::Finding;
use crate::kit::workbench::KitError;

/// Ten times what a node puts into a batch.
const LARGE: usize = 10_000;
/// The most records of a batch of the author's own.
const BATCH: usize = 1024;

pub(super) async fn checks(
    bench: &mut Bench<'_>,
    own: &[LogRecord],
) -> Result<Vec<Finding>, KitError> {
    let samples = &mut bench.samples;
    let batches = [
        ("a batch of one record", samples.ordinary(1)),
        ("a batch without records", Records::default()),
        ("a batch of 10,000 records", samples.ordinary(LARGE)),
        ("empty texts", samples.empty_texts()),
        ("every type of value", samples.values()),
        ("huge and strange texts", samples.strange()),
    ];
    let mut findings = Vec::new();
    for (check, batch) in batches {
        findings.push(found(one(bench, check, &batch).await)?);
    }
    if !own.is_empty() {
        findings.push(found(own_records(bench, own).await)?);
    }
    Ok(findings)
}

async fn one(
    bench: &mut Bench<'_>,
    check: &'static str,
    batch: &Records,
) -> Result<Finding, Early> {
    let mut instance = bench.opened(check).await?;
    let written = bench.write(&mut instance, batch).await;
    Ok(match written.result {
        Ok(refusals) if refusals.is_empty() => {
            let milliseconds = written.took.as_secs_f64() * 1e3;
            Finding::passed(check, format!("taken in {milliseconds:.1} ms"))
        }
        Ok(refusals) => Finding::passed(check, refused(batch, &refusals)),
        Err(WriteError::Broken(broken)) => Finding::failed(check, broken.to_string()),
        Err(WriteError::Failed(failure)) => Finding::failed(
            check,
            format!(
                "it refuses the whole batch: {failure}; refuse single records by their index, and \
                 take the others"
            ),
        ),
    })
}

fn refused(batch: &Records, refusals: &[sluice_types::outcome::Refusal]) -> String {
    let first = refusals.first();
    let reason = first.map_or_else(String::new, |refusal| refusal.failure.to_string());
    let (all, count) = (batch.len(), refusals.len());
    format!("{count} of {all} refused, the first because: {reason}")
}

/// The author's own records, in batches as large as those of nodes.
async fn own_records(bench: &mut Bench<'_>, own: &[LogRecord]) -> Result<Finding, Early> {
    const CHECK: &str = "your records";
    let mut instance = bench.opened(CHECK).await?;
    let (mut count, mut reason) = (0, String::new());
    for some in own.chunks(BATCH) {
        let batch = bench.samples.adopt(some);
        let refusals = bench.taken(CHECK, &mut instance, &batch).await?;
        if let Some(first) = refusals.first()
            && reason.is_empty()
        {
            reason = first.failure.to_string();
        }
        count += refusals.len();
    }
    let all = own.len();
    Ok(match count {
        0 => Finding::passed(CHECK, format!("{all} taken")),
        _ => Finding::noted(CHECK, format!("{count} of {all} refused: {reason}")),
    })
}
