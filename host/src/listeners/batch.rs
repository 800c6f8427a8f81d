//! Whole messages that arrived together.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use sluice_protocols::decoded::Decoded;
use sluice_protocols::error::DecodeError;
use sluice_protocols::forward::message::Records;
use sluice_protocols::meter::Meter;

/// Makes the records of a batch. It can be called again, and makes the same
/// records then.
pub(super) type Decode = dyn Fn(&Bytes, &mut Meter) -> Result<Contents, DecodeError> + Send + Sync;

/// Whole messages at the front of what a connection has sent.
pub(super) struct Batch {
    /// How many bytes they take.
    pub(super) bytes: usize,
    /// Reads exactly these bytes.
    pub(super) decode: Arc<Decode>,
    /// Why nothing that follows can be read, if so.
    pub(super) fault: Option<String>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("bytes", &self.bytes)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// A message that its client knows by an id.
#[derive(Debug)]
pub(super) struct Named {
    /// The client's id.
    pub(super) id: Bytes,
    /// Where its bytes are in the batch.
    pub(super) bytes: Range<usize>,
    /// Which of the records are its.
    pub(super) records: Range<usize>,
}

/// A datagram that was rejected.
#[derive(Debug)]
pub(super) struct RefusedDatagram {
    pub(super) client: IpAddr,
    /// Which of the batch's rejections it is.
    pub(super) rejection: usize,
    /// How it begins, unpacked.
    pub(super) excerpt: Vec<u8>,
}

/// What is in a batch.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) records: Records,
    /// What to write once all records are settled.
    pub(super) answer: Vec<u8>,
    /// Of datagrams, some that were rejected.
    pub(super) refused: Vec<RefusedDatagram>,
    /// The messages with ids.
    pub(super) named: Vec<Named>,
    /// Whether the client waits for an answer to any of the records.
    pub(super) asks_ack: bool,
    /// Whether the connection is to be closed after the answer.
    pub(super) is_last: bool,
}

impl From<Decoded> for Contents {
    fn from(decoded: Decoded) -> Self {
        Self {
            records: Records {
                decoded,
                has_pieces: false,
            },
            ..Self::default()
        }
    }
}
