//! Settings of a node, as they are shown.

use serde::{Deserialize, Serialize};

/// A flag or a variable with its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Setting {
    /// A flag without its dashes, or the name of a variable.
    pub(crate) name: String,
    /// Its values, with commas between them.
    pub(crate) value: String,
    /// Where it is from: `flag`, `variable`, or `file or default`.
    pub(crate) source: String,
}

/// Variables that are shown with their values, none of which is a secret.
const SHOWN: [&str; 14] = [
    "CONSUL_HTTP_ADDR",
    "CONSUL_HTTP_SSL",
    "CONSUL_HTTP_SSL_VERIFY",
    "CONSUL_CACERT",
    "CONSUL_CAPATH",
    "CONSUL_CLIENT_CERT",
    "CONSUL_CLIENT_KEY",
    "CONSUL_TLS_SERVER_NAME",
    "CONSUL_NAMESPACE",
    "CONSUL_HTTP_TOKEN_FILE",
    "NATS_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "RUST_LOG",
    "TOKIO_WORKER_THREADS",
];
/// The beginnings of the names of variables of which it is shown that they are set.
const NAMED: [&str; 4] = ["CONSUL_", "NATS_", "OTEL_", "RUST_"];

/// The variables that other programs define and this one reads.
pub(crate) fn environment() -> Vec<Setting> {
    let mut variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| shown(name.to_str()?, &value.to_string_lossy()))
        .collect();
    variables.sort_by(|one, other| one.name.cmp(&other.name));
    variables
}

fn shown(name: &str, value: &str) -> Option<Setting> {
    let value = match SHOWN.contains(&name) {
        true => value,
        false if NAMED.iter().any(|start| name.starts_with(start)) => "(set)",
        false => return None,
    };
    Some(Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        source: "variable".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_that_are_no_secret_are_shown() {
        let value = |name| shown(name, "v").map(|setting| setting.value);
        assert_eq!(value("CONSUL_HTTP_ADDR").as_deref(), Some("v"));
        assert_eq!(value("CONSUL_HTTP_TOKEN").as_deref(), Some("(set)"));
        assert_eq!(
            value("OTEL_EXPORTER_OTLP_HEADERS").as_deref(),
            Some("(set)")
        );
        assert_eq!(value("HOME"), None);
    }
}
