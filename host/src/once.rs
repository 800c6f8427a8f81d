//! Delivers once what clients send again.
//!
//! What is recognised, and when, is said in [`sluice_protocols::repeats`]. This adds
//! the waiting: a repeat of what is under way waits for its outcome, and an outcome
//! that comes after its client has gone is remembered. With a replicated journal, what
//! earlier leaders took is known too.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use sluice_delivery::{Recalled, RequestId};
use sluice_protocols::repeats::{
    Begun, Identity, Limits, Names, Outcome, Repeats, Standing, Ticket,
};
use sluice_types::stream::DEFAULT_STREAM;

/// What was sent to the streams lately.
pub(crate) struct Once {
    names: Names,
    is_on: bool,
    /// Whether a body may be remembered. Otherwise none needs to be looked at.
    has_bodies: AtomicBool,
    state: Mutex<State>,
}

/// How much is remembered of ids, and of bodies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    /// How many ids, and as many bodies; 0 for none.
    pub(crate) count: usize,
    /// How long an id is remembered.
    pub(crate) window: Duration,
}

struct State {
    repeats: Repeats,
    /// The outcomes of tickets that are under way.
    under_way: HashMap<u64, watch::Receiver<Option<Outcome>>>,
}

/// What to do with something that was sent.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Deliver it, and settle this.
    Deliver(Delivery),
    /// It is under way. Wait for its outcome.
    Join(Joined),
    /// It was acknowledged.
    Acknowledged,
}

/// What is equal in two streams is no repeat.
fn scope<'a>(stream: &str, path: &'a str) -> Cow<'a, str> {
    match stream {
        DEFAULT_STREAM => path.into(),
        named => format!("{named} {path}").into(),
    }
}

/// The duty to say how a delivery ended. Dropped without that, it ended nobody knows
/// how.
#[derive(Debug)]
pub(crate) struct Delivery {
    once: Arc<Once>,
    ticket: Ticket,
    outcome: watch::Sender<Option<Outcome>>,
    is_settled: bool,
}

