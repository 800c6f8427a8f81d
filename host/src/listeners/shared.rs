//! What all connections of a listener have.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::log::Seldom;
use super::outlet::Outlet;
use super::parcel::Whose;
use super::protocol::Protocol;
use crate::http::ingest::Sending;
use crate::rejects::Rejects;
use crate::tls::ClientNames;
use sluice_access::{Event, Outcome, Refusal, Scope, Shown};
use sluice_delivery::metrics::{IngestMetrics, ListenerMetrics, RecordsOutcome};

/// What all connections of a listener have.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) protocol: Protocol,
    pub(super) outlet: Arc<Outlet>,
    pub(super) metrics: ListenerMetrics,
    pub(super) problems: Seldom,
}

impl Shared {
    /// The client of a connection over TLS, by the names in its certificate; `None` if
    /// clients show none here.
    ///
    /// # Errors
    /// It may not send records, which is in the audit log.
    pub(super) fn client_of(
        &self,
        names: &ClientNames,
        from: Option<IpAddr>,
    ) -> Result<Sending, Refusal> {
        let access = self.outlet.access();
        if !access.knows_certificates() {
            return Ok(None);
        }
        let shown = Shown {
            tokens: None,
            names: &names.0,
        };
        let client = access.client(&shown, Scope::Send, self.outlet.stream_name());
        let refused = |refusal: &Refusal| self.audit(refusal.client(), from, refusal.to_string());
        client.map(Some).inspect_err(refused)
    }

    /// The client as it is known now.
    ///
    /// # Errors
    /// It may not send records any more, which is in the audit log.
    pub(super) fn renewed(
        &self,
        client: &Sending,
        from: Option<IpAddr>,
    ) -> Result<Sending, Refusal> {
        let Some(client) = client else {
            return Ok(None);
        };
        let stream = self.outlet.stream_name();
        let renewed = self.outlet.access().renewed(client, Scope::Send, stream);
        let refused = |refusal: &Refusal| self.audit(refusal.client(), from, refusal.to_string());
        renewed.map(Some).inspect_err(refused)
    }

    /// Writes to the audit log that a client may not send.
    pub(super) fn audit(&self, client: Option<&str>, from: Option<IpAddr>, why: String) {
        self.outlet.access().audit().add(Event {
            who: client.map(str::to_owned),
            what: format!("send {}", self.protocol.name()),
            from,
            outcome: Outcome::Refused,
            detail: why,
        });
    }

    /// What the records of a client are counted as.
    pub(super) const fn whose<'a>(&'a self, client: &'a Sending) -> Whose<'a> {
        Whose {
            client,
            protocol: self.protocol,
            listener: &self.metrics,
        }
    }

    /// Counts records of the stream, if it is there.
    pub(super) fn count(&self, outcome: RecordsOutcome, records: usize) {
        self.metered(|metrics| metrics.count(outcome, records));
    }

    /// Counts an acknowledgement of the stream, if it is there.
    pub(super) fn acknowledged(&self, took: Duration) {
        self.metered(|metrics| metrics.acknowledged(took, None));
    }

    fn metered(&self, count: impl FnOnce(&IngestMetrics)) {
        if let Some(stream) = self.outlet.stream() {
            count(stream.meters.listener(self.protocol.name()));
        }
    }

    /// Keeps what could not be decoded with its stream, if that is there.
    pub(super) fn reject(&self, keep: impl FnOnce(&Rejects)) {
        if let Some(stream) = self.outlet.stream() {
            keep(&stream.rejects);
        }
    }

    /// Logs what is wrong with what a client sends, once in a while.
    pub(super) fn warn(&self, what: &'static str, why: &str) {
        if let Some(skipped) = self.problems.passes() {
            let protocol = self.protocol.name();
            tracing::warn!(protocol, why, skipped, "{what}");
        }
    }
}
