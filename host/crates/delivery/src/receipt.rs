//! A request's claim to its outcome.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::completion::Waiter;
use crate::outcome::Outcome;

/// What a request can be withdrawn from, for as long as it waits there.
pub(crate) trait Withdraw: Send + Sync {
    /// Removes the request's records; true if none of them was taken yet.
    fn withdraw(&self, ticket: u64) -> bool;

    /// What a request is told whose deadline has passed.
    fn late(&self) -> Late {
        Late {
            not_taken: "the sink did not get to it in time",
            unknown: "the sink did not confirm it in time",
        }
    }
}

/// What a request is told whose deadline has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    /// None of it was taken.
    pub(crate) not_taken: &'static str,
    /// It was taken, and not confirmed.
    pub(crate) unknown: &'static str,
}

/// A request's claim to an outcome: a future. Dropping it withdraws the records
/// that were not offered to the sink yet.
pub struct Receipt {
    waiter: Waiter,
    ticket: u64,
    queue: Option<Arc<dyn Withdraw>>,
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

impl Receipt {
    /// For a request that waits in `queue` under this ticket.
    pub(crate) fn new(waiter: Waiter, ticket: u64, queue: Arc<dyn Withdraw>) -> Self {
        Self {
            waiter,
            ticket,
            queue: Some(queue),
        }
    }

    /// For a request that cannot be withdrawn: it is written to the journal.
    pub(crate) const fn not_withdrawable(waiter: Waiter) -> Self {
        Self {
            waiter,
            ticket: 0,
            queue: None,
        }
    }

    /// Stops waiting because the producer's deadline has passed.
    #[must_use]
    pub fn give_up(mut self) -> Outcome {
        self.waiter.abandon();
        match self.leave() {
            Outcome::Unknown(late) => Outcome::Unknown(match self.waiter.take_last_error() {
                Some(error) => format!("{late} ({error})"),
                None => late,
            }),
            outcome => outcome,
        }
    }

    /// Stops waiting like [`Self::give_up`], but an unknown outcome can still be waited for.
    pub fn leave(&mut self) -> Outcome {
        let late = self.queue.as_ref().map(|queue| queue.late());
        if self.withdraw_untouched() {
            let not_taken = late.map_or("it was withdrawn", |late| late.not_taken);
            return Outcome::NotDelivered(not_taken);
        }
        let unwaited = "this node did not acknowledge it in time";
        Outcome::Unknown(late.map_or(unwaited, |late| late.unknown).to_owned())
    }

    /// Withdraws the records that were not offered to the sink yet, and says whether
    /// these are all. Otherwise the outcome can still be waited for.
    fn withdraw_untouched(&mut self) -> bool {
        let queue = self.queue.take();
        queue.is_some_and(|queue| queue.withdraw(self.ticket))
    }

    /// Says that the producer has gone. The outcome can still be waited for, and what
    /// the sink refuses from now on is kept as a dead letter.
    pub fn tell_nobody(&self) {
        self.waiter.tell_nobody();
    }

    fn withdraw(&mut self) -> bool {
        self.waiter.abandon();
        self.withdraw_untouched()
    }
}

impl Future for Receipt {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let polled = self.waiter.poll(cx);
        if polled.is_ready() {
            self.queue = None;
        }
        polled
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.withdraw();
    }
}
