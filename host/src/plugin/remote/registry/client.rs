//! Access to registries.

use super::credentials::Credentials;
use crate::plugin::remote::http::Http;

/// Access to registries.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(super) http: Http,
    pub(super) credentials: Credentials,
}

impl Registry {
    /// Access with this client, and the credentials of the Docker configuration.
    #[must_use]
    pub(crate) fn new(http: Http) -> Self {
        Self {
            http,
            credentials: Credentials::of_user(),
        }
    }
}
