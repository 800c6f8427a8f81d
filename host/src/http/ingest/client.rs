//! Which client sends records, and whether it may now.

use std::sync::Arc;

use crate::http::identity::identify;
use crate::stream::Stream;
use crate::tls::ClientNames;
use sluice_access::{Access, Client, Event, Outcome, Refusal, Scope};
use sluice_protocols::tokens::{Credentials, Protocol};

/// A client that sends records; `None` where everybody may.
pub(crate) type Sending = Option<Arc<Client>>;

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

/// The client of a request that another node has checked. A refusal is in the audit log.
///
/// # Errors
/// It must not send records to the stream, as far as this node knows.
pub(super) fn relayed(
    access: &Access,
    stream: &Stream,
    protocol: Protocol,
    (name, from): (Option<&str>, FromAddress),
) -> Result<Sending, String> {
    known(access, stream, name).inspect_err(|why| {
        access.audit().add(Event {
            who: name.map(str::to_owned),
            what: format!("send {}", protocol.name()),
            from,
            outcome: Outcome::Refused,
            detail: why.clone(),
        });
    })
}

/// The client that another node names.
fn known(access: &Access, stream: &Stream, name: Option<&str>) -> Result<Sending, String> {
    let Some(name) = name else {
        // A node without --tokens relays for everybody.
        return match access.has_scopes() {
            true => Err(
                "the node that relays the request knows no client for it; give all nodes the \
                 same --tokens"
                    .to_owned(),
            ),
            false => Ok(None),
        };
    };
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
