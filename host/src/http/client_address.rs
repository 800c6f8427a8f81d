//! Where a request came from.

use std::net::IpAddr;

/// The address of the connection that a request came over, as an extension of the
/// request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub(super) IpAddr);
