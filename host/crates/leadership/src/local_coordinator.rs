//! A coordinator in this process, for tests under paused time: the store of the
//! embedded coordinator, with outages and answers that are out of date.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::publication::Publication;
use super::session_kind::SessionKind;
use sluice_coordinator::store::{
    Behavior, CheckStatus, Draft, NewCheck, NewService, NewSession, Operation, Put, ServiceCheck,
    Store, Verb,
};
use sluice_types::documents::{ActiveDocument, NodeDocument};

pub(crate) const SESSION_TTL: Duration = Duration::from_secs(10);
const SERVICE: &str = "c-a";
const CHECK: &str = "service:c-a";
const NODE_KEY: &str = "c/nodes/a";
const LEADER_KEY: &str = "c/leader";
const ACTIVE_KEY: &str = "c/active";

/// The coordinator of the node `a` in the cluster `c`.
#[derive(Debug)]
pub(crate) struct LocalCoordinator(Mutex<State>);

#[derive(Debug)]
struct State {
    store: Store,
    start: Instant,
    is_answering: bool,
    /// Whether renewals are answered as if no session existed.
    denies_sessions: bool,
    expires: BTreeMap<String, Instant>,
    opened: u64,
    calls: u64,
}

impl State {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn expire(&mut self) {
        let now = Instant::now();
        let over: Vec<_> = self.expires.extract_if(.., |_, at| *at <= now).collect();
        for (session, _) in over {
            self.end(&session);
        }
    }

    fn end(&mut self, session: &str) {
        self.expires.remove(session);
        self.store.destroy_session(self.now(), session).unwrap();
    }

    fn register(&mut self) {
        let check = NewCheck {
            id: CHECK.to_owned(),
            name: String::new(),
            notes: String::new(),
            status: CheckStatus::Passing,
        };
        let service = NewService {
            id: SERVICE.to_owned(),
            name: "c".to_owned(),
            ..NewService::default()
        };
        self.store.register(service, vec![check]).unwrap();
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let entry = self.store.key(key).value;
        entry.map(|entry| entry.value.to_vec())
    }
}

/// What tests see, and what they do to it.
impl LocalCoordinator {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            store: Store::new("consul"),
            start: Instant::now(),
            is_answering: true,
            denies_sessions: false,
            expires: BTreeMap::new(),
            opened: 0,
            calls: 0,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap();
        state.expire();
        state
    }

    pub(crate) fn set_answering(&self, is_answering: bool) {
        self.state().is_answering = is_answering;
    }

    pub(crate) fn deny_sessions(&self, denies_sessions: bool) {
        self.state().denies_sessions = denies_sessions;
    }

    /// The calls that were made, answered or not.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(crate) fn sessions(&self) -> Vec<String> {
        let sessions = self.state().store.sessions().value.into_iter();
        sessions.map(|session| session.id).collect()
    }

    /// Ends a session by hand.
    pub(crate) fn end_by_hand(&self, session: &str) {
        self.state().end(session);
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.state().store.service(SERVICE).is_some()
    }

    pub(crate) fn forget_registration(&self) {
        let mut state = self.state();
        let now = state.now();
        drop(state.store.deregister(now, SERVICE));
    }

    pub(crate) fn node_document(&self) -> Option<NodeDocument> {
        let value = self.state().value(NODE_KEY)?;
        Some(serde_json::from_slice(&value).unwrap())
    }

    pub(crate) fn active_document(&self) -> Option<ActiveDocument> {
        let value = self.state().value(ACTIVE_KEY)?;
        Some(serde_json::from_slice(&value).unwrap())
    }

    /// A session takes the lock.
    pub(crate) fn lock(&self, session: &str) {
        let mut state = self.state();
        let (now, put) = (state.now(), Put::Acquire(session.to_owned()));
        let taken = state.store.put(now, LEADER_KEY, Draft::default(), &put);
        assert_eq!(taken.ok(), Some(true));
    }
}

/// What a node asks.
impl LocalCoordinator {
    /// `None`: there will be no answer.
    fn call(&self) -> Option<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls += 1;
        state.is_answering.then_some(state)
    }

    pub(crate) fn open_session(&self, kind: SessionKind) -> Option<String> {
        let mut state = self.call()?;
        state.register();
        state.opened += 1;
        let id = format!("00000000-0000-0000-0000-{:012}", state.opened);
        let session = NewSession {
            id: id.clone(),
            name: "c a".to_owned(),
            lock_delay: Duration::ZERO,
            behavior: match kind {
                SessionKind::Lock => Behavior::Release,
                SessionKind::Presence => Behavior::Delete,
            },
            ttl_text: String::new(),
            ttl: None,
            node_checks: None,
            service_checks: Some(vec![ServiceCheck {
                id: CHECK.to_owned(),
                namespace: String::new(),
            }]),
            checks: None,
            create_index: 0,
        };
        state.store.create_session(session).unwrap();
        state
            .expires
            .insert(id.clone(), Instant::now() + SESSION_TTL);
        Some(id)
    }

    pub(crate) fn keep_alive(&self, session: &str) -> Option<bool> {
        let mut state = self.call()?;
        if state.denies_sessions {
            return Some(false);
        }
        let expires = state.expires.get_mut(session);
        Some(expires.is_some_and(|at| {
            *at = Instant::now() + SESSION_TTL;
            true
        }))
    }

    pub(crate) fn end_session(&self, session: &str) -> bool {
        let state = self.call();
        state.map(|mut state| state.end(session)).is_some()
    }

    pub(crate) fn keep_registered(&self) {
        if let Some(mut state) = self.call() {
            state.register();
        }
    }

    pub(crate) fn deregister(&self) {
        if let Some(mut state) = self.call() {
            let now = state.now();
            drop(state.store.deregister(now, SERVICE));
        }
    }

    pub(crate) fn publish(&self, session: &str, document: &str) -> Publication {
        let Some(mut state) = self.call() else {
            return Publication::Unknown;
        };
        let (now, put) = (state.now(), Put::Acquire(session.to_owned()));
        let draft = Draft {
            value: document.as_bytes().to_vec().into(),
            flags: 0,
        };
        match state.store.put(now, NODE_KEY, draft, &put) {
            Ok(true) => Publication::Written,
            Ok(false) => Publication::HeldByAnother,
            Err(_) => Publication::NoSuchSession,
        }
    }

    pub(crate) fn write_active(&self, session: &str, document: &[u8]) -> bool {
        let Some(mut state) = self.call() else {
            return false;
        };
        let step = |verb, key: &str| Operation {
            verb,
            key: key.to_owned(),
            draft: Draft::default(),
            index: 0,
            session: String::new(),
        };
        let mut check = step(Verb::CheckSession, LEADER_KEY);
        session.clone_into(&mut check.session);
        let mut set = step(Verb::Set, ACTIVE_KEY);
        set.draft.value = document.to_vec().into();
        let now = state.now();
        // Whether the steps were refused makes no difference to the node.
        drop(state.store.transact(now, &[check, set]));
        true
    }
}
