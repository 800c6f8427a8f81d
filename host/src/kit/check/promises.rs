//! What `ok` means: the records have left the sink, whatever comes next.

use sluice_types::sink::SinkInstance;

use super::bench::Bench;
use super::early::{Early, found};
use super::report::Finding;
use crate::kit::workbench::KitError;

const KEPT: &str = "nothing is kept back";
const TWO: &str = "two instances at a time";
const CLOSE: &str = "close";

pub(super) async fn checks(bench: &mut Bench<'_>) -> Result<Vec<Finding>, KitError> {
    Ok(vec![
        found(kept_back(bench).await)?,
        found(two_instances(bench).await)?,
        found(close(bench).await)?,
    ])
}

/// Looks for the records of a write when it returns, and again when another
/// write and `close` are over.
async fn kept_back(bench: &mut Bench<'_>) -> Result<Finding, Early> {
    let mut instance = bench.opened(KEPT).await?;
    let mut batches = Vec::new();
    // Of several sizes: a sink may write only what fills its buffer.
    for size in [1, 7, 300, 1] {
        let batch = bench.samples.ordinary(size);
        let refusals = bench.taken(KEPT, &mut instance, &batch).await?;
        let (seen, _) = bench.marks()?.seen(&batch, &refusals);
        batches.push((batch, refusals, seen));
    }
    // How it ends is another check's concern.
    drop(instance.close().await);
    let marks = bench.marks()?;
    let (mut late, mut at_once, mut never) = (0, 0, 0);
    for (batch, refusals, before) in batches {
        let (seen, unseen) = marks.seen(&batch, &refusals);
        at_once += before;
        late += seen - before;
        never += unseen;
    }
    Ok(match (late, at_once, never) {
        (1.., _, _) => Finding::failed(
            KEPT,
            format!(
                "{late} records were written after the call that confirmed them; they are lost if \
                 the node dies between the two"
            ),
        ),
        (0, 0, _) => Finding::skipped(
            KEPT,
            "none of its records is seen in stdout, in its directories or at the destination of the \
             check; name the destination in --config as {destination}",
        ),
        (0, _, 1..) => Finding::noted(
            KEPT,
            format!("{never} records are confirmed and nowhere to be seen; is that a filter?"),
        ),
        _ => Finding::passed(
            KEPT,
            format!("{at_once} records were out when write returned"),
        ),
    })
}

/// `open` may run while another instance writes.
async fn two_instances(bench: &mut Bench<'_>) -> Result<Finding, Early> {
    let mut first = bench.opened(TWO).await?;
    let mut second = bench.open().await?.map_err(|error| {
        let detail = format!(
            "the second one does not open: {error}; during a swap two run, so take nothing \
             exclusively"
        );
        Finding::failed(TWO, detail)
    })?;
    for is_second in [false, true, false] {
        let instance = if is_second { &mut second } else { &mut first };
        let batch = bench.samples.ordinary(3);
        bench.taken(TWO, instance, &batch).await?;
    }
    Ok(Finding::passed(TWO, "both write"))
}

async fn close(bench: &Bench<'_>) -> Result<Finding, Early> {
    let instance = bench.opened(CLOSE).await?;
    Ok(match instance.close().await {
        Ok(()) => Finding::passed(CLOSE, "also without a write"),
        Err(error) => Finding::failed(CLOSE, error.to_string()),
    })
}
