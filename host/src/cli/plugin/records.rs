//! Records that are read on this machine.

use bytes::Bytes;
use sluice_protocols::decoded::Decoded;
use sluice_protocols::error::DecodeError;
use sluice_protocols::memory_budget::MemoryBudget;
use sluice_protocols::meter::{Client, Meter};
use sluice_protocols::native::decode;
use sluice_types::clock::unix_nanos;

/// The most bytes of records that are read at once.
pub(super) const BYTES_MAX: usize = 256 << 20;
/// The most records that are read at once.
const COUNT_MAX: usize = 1_000_000;
/// The most memory for them: each has its structures as well, in bytes.
const MEMORY: usize = 4 * BYTES_MAX;

/// Decodes NDJSON as `/api/v1/logs` does.
///
/// # Errors
/// There are too many records.
pub(super) fn ndjson(body: &Bytes) -> Result<Decoded, DecodeError> {
    let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
    let decode = |meter: &mut Meter| Ok(decode::ndjson(body, unix_nanos(), COUNT_MAX, meter));
    meter.measure(decode).map(|(decoded, _)| decoded)
}
