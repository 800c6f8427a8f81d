//! The headers that say where a web page comes from.

use axum::http::HeaderValue;

use sluice_types::origin::Origin;

/// Reads the value of the header `Origin`.
pub(super) fn origin_of(value: &HeaderValue) -> Option<Origin> {
    value.to_str().ok()?.parse().ok()
}

/// Whether a page of this origin is from the host that the header `Host` names.
/// A proxy may speak HTTPS in front of a node that does not, so the scheme counts
/// only for the port where none is given.
pub(super) fn is_at(origin: &Origin, host: &HeaderValue) -> bool {
    host.to_str().is_ok_and(|host| origin.is_at(host))
}
