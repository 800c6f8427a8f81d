//! How fast a sink is.

use std::time::Duration;

use sluice_types::records::Records;

use super::bench::Bench;
use super::report::Speed;
use crate::kit::stdout;
use crate::kit::workbench::KitError;

/// The most records of a node's batch.
const BATCH: usize = 1024;

/// Writes `count` records of each kind, in batches as large as a node's. What
/// the sink prints is thrown away, and its requests are only counted.
pub(super) async fn measure(bench: &mut Bench<'_>, count: usize) -> Result<Vec<Speed>, KitError> {
    bench.destination.keep_nothing();
    let plain = bench.samples.plain(BATCH.min(count));
    let ordinary = bench.samples.ordinary(BATCH.min(count));
    let mut speeds = Vec::new();
    for (name, batch) in [
        ("texts of 100 bytes", plain),
        ("with three attributes", ordinary),
    ] {
        speeds.extend(one(bench, name, &batch, count).await?);
    }
    Ok(speeds)
}

/// Offers the same batch again and again; `None` if the sink does not take it.
async fn one(
    bench: &mut Bench<'_>,
    name: &'static str,
    batch: &Records,
    count: usize,
) -> Result<Option<Speed>, KitError> {
    let stdout = stdout::discarding().map_err(KitError::Stdout)?;
    let prepared = bench.sink.sink(&bench.config, &stdout)?;
    let mut instance = match prepared.open_instance().await {
        Ok(instance) => instance,
        Err(_) => return Ok(None),
    };
    let (mut written, mut took) = (0, Duration::ZERO);
    while written < count && !batch.is_empty() {
        let write = bench.write(&mut instance, batch).await;
        if write.result.is_err() {
            return Ok(None);
        }
        written += batch.len();
        took += write.took;
    }
    stdout.close();
    Ok(Some(Speed::new(name, written, took)))
}
