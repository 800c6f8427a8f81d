//! Whether a sink prints what it should keep to itself.

use serde_json::Value;

use super::bench::Bench;
use super::report::Finding;
use crate::kit::printed::Printed;
use crate::kit::workbench::KitError;

const CHECK: &str = "secrets";
/// Parts of the names of fields that hold secrets.
const SECRET: [&str; 7] = [
    "secret",
    "token",
    "password",
    "passwd",
    "key",
    "auth",
    "credential",
];
/// A shorter text is found by chance, in characters.
const SHORTEST: usize = 6;

/// Looks for the secrets of the config, and for all environment variables, in
/// what the sink has printed so far.
pub(super) fn check(bench: &Bench<'_>, printed: &Printed) -> Result<Finding, KitError> {
    let mut secrets = Vec::new();
    if let Ok(config) = serde_json::from_str(&bench.config) {
        find(&config, false, "config", &mut secrets);
    }
    for (name, value) in &bench.sink.manifest.permissions.env {
        secrets.push((format!("the environment variable {name}"), value.clone()));
    }
    secrets.retain(|(_, text)| text.chars().count() >= SHORTEST);
    if secrets.is_empty() {
        let detail =
            "none are known: no field of --config is named like one, and there is no --env";
        return Ok(Finding::skipped(CHECK, detail));
    }
    let stdout = bench.stdout.since(0).map_err(KitError::Stdout)?;
    let stdout = String::from_utf8_lossy(&stdout);
    let log = printed.text();
    for (place, output) in [("stderr or an error", &*log), ("stdout", &*stdout)] {
        if let Some((name, _)) = secrets.iter().find(|(_, text)| output.contains(text)) {
            return Ok(Finding::failed(
                CHECK,
                format!("it prints {name} to {place}"),
            ));
        }
    }
    let names: Vec<_> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Finding::passed(
        CHECK,
        format!("it prints none of {}", names.join(", ")),
    ))
}

/// Finds the texts of fields whose names say that they are secret.
fn find(value: &Value, is_secret: bool, path: &str, secrets: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if is_secret => secrets.push((path.to_owned(), text.clone())),
        Value::Array(list) => {
            for element in list {
                find(element, is_secret, path, secrets);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let lower = name.to_lowercase();
                let is_named_so = SECRET.iter().any(|part| lower.contains(part));
                let path = format!("{path}.{name}");
                find(value, is_secret || is_named_so, &path, secrets);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_secret_by_their_names() {
        let config = serde_json::json!({
            "url": "http://example.com", "api_key": "one",
            "headers": {"Authorization": "two", "Accept": "text"},
            "auth": {"user": "three"}, "tokens": ["four", 5],
        });
        let mut secrets = Vec::new();
        find(&config, false, "config", &mut secrets);
        let mut texts: Vec<_> = secrets.iter().map(|(_, text)| text.as_str()).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["four", "one", "three", "two"]);
        assert!(
            secrets
                .iter()
                .any(|(path, _)| path == "config.headers.Authorization")
        );
    }
}
