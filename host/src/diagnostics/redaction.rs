//! Keeps secrets out of texts that people pass on.

use memchr::memmem::{Finder, find};
use serde_json::Value;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// The fewest bytes of a text that is looked for as a secret: shorter ones are parts of
/// ordinary words.
const SECRET_MIN: usize = 6;
/// Names of settings, or parts of them, whose values are secrets.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
];

/// What must not be shown, by its text.
#[derive(Default)]
pub(crate) struct Redaction(Vec<Finder<'static>>);

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redaction({})", self.0.len())
    }
}

impl Redaction {
    /// Of these secrets, as they are and in the form that they have within JSON.
    pub(crate) fn of(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut texts = Vec::new();
        for secret in secrets {
            let json = serde_json::to_string(&secret).unwrap_or_default();
            texts.push(json.trim_matches('"').to_owned());
            texts.push(secret);
        }
        texts.retain(|text| text.len() >= SECRET_MIN);
        // The longest first: one may be a part of another.
        texts.sort_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
        texts.dedup();
        let finders = texts.iter();
        Self(finders.map(|text| Finder::new(text).into_owned()).collect())
    }

    /// The text without the secrets, and without users and passwords in URLs.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = without_users(text);
        for secret in &self.0 {
            text = replaced(text, secret);
        }
        text
    }
}

fn replaced(text: String, secret: &Finder<'_>) -> String {
    let mut left = text.as_str();
    let mut shown = String::new();
    while let Some(at) = secret.find(left.as_bytes()) {
        let end = at + secret.needle().len();
        let (Some(before), Some(after)) = (left.get(..at), left.get(end..)) else {
            break;
        };
        shown.push_str(before);
        shown.push_str(REDACTED);
        left = after;
    }
    match shown.is_empty() {
        true => text,
        false => shown + left,
    }
}

/// Replaces what stands before `@` in the authority of a URL.
fn without_users(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut left = text;
    let mut shown = String::with_capacity(text.len());
    while let Some(at) = find(left.as_bytes(), SCHEME_END.as_bytes()) {
        let (before, after) = left.split_at(at + SCHEME_END.len());
        shown.push_str(before);
        let ends = |character: char| {
            character.is_whitespace() || character.is_control() || "/?#\"'\\<>`".contains(character)
        };
        let authority = after.split(ends).next().unwrap_or_default();
        left = after;
        if let Some(user) = authority.rfind('@') {
            shown.push_str(REDACTED);
            left = after.get(user..).unwrap_or_default();
        }
    }
    shown.push_str(left);
    shown
}

impl Redaction {
    /// A manifest without what may be secret in it: values of its config with names like
    /// `password`, and all variables that it gives to the sink.
    pub(crate) fn manifest(&self, manifest: &str) -> Value {
        let Ok(mut document) = serde_json::from_str::<Value>(manifest) else {
            return self.text(manifest).into();
        };
        if let Some(config) = document.get_mut("config") {
            without_secrets(config);
        }
        let env = document.pointer_mut("/permissions/env");
        if let Some(variables) = env.and_then(Value::as_object_mut) {
            variables
                .values_mut()
                .for_each(|value| *value = REDACTED.into());
        }
        let text = self.text(&document.to_string());
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

impl Redaction {
    /// Replaces every text with the name `manifest` within a document by what may be shown
    /// of it.
    pub(crate) fn manifests(&self, document: &mut Value) {
        match document {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) if name == "manifest" => *value = self.manifest(text),
                        _ => self.manifests(value),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.manifests(value)),
            _ => {}
        }
    }
}

fn without_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match is_secret(name) {
                    true => *value = REDACTED.into(),
                    false => without_secrets(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_secrets),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_secrets_are_replaced_wherever_they_stand() {
        let secrets = ["hunter2-long", "hunter2", "a\"quoted\"one", "x"];
        let redaction = Redaction::of(secrets.map(str::to_owned));
        let text = "hunter2-long hunter2,hunter2 x a\"quoted\"one a\\\"quoted\\\"one é";
        let shown = redaction.text(text);
        let r = REDACTED;
        assert_eq!(shown, format!("{r} {r},{r} x {r} {r} é"));
        assert!(!format!("{redaction:?}").contains("hunter2"));
    }

    #[test]
    fn users_and_passwords_of_urls_are_replaced() {
        for (text, expected) in [
            ("http://u:p@host/a@b", "http://[redacted]@host/a@b"),
            (
                "\"https://u:p@ss@h\",\"nats://t@n\"",
                "\"https://[redacted]@h\",\"nats://[redacted]@n\"",
            ),
            ("https://host/path?mail=a@b", "https://host/path?mail=a@b"),
            ("a://b://c:d@e", "a://b://[redacted]@e"),
            ("user@host ://", "user@host ://"),
        ] {
            assert_eq!(Redaction::default().text(text), expected);
        }
    }

    #[test]
    fn a_manifest_keeps_what_it_may_do_and_loses_what_may_be_secret() {
        let manifest = json!({
            "source": "file:///a.wasm",
            "config": {
                "url": "https://u:p@logs.example.com",
                "auth": {"api_key": "k1", "Password": "k2", "user": "me"},
                "list": [{"bearer-token": "k3"}],
            },
            "permissions": {
                "http": ["https://logs.example.com"],
                "env": {"PGPASS": "k4", "HOST": "k5"},
                "headers": {"https://logs.example.com": {"Authorization": {"secret": "NAME"}}},
            },
        });
        let shown = Redaction::default().manifest(&manifest.to_string());
        let text = shown.to_string();
        for secret in ["k1", "k2", "k3", "k4", "k5", "u:p"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(shown["config"]["auth"]["user"], "me");
        assert_eq!(
            shown["config"]["url"],
            "https://[redacted]@logs.example.com"
        );
        let headers = &shown["permissions"]["headers"];
        assert_eq!(
            headers["https://logs.example.com"]["Authorization"]["secret"],
            "NAME"
        );
        let mut document = json!({
            "asked": {"manifest": manifest.to_string()},
            "history": [{"number": 1, "manifest": manifest.to_string()}],
        });
        Redaction::default().manifests(&mut document);
        assert_eq!(document["asked"]["manifest"], shown);
        assert_eq!(document["history"][0]["manifest"], shown);
        assert_eq!(document["history"][0]["number"], 1);
        let source = Redaction::default().manifest("https://u:p@h/a.wasm");
        assert_eq!(source, "https://[redacted]@h/a.wasm");
    }
}
