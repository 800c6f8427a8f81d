//! Which client sends records, and whether it may now.

use std::sync::Arc;
use std::time::Duration;

use crate::http::identity::identify;
use crate::http::problem::Problem;
use crate::stream::Stream;
use crate::tls::ClientNames;
use sluice_access::{Access, Client, Event, Outcome, Refusal, Scope};
use sluice_protocols::tokens::{Credentials, Protocol};

/// A client that sends records; `None` where everybody may.
pub(crate) type Sending = Option<Arc<Client>>;

/// How long a refusal for a spent quota is held back. A client that sends on without
/// waiting then costs others nothing that can be measured.
const REFUSAL_DELAY: Duration = Duration::from_millis(100);

/// The client of a request on the routes of `protocol`.
///
/// # Errors
/// It must not send records to the stream.
pub(super) fn sender(
    access: &Access,
    stream: &Stream,
    protocol: Protocol,
    credentials: &Credentials<'_>,
    names: &ClientNames,
) -> Result<Sending, Refusal> {
    if access.is_open() {
        return Ok(None);
    }
    let client = identify(
        access,
        protocol,
        credentials,
        names,
        Scope::Send,
        &stream.name,
    );
    client.map(Some)
}

/// Writes to the audit log that a client may not send.
pub(super) fn audit(access: &Access, protocol: Protocol, refusal: &Refusal, from: FromAddress) {
    access.audit().add(Event {
        who: refusal.client().map(str::to_owned),
        what: format!("send {}", protocol.name()),
        from,
        outcome: Outcome::Refused,
        detail: refusal.to_string(),
    });
}

/// The address of a connection, if it is known.
type FromAddress = Option<std::net::IpAddr>;

/// Whether the client has sent less than its quota.
///
/// # Errors
/// [`Problem::Quota`], after a moment.
pub(super) async fn within_quota(client: &Sending) -> Result<(), Problem> {
    let wait = |client: &Sending| client.as_ref().map(|client| client.quota().wait());
    if wait(client).unwrap_or_default().is_zero() {
        return Ok(());
    }
    tokio::time::sleep(REFUSAL_DELAY).await;
    match wait(client).unwrap_or_default() {
        left if left.is_zero() => Ok(()),
        left => Err(Problem::Quota(left)),
    }
}
