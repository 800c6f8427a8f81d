//! Which client sends records, and whether it may now.

use std::sync::Arc;
use std::time::Duration;

use super::charge::Charge;
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

/// Writes to the audit log that a client has sent more than its quota.
pub(super) fn audit_quota(
    access: &Access,
    protocol: Protocol,
    client: &Sending,
    from: FromAddress,
) {
    access.audit().add(Event {
        who: client.as_ref().map(|client| client.name().to_string()),
        what: format!("send {}", protocol.name()),
        from,
        outcome: Outcome::Refused,
        detail: "it has sent more than its quota".to_owned(),
    });
}

/// The address of a connection, if it is known.
type FromAddress = Option<std::net::IpAddr>;

/// Lets a request in whose body announces so many bytes, if the client has sent less
/// than its quota.
///
/// # Errors
/// [`Problem::Quota`], after a moment.
pub(super) async fn within_quota(client: &Sending, bytes: usize) -> Result<Charge, Problem> {
    if let Ok(charge) = Charge::begin(client, bytes) {
        return Ok(charge);
    }
    tokio::time::sleep(REFUSAL_DELAY).await;
    Charge::begin(client, bytes).map_err(Problem::Quota)
}

/// The client of a request that another node has checked.
///
/// # Errors
/// It must not send records to the stream, as far as this node knows.
pub(super) fn relayed(
    access: &Access,
    stream: &Stream,
    name: Option<&str>,
) -> Result<Sending, String> {
    let Some(name) = name else { return Ok(None) };
    match access.named(name) {
        Some(client) => {
            let allowed = client.may(Scope::Send, &stream.name);
            allowed.map_err(|refusal| refusal.to_string())?;
            Ok(Some(client))
        }
        None if access.has_scopes() => Err(format!(
            "the leader does not know the client {name}; give all nodes the same --tokens"
        )),
        // Known by its certificate alone.
        None => Ok(None),
    }
}
