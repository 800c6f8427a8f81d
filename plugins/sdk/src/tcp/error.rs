//! What went wrong with a connection.

use std::fmt::{self, Display};

use super::Address;
use crate::Failure;

/// A connection that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    address: Address,
    /// Why.
    pub cause: Cause,
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The manifest or the node does not permit this address.
    Denied,
    /// It was not done in time: what was waited for.
    Timeout(&'static str),
    /// The other end closed the connection.
    Closed,
    /// Anything else: the reason.
    Failed(String),
}

impl Error {
    pub(super) fn new(address: &Address, cause: Cause) -> Self {
        let address = address.clone();
        Self { address, cause }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.cause {
            Cause::Denied => write!(
                f,
                "{address}: the node denied the connection (access-denied): list {address} in \
                 permissions.tcp of the manifest, and in --allow-tcp of each node"
            ),
            Cause::Timeout(what) => write!(f, "{address}: {what} took too long"),
            Cause::Closed => write!(f, "{address}: the connection was closed"),
            Cause::Failed(reason) => write!(f, "{address}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    /// Retryable. A permission can be given while the records wait.
    fn from(error: Error) -> Self {
        Self::retryable(error.to_string())
    }
}
