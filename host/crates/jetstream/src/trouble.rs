//! Why no server takes this node, as far as the attempts to connect have shown.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::Server;

/// What to check about each kind of error, which is known by its text: most telling
/// ones first.
const REMEDIES: [(&str, &str); 5] = [
    (
        "authorization violation",
        "check NATS_CREDS, NATS_NKEY, NATS_USER and NATS_PASSWORD, NATS_TOKEN, or the user in the URL",
    ),
    ("signing nonce", "check NATS_CREDS or NATS_NKEY"),
    (
        "certificate",
        "check NATS_CA, and NATS_CERT and NATS_KEY if the server asks for a certificate",
    ),
    ("TLS", "check NATS_CA, NATS_CERT and NATS_KEY"),
    ("DNS", "check the names in --journal"),
];

/// The latest error of one of the servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// Remembers what these servers have answered last.
    pub(crate) fn note(&self, servers: &[Server]) {
        let errors = servers.iter().filter_map(|server| {
            let error = server.last_error.as_ref()?;
            let (host, port) = (server.addr.host(), server.addr.port());
            Some(format!("{host}:{port}: {error}"))
        });
        let most_telling = errors.min_by_key(|error| rank(error));
        *self.lock() = most_telling.map(|error| match REMEDIES.get(rank(&error)) {
            Some((_, remedy)) => format!("{error}; {remedy}"),
            None => error,
        });
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rank(error: &str) -> usize {
    // TLS calls an alert `CertificateRequired`.
    let error = error.replace("Certificate", "certificate");
    let known = REMEDIES.iter().position(|(text, _)| error.contains(text));
    known.unwrap_or(REMEDIES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str, error: Option<&str>) -> Server {
        Server {
            addr: address.parse().unwrap(),
            failed_attempts: 1,
            did_connect: false,
            is_discovered: false,
            last_error: error.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn the_most_telling_error_is_known_with_its_remedy() {
        let trouble = Trouble::default();
        trouble.note(&[server("a:1", None)]);
        assert_eq!(trouble.known(), None);
        let refused = server("a:1", Some("IO error: Connection refused"));
        trouble.note(std::slice::from_ref(&refused));
        let known = trouble.known().unwrap();
        assert_eq!(known, "a:1: IO error: Connection refused");
        let wrong = server(
            "b:2",
            Some("authorization violation: authorization violation"),
        );
        trouble.note(&[refused, wrong]);
        let known = trouble.known().unwrap();
        assert!(
            known.starts_with("b:2: auth") && known.contains("NATS_PASSWORD"),
            "{known}"
        );
        trouble.note(&[server("b:2", None)]);
        assert_eq!(trouble.known(), None);
    }
}
