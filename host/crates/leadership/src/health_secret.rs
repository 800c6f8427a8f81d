//! How the agent's health checks are told from other requests.

use std::fmt;
use std::sync::Arc;

use hyper::HeaderMap;

/// The header that bears the secret.
pub(super) const HEADER: &str = "sluice-health-secret";

/// What this process's checks bear, in the registration and so in each request.
#[derive(Clone)]
pub(super) struct HealthSecret(Arc<str>);

impl HealthSecret {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }

    pub(super) fn value(&self) -> &str {
        &self.0
    }

    /// Whether the headers of a request bear it.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(HEADER) else {
            return false;
        };
        // The time that this takes tells nothing about where they differ.
        let pairs = given.as_bytes().iter().zip(self.0.as_bytes());
        let difference = pairs.fold(0, |difference, (one, other)| difference | (one ^ other));
        given.len() == self.0.len() && difference == 0
    }
}

impl fmt::Debug for HealthSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_counts() {
        let secret = HealthSecret::random();
        let is_in = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, value.parse().unwrap());
            secret.is_in(&headers)
        };
        let value = secret.value();
        assert!(is_in(value));
        assert!(!is_in(&value[1..]));
        assert!(!is_in(&format!("{value}0")));
        assert!(!is_in(HealthSecret::random().value()));
        assert!(!is_in(""));
        assert!(!secret.is_in(&HeaderMap::new()));
    }
}
