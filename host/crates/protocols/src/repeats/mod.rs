//! Recognises what a client sends again, so that it is not delivered twice, and
//! never takes one message for another.
//!
//! There are two ways to recognise it, with the same rules for what follows:
//!
//! - By an id of the client's own, with the same content, from the same client over
//!   the same protocol: for [`Limits::window`], and any number of times.
//!   Docker sends acknowledged messages hundreds of times.
//! - By the bytes of the body, because the retries of clients without ids are
//!   identical. But so are two equal messages. Therefore a body can be matched only
//!   if its answer may not have reached the client: its outcome is unknown, or the
//!   connection broke. Then it is matched once, within [`WINDOW`].
//!
//! | what is known of it | what follows |
//! |---|---|
//! | it is under way | the repeat waits for the same outcome |
//! | it was acknowledged | the repeat is acknowledged, and not delivered |
//! | it was refused | it is delivered as if new: another sink may take it |
//! | its outcome is unknown | it is delivered again under the same ticket |
//!
//! A node has one [`Repeats`] for all streams; each stream is a scope of its own. It knows nothing of waiting. A caller
//! that gets [`Begun::Join`] waits for the ticket's outcome by other means, and must
//! subscribe to it under the same lock as it called [`Repeats::begin`]. A caller that
//! gets [`Begun::Deliver`] must settle the ticket, whatever happens: until then,
//! every repeat joins it.
//!
//! All clients of a node share the memory. One that sends many ids makes those of
//! others be forgotten sooner; their repeats are delivered twice then, and none is
//! lost.

use std::time::{Duration, Instant};

pub use bodies::WINDOW;
use bodies::{BODY_BYTES, Bodies};
use identity::Kind;
pub use identity::{Identity, Names};
use ids::{ID_BYTES, Ids};
use standing::Found;
pub use standing::{Earlier, Outcome, Standing};

mod bodies;
mod identity;
mod ids;
#[cfg(test)]
mod model;
mod siphash;
mod standing;
#[cfg(test)]
mod tests;

/// How much is remembered of ids, and as much again of bodies.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most ids, those under way among them. With 0, nothing is recognised.
    pub count: usize,
    /// The most bytes. An id counts 192, a body 256, which is what they take at most.
    pub bytes: usize,
    /// How long an id is remembered after it was settled, if there is room for it.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            count: 100_000,
            bytes: 32 << 20,
            window: Duration::from_secs(120),
        }
    }
}

/// What was sent, and what became of it.
#[derive(Debug)]
pub struct Repeats {
    ids: Ids,
    bodies: Bodies,
    tickets: u64,
}

/// Stands for one delivery and for everybody who waits for its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    identity: Identity,
    number: u64,
}

/// What to do with something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Begun {
    /// Deliver it, and settle the ticket.
    Deliver {
        /// New, or the same as before if an outcome is unknown.
        ticket: Ticket,
        /// What became of an attempt before, if any is known.
        earlier: Option<Earlier>,
    },
    /// The same is under way: wait for its outcome.
    Join(Ticket),
    /// The same was acknowledged: answer so, and deliver nothing.
    Acknowledged(Ticket),
}

impl Ticket {
    /// What was sent under an id of its client, as [`Identity::to_bytes`] has it.
    #[must_use]
    pub fn id(&self) -> Option<[u8; 16]> {
        (self.identity.kind == Kind::Id).then(|| self.identity.to_bytes())
    }

    /// A number that no other ticket of these [`Repeats`] has.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Repeats {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let capacity = |each: usize| limits.count.min(limits.bytes / each);
        Self {
            ids: Ids::new(capacity(ID_BYTES), limits.window),
            bodies: Bodies::new(capacity(BODY_BYTES)),
            tickets: 0,
        }
    }

    /// Says what to do with something that was sent.
    pub fn begin(&mut self, identity: Identity, now: Instant) -> Begun {
        let Identity { hash, kind } = identity;
        let new = self.next_ticket();
        let found = match kind {
            Kind::Id => self.ids.begin(hash, new, now),
            Kind::Body => self.bodies.begin(hash, new, now),
        };
        let ticket = |number| Ticket { identity, number };
        match found {
            Found::Nothing(number, earlier) => Begun::Deliver {
                ticket: ticket(number),
                earlier,
            },
            Found::UnderWay(number) => Begun::Join(ticket(number)),
            Found::Acknowledged(number) => Begun::Acknowledged(ticket(number)),
        }
    }

    /// Says how a delivery ended. An unknown outcome may be followed by a known one;
    /// what was acknowledged stays so.
    pub fn settle(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) {
        let Identity { hash, kind } = ticket.identity;
        match kind {
            Kind::Id => self.ids.settle(hash, ticket.number, outcome, now),
            Kind::Body => self.bodies.settle(hash, ticket.number, outcome, now),
        }
    }

    /// Says that the answer for a ticket may not have reached the client, of
    /// whichever [`Begun`] it is. So its body can be matched once. After a refusal
    /// or a busy answer, there is nothing to remember. Ids need no such notice.
    pub fn lose_answer(&mut self, ticket: Ticket, standing: Standing, now: Instant) {
        let Identity { hash, kind } = ticket.identity;
        if kind == Kind::Body {
            self.bodies.lose(hash, ticket.number, standing, now);
        }
    }

    /// Whether any body is remembered.
    #[must_use]
    pub fn has_bodies(&self) -> bool {
        self.bodies.len() > 0
    }

    /// Remembers an id that was acknowledged or stored at this moment, before a restart
    /// or by another node, from [`Identity::to_bytes`]. What is not known of it here, or
    /// not for sure, is known from then on.
    pub fn restore(&mut self, id: [u8; 16], at: Instant) {
        let number = self.next_ticket();
        self.ids.restore(Identity::of_id(id).hash, number, at);
    }

    const fn next_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}
