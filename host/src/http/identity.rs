//! Which client is behind a request.

use std::sync::Arc;

use crate::tls::ClientNames;
use sluice_access::{Access, Client, Refusal, Scope, Shown};
use sluice_protocols::tokens::{Carried, Credentials, Protocol, find};

/// The client of a request on the routes of `protocol`, if it may do this on this
/// stream. A token counts before a certificate.
///
/// # Errors
/// There is no such client, or it may not.
pub(super) fn identify(
    access: &Access,
    protocol: Protocol,
    credentials: &Credentials<'_>,
    names: &ClientNames,
    scope: Scope,
    stream: &str,
) -> Result<Arc<Client>, Refusal> {
    let carried = find(protocol, credentials);
    let tokens: Option<Vec<&[u8]>> = match &carried {
        Carried::Nothing => None,
        Carried::Malformed => Some(Vec::new()),
        Carried::Token(token) => Some(token.candidates().collect()),
    };
    let shown = Shown {
        tokens: tokens.as_deref(),
        names: &names.0,
    };
    access.client(&shown, scope, stream)
}
