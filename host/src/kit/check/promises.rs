//! What `ok` means: the records have left the sink, whatever comes next.

use sluice_types::sink::SinkInstance;

use super::bench::Bench;
use super::report::Finding;
use crate::kit::workbench::KitError;

const KEPT: &str = "nothing is kept back";
const TWO: &str = "two instances at a time";
const CLOSE: &str = "close";

pub(super) async fn checks(bench: &mut Bench<'_>) -> Result<Vec<Finding>, KitError> {
    Ok(vec![
        kept_back(bench).await?,
        two_instances(bench).await?,
        close(bench).await?,
    ])
}

/// Looks for the records of a write when it returns, and again when another
/// write and `close` are over.
async fn kept_back(bench: &mut Bench<'_>) -> Result<Finding, KitError> {
    let mut instance = match bench.open().await? {
        Ok(instance) => instance,
        Err(error) => return Ok(Finding::failed(KEPT, format!("open: {error}"))),
    };
    let mut batches = Vec::new();
    // Of several sizes: a sink may write only what fills its buffer.
    for size in [1, 7, 300, 1] {
        let batch = bench.samples.ordinary(size);
        let refusals = match bench.write(&mut instance, &batch).await.result {
            Ok(refusals) => refusals,
            Err(error) => return Ok(Finding::failed(KEPT, error.to_string())),
        };
        let (seen, _) = bench.seen(&batch, &refusals)?;
        batches.push((batch, refusals, seen));
    }
    // How it ends is another check's concern.
    drop(instance.close().await);
    let (mut late, mut at_once, mut never) = (0, 0, 0);
    for (batch, refusals, before) in batches {
        let (seen, unseen) = bench.seen(&batch, &refusals)?;
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
async fn two_instances(bench: &mut Bench<'_>) -> Result<Finding, KitError> {
    let (first, second) = (bench.open().await?, bench.open().await?);
    let (mut first, mut second) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (_, Err(error)) => {
            let detail = format!(
                "the second one does not open: {error}; during a swap two run, so take nothing \
                 exclusively"
            );
            return Ok(Finding::failed(TWO, detail));
        }
        (Err(error), _) => return Ok(Finding::failed(TWO, format!("open: {error}"))),
    };
    for is_second in [false, true, false] {
        let instance = if is_second { &mut second } else { &mut first };
        let batch = bench.samples.ordinary(3);
        if let Err(error) = bench.write(instance, &batch).await.result {
            return Ok(Finding::failed(TWO, error.to_string()));
        }
    }
    Ok(Finding::passed(TWO, "both write"))
}

async fn close(bench: &mut Bench<'_>) -> Result<Finding, KitError> {
    let instance = match bench.open().await? {
        Ok(instance) => instance,
        Err(error) => return Ok(Finding::failed(CLOSE, format!("open: {error}"))),
    };
    Ok(match instance.close().await {
        Ok(()) => Finding::passed(CLOSE, "also without a write"),
        Err(error) => Finding::failed(CLOSE, error.to_string()),
    })
}
