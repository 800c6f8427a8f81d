//! Numbers of records: the message's sequence and the index in it, as one number.

/// A message has fewer records than this.
const RECORDS_MAX_BITS: u32 = 16;

/// The number of the message's first record.
pub(crate) const fn first_entry(sequence: u64) -> u64 {
    sequence << RECORDS_MAX_BITS
}

/// The message of the record with this number.
pub(crate) const fn sequence_of(entry: u64) -> u64 {
    entry >> RECORDS_MAX_BITS
}
