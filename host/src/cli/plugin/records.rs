//! Records that are read on this machine.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sluice_protocols::decoded::Decoded;
use sluice_protocols::error::DecodeError;
use sluice_protocols::memory_budget::MemoryBudget;
use sluice_protocols::meter::{Client, Meter};
use sluice_protocols::native::decode;

/// The most bytes of records that are read at once.
pub(super) const BYTES_MAX: usize = 256 << 20;
/// The most records that are read at once.
const COUNT_MAX: usize = 1_000_000;
/// The most memory for them: each has its structures as well, in bytes.
const MEMORY: usize = 4 * BYTES_MAX;

/// Now, in nanoseconds since the Unix epoch.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Decodes NDJSON as `/api/v1/logs` does.
///
/// # Errors
/// There are too many records.
pub(super) fn ndjson(body: &Bytes) -> Result<Decoded, DecodeError> {
    let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
    let decode = |meter: &mut Meter| Ok(decode::ndjson(body, now(), COUNT_MAX, meter));
    meter.measure(decode).map(|(decoded, _)| decoded)
}
