//! Actions and refusals of requests, as the audit log has them.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;

use super::client_address::ClientAddress;
use sluice_access::{Access, Event, Outcome};

/// An action that is under way. What comes of it is written to the audit log, also if it
/// is dropped before its end.
#[derive(Debug)]
pub(super) struct Action {
    access: Arc<Access>,
    event: Option<Event>,
}

impl Action {
    /// `who`, at the address `from`, does `what`.
    pub(super) fn begin(
        access: &Arc<Access>,
        who: String,
        from: Option<IpAddr>,
        what: &str,
    ) -> Self {
        Self {
            access: Arc::clone(access),
            event: Some(Event {
                who: Some(who),
                what: what.to_owned(),
                from,
                outcome: Outcome::Failed,
                detail: "abandoned; what was done until then is done".to_owned(),
            }),
        }
    }

    /// It was done: with what, or how much.
    pub(super) fn done(self, detail: String) {
        self.ended(Outcome::Done, detail);
    }

    /// It failed, for this reason.
    pub(super) fn failed(self, detail: String) {
        self.ended(Outcome::Failed, detail);
    }

    fn ended(mut self, outcome: Outcome, detail: String) {
        if let Some(event) = self.event.take() {
            self.access.audit().add(Event {
                outcome,
                detail,
                ..event
            });
        }
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.access.audit().add(event);
        }
    }
}

/// Writes to the audit log that a request is refused, and why.
pub(super) fn refused(
    access: &Access,
    who: Option<&str>,
    head: &Parts,
    what: &str,
    why: impl Into<String>,
) {
    access.audit().add(Event {
        who: who.map(str::to_owned),
        what: what.to_owned(),
        from: address(head),
        outcome: Outcome::Refused,
        detail: why.into(),
    });
}

/// Where a request comes from.
pub(super) fn address(head: &Parts) -> Option<IpAddr> {
    head.extensions.get().map(|ClientAddress(client)| *client)
}
