//! The body of an answer that counts in the memory budget until it is sent.

use axum::body::Body;
use bytes::Bytes;

use sluice_protocols::memory_budget::{Reservation, UNCHARGED_BYTES};

/// A body that carries its reservation. The connection holds the bytes until it
/// has written them, and then gives the reservation back with them.
pub(super) fn charged(bytes: impl Into<Bytes>, mut reservation: Reservation) -> Body {
    let bytes = bytes.into();
    if bytes.len() <= UNCHARGED_BYTES {
        return Body::from(bytes);
    }
    reservation.force(bytes.len());
    Body::from(Bytes::from_owner(Charged {
        bytes,
        _reservation: reservation,
    }))
}

struct Charged {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use sluice_protocols::memory_budget::{Exhausted, MemoryBudget};

    #[tokio::test]
    async fn an_answer_is_charged_until_its_last_byte_is_gone() {
        let budget = MemoryBudget::new(10_000);
        let body = charged(vec![b'x'; 9_000], budget.reserve());
        let sent = body.collect().await.unwrap().to_bytes();
        let part = sent.slice(8_999..);
        drop(sent);
        assert_eq!(budget.reserve().spend(9_000), Err(Exhausted::Now));
        drop(part);
        assert_eq!(budget.reserve().spend(9_000), Ok(()));
    }

    #[test]
    fn a_short_answer_costs_nothing() {
        let budget = MemoryBudget::new(10);
        let _body = charged(vec![b'x'; UNCHARGED_BYTES], budget.reserve());
        assert_eq!(budget.reserve().spend(10), Ok(()));
    }
}