/// A delivery of somebody else.
#[derive(Debug)]
pub(crate) struct Joined(watch::Receiver<Option<Outcome>>);

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl Once {
    /// Remembers so much.
    pub(crate) fn new(Remembered { count, window }: Remembered) -> Arc<Self> {
        let limits = Limits {
            count,
            window,
            ..Limits::default()
        };
        let state = State {
            repeats: Repeats::new(limits),
            under_way: HashMap::new(),
        };
        Arc::new(Self {
            names: Names::new(rand::random()),
            is_on: count > 0,
            has_bodies: AtomicBool::new(false),
            state: Mutex::new(state),
        })
    }

    /// Begins what a client sends under an id of its own; `None` if nothing is
    /// remembered. With what was recalled, the id is the same on every node, and known if
    /// an earlier leader took it.
    pub(crate) fn begin_id(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        (stream, protocol): (&str, &str),
        (id, content): (&[u8], &[u8]),
        recalled: Option<&Recalled>,
    ) -> Option<Turn> {
        let client = client.filter(|_| self.is_on && !id.is_empty())?.to_string();
        let names = recalled.map(|recalled| Names::new(recalled.key()));
        let names = names.as_ref().unwrap_or(&self.names);
        let identity = names.id(&client, &scope(stream, protocol), id, 0, content);
        if let Some(recalled) = recalled {
            self.restore(recalled);
        }
        Some(self.begin(identity))
    }

    /// Begins a body without an id, if the same may have been sent before.
    pub(crate) fn begin_body(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        (stream, path): (&str, &str),
        body: &[u8],
    ) -> Option<Turn> {
        if !self.has_bodies.load(Ordering::Relaxed) {
            return None;
        }
        let identity = self
            .names
            .body(&client?.to_string(), &scope(stream, path), body);
        Some(self.begin(identity))
    }

    /// Remembers a body that is under way and whose client has gone.
    pub(crate) fn lose_body(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        (stream, path): (&str, &str),
        body: &[u8],
    ) -> Option<Delivery> {
        let client = client.filter(|_| self.is_on)?.to_string();
        let identity = self.names.body(&client, &scope(stream, path), body);
        let Turn::Deliver(delivery) = self.begin(identity) else {
            return None;
        };
        delivery.lose();
        Some(delivery)
    }

    /// Everyone who asks after this has returned knows all of it.
    fn restore(&self, recalled: &Recalled) {
        let mut state = self.lock();
        for (id, at) in recalled.take() {
            state.repeats.restore(id, at);
        }
    }

    fn begin(self: &Arc<Self>, identity: Identity) -> Turn {
        let mut state = self.lock();
        let begun = state.repeats.begin(identity, Instant::now());
        self.note_bodies(&state);
        match begun {
            Begun::Acknowledged(_) => Turn::Acknowledged,
            Begun::Deliver { ticket, .. } => Turn::Deliver(self.deliver(&mut state, ticket)),
            Begun::Join(ticket) => match state.under_way.get(&ticket.number()) {
                Some(outcome) => Turn::Join(Joined(outcome.clone())),
                None => Turn::Deliver(self.deliver(&mut state, ticket)),
            },
        }
    }

    fn deliver(self: &Arc<Self>, state: &mut State, ticket: Ticket) -> Delivery {
        let (outcome, receiver) = watch::channel(None);
        state.under_way.insert(ticket.number(), receiver);
        Delivery {
            once: Arc::clone(self),
            ticket,
            outcome,
            is_settled: false,
        }
    }

    fn note_bodies(&self, state: &State) {
        let has_bodies = state.repeats.has_bodies();
        self.has_bodies.store(has_bodies, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    /// What the journal keeps of it, if its client gave it an id.
    pub(crate) fn id(&self) -> Option<RequestId> {
        self.ticket.id()
    }

    /// Says that the client has gone, so that the next one with this body is taken for
    /// its retry.
    pub(crate) fn lose(&self) {
        let mut state = self.once.lock();
        let (ticket, now) = (self.ticket, Instant::now());
        state.repeats.lose_answer(ticket, Standing::UnderWay, now);
        self.once.note_bodies(&state);
    }

    /// Says how it ended, to everybody who waits too.
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        self.is_settled = true;
        let mut state = self.once.lock();
        let now = Instant::now();
        state.repeats.settle(self.ticket, outcome, now);
        state.under_way.remove(&self.ticket.number());
        self.once.note_bodies(&state);
        drop(state);
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_settled {
            self.end(Outcome::Unknown);
        }
    }
}

impl Joined {
    /// Waits for the outcome.
    pub(crate) async fn outcome(mut self) -> Outcome {
        let settled = self.0.wait_for(Option::is_some).await;
        let outcome = settled.ok().and_then(|outcome| *outcome);
        outcome.unwrap_or(Outcome::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const FORWARD: (&str, &str) = (DEFAULT_STREAM, "forward");

    fn remembering(count: usize) -> Arc<Once> {
        let window = Duration::from_secs(60);
        Once::new(Remembered { count, window })
    }

    fn by_id(once: &Arc<Once>, id: &[u8]) -> Turn {
        once.begin_id(CLIENT, FORWARD, (id, b"content"), None)
            .unwrap()
    }

    fn delivery(turn: Turn) -> Delivery {
        match turn {
            Turn::Deliver(delivery) => delivery,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_repeat_waits_for_what_is_under_way_and_then_is_answered_from_memory() {
        let once = remembering(10);
        let first = delivery(by_id(&once, b"1"));
        let Turn::Join(joined) = by_id(&once, b"1") else {
            panic!("it is under way");
        };
        first.settle(Outcome::Acknowledged);
        assert_eq!(joined.outcome().await, Outcome::Acknowledged);
        assert!(matches!(by_id(&once, b"1"), Turn::Acknowledged));
        assert!(matches!(by_id(&once, b"2"), Turn::Deliver(_)));
        let other = once.begin_id(CLIENT, FORWARD, (b"1", b"other content"), None);
        assert!(matches!(other, Some(Turn::Deliver(_))));
        let elsewhere = once.begin_id(CLIENT, ("audit", "forward"), (b"1", b"content"), None);
        assert!(matches!(elsewhere, Some(Turn::Deliver(_))));
    }

    #[tokio::test]
    async fn what_was_refused_or_is_unknown_is_delivered_again() {
        let once = remembering(10);
        delivery(by_id(&once, b"1")).settle(Outcome::Refused);
        let second = delivery(by_id(&once, b"1"));
        let Turn::Join(joined) = by_id(&once, b"1") else {
            panic!("it is under way");
        };
        drop(second);
        assert_eq!(joined.outcome().await, Outcome::Unknown);
        assert!(matches!(by_id(&once, b"1"), Turn::Deliver(_)));
    }

    #[tokio::test]
    async fn a_body_is_remembered_only_if_its_client_has_gone_and_matched_once() {
        let once = remembering(10);
        let begin =
            |once: &Arc<Once>| once.begin_body(CLIENT, (DEFAULT_STREAM, "/v1/logs"), b"body");
        assert!(begin(&once).is_none(), "no body is remembered");
        let lost = once
            .lose_body(CLIENT, (DEFAULT_STREAM, "/v1/logs"), b"body")
            .unwrap();
        let Some(Turn::Join(joined)) = begin(&once) else {
            panic!("it is under way");
        };
        lost.settle(Outcome::Acknowledged);
        assert_eq!(joined.outcome().await, Outcome::Acknowledged);
        // Another message, which happens to be equal.
        let next = begin(&once);
        assert!(
            next.is_none() || matches!(next, Some(Turn::Deliver(_))),
            "{next:?}"
        );
    }

    #[test]
    fn nothing_is_remembered_without_ids_or_without_room() {
        let once = remembering(0);
        assert!(once.begin_id(CLIENT, FORWARD, (b"1", b""), None).is_none());
        assert!(once.lose_body(CLIENT, FORWARD, b"").is_none());
        let once = remembering(10);
        assert!(once.begin_id(CLIENT, FORWARD, (b"", b""), None).is_none());
        assert!(once.begin_id(None, FORWARD, (b"1", b""), None).is_none());
    }
}
