//! Bytes that arrive in pieces, charged as they gather.

use bytes::{Bytes, BytesMut};

use sluice_protocols::memory_budget::{Exhausted, Reservation, UNCHARGED_BYTES};

/// Pieces of up to this many bytes are copied. A piece is a part of the
/// connection's read buffer, and would keep all of it.
pub(super) const COPIED_BYTES: usize = BLOCK_BYTES / 2;
/// The size of the blocks that small pieces are copied to: that of the
/// connection's read buffer, which a larger piece keeps.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// Pieces of one body or answer.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Bytes>,
    /// Where small pieces are copied to, behind `pieces`.
    block: BytesMut,
    length: usize,
}

impl Pieces {
    /// The bytes of all pieces.
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Adds a piece at the end.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn push(
        &mut self,
        piece: Bytes,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        self.length += piece.len();
        if piece.len() > COPIED_BYTES {
            reservation.spend(piece.len().max(BLOCK_BYTES))?;
            self.end_block();
            self.pieces.push(piece);
            return Ok(());
        }
        if piece.len() > self.block.capacity() - self.block.len() {
            self.end_block();
            let is_free = self.length <= UNCHARGED_BYTES;
            let bytes = if is_free {
                UNCHARGED_BYTES
            } else {
                BLOCK_BYTES
            };
            if !is_free {
                reservation.spend(bytes)?;
            }
            self.block = BytesMut::with_capacity(bytes);
        }
        self.block.extend_from_slice(&piece);
        Ok(())
    }

    fn end_block(&mut self) {
        if !self.block.is_empty() {
            self.pieces.push(std::mem::take(&mut self.block).freeze());
        }
    }

    /// All of it in one piece, for which the reservation is reduced to what it
    /// takes. The joining itself is not charged: each thread joins one at a time.
    pub(super) fn join(mut self, reservation: &mut Reservation) -> Bytes {
        self.end_block();
        let whole = match self.pieces.as_mut_slice() {
            [] => Bytes::new(),
            [whole] if whole.len() > COPIED_BYTES => std::mem::take(whole),
            pieces => {
                let mut whole = BytesMut::with_capacity(self.length);
                for piece in pieces {
                    whole.extend_from_slice(&std::mem::take(piece));
                }
                whole.freeze()
            }
        };
        reservation.reduce(whole.len().max(BLOCK_BYTES));
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocols::memory_budget::MemoryBudget;

    #[test]
    fn pieces_of_any_size_are_joined_in_order() {
        let budget = MemoryBudget::new(1 << 20);
        let sizes = [
            1,
            4095,
            1,
            5000,
            COPIED_BYTES,
            COPIED_BYTES + 1,
            0,
            3,
            70_000,
        ];
        for count in 0..=sizes.len() {
            let (mut pieces, mut reservation) = (Pieces::default(), budget.reserve());
            let mut expected = Vec::new();
            for (size, byte) in sizes.into_iter().zip(0..).take(count) {
                expected.extend(vec![byte; size]);
                let piece = Bytes::from(vec![byte; size]);
                pieces.push(piece, &mut reservation).unwrap();
            }
            assert_eq!(pieces.len(), expected.len());
            assert_eq!(pieces.join(&mut reservation), expected);
        }
    }

    #[test]
    fn what_is_kept_is_charged() {
        let budget = MemoryBudget::new(3 * BLOCK_BYTES);
        let (mut pieces, mut reservation) = (Pieces::default(), budget.reserve());
        let byte = Bytes::from_static(b"x");
        for _ in 0..UNCHARGED_BYTES {
            pieces.push(byte.clone(), &mut reservation).unwrap();
        }
        assert_eq!(reservation.spent(), 0);
        pieces.push(byte.clone(), &mut reservation).unwrap();
        assert_eq!(reservation.spent(), BLOCK_BYTES);
        // It may keep a whole read buffer.
        let large = Bytes::from(vec![b'x'; COPIED_BYTES + 1]);
        pieces.push(large.clone(), &mut reservation).unwrap();
        assert_eq!(reservation.spent(), 2 * BLOCK_BYTES);
        pieces.push(byte, &mut reservation).unwrap();
        assert!(pieces.push(large, &mut reservation).is_err());
    }
}
