//! Waits for the outcome of records, also when their client has gone.

use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, timeout_at};

use crate::once::Delivery;
use sluice_delivery::{Outcome, Producer, Receipt};
use sluice_protocols::repeats;
use sluice_types::rejection::Rejection;

/// The wait for an outcome. Dropped before its end, it withdraws what was not
/// offered to the sink; if anything was, `late` says whom the outcome is for.
pub(super) struct Awaited<F: FnOnce() -> Option<Delivery>> {
    receipt: Option<Receipt>,
    /// `None`: until it is known, also after the deadline.
    end: Option<Instant>,
    late: Option<F>,
}

impl<F: FnOnce() -> Option<Delivery>> Awaited<F> {
    pub(super) const fn new(receipt: Receipt, end: Option<Instant>, late: F) -> Self {
        Self {
            receipt: Some(receipt),
            end,
            late: Some(late),
        }
    }

    /// Waits until the deadline is over at most.
    pub(super) async fn outcome(mut self, deadline: Pin<&mut Sleep>) -> Outcome {
        let is_over = async {
            deadline.await;
            None
        };
        let waiting = async {
            match &mut self.receipt {
                Some(receipt) => Some(receipt.await),
                None => None,
            }
        };
        let outcome = tokio::select! {
            biased;
            outcome = waiting => outcome,
            outcome = is_over => outcome,
        };
        if outcome.is_none() && self.end.is_none() {
            return self.leave();
        }
        let receipt = self.receipt.take();
        outcome.unwrap_or_else(|| receipt.map_or_else(unwaited, Receipt::give_up))
    }

    /// Stops waiting, and has an outcome that comes later remembered.
    fn leave(&mut self) -> Outcome {
        let Some(mut receipt) = self.receipt.take() else {
            return unwaited();
        };
        let outcome = receipt.leave();
        if matches!(outcome, Outcome::Unknown(_)) {
            self.remember(receipt);
        }
        outcome
    }

    fn remember(&mut self, receipt: Receipt) {
        let (Some(late), Ok(runtime)) = (self.late.take(), Handle::try_current()) else {
            return;
        };
        let (Some(delivery), end) = (late(), self.end) else {
            return;
        };
        // Its retry is not told what the sink refuses either, and that is kept.
        receipt.tell_nobody();
        runtime.spawn(async move {
            let outcome = match end {
                Some(end) => timeout_at(end, receipt).await.ok(),
                None => Some(receipt.await),
            };
            delivery.settle(kind(&outcome.unwrap_or_else(unwaited)));
        });
    }
}

impl<F: FnOnce() -> Option<Delivery>> Drop for Awaited<F> {
    fn drop(&mut self) {
        self.leave();
    }
}

fn unwaited() -> Outcome {
    Outcome::Unknown("nobody waits for it".to_owned())
}

/// What is remembered of an outcome that nobody was told.
fn kind(outcome: &Outcome) -> repeats::Outcome {
    match outcome {
        Outcome::Acknowledged { rejected, .. } => settled(rejected, Producer::CannotBeTold),
        Outcome::NotDelivered(_) => repeats::Outcome::NotTaken,
        Outcome::Unknown(_) => repeats::Outcome::Unknown,
    }
}

/// What is remembered of records that are settled.
pub(super) fn settled(rejected: &[Rejection], producer: Producer) -> repeats::Outcome {
    let is_told = producer == Producer::IsTold;
    match rejected
        .iter()
        .any(|rejection| is_told || !rejection.is_kept)
    {
        true => repeats::Outcome::Refused,
        false => repeats::Outcome::Acknowledged,
    }
}
