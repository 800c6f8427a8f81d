//! The digest of what a manifest asks for, which a signature can cover beside the
//! component.

use serde_json::Value;

use super::digest::sha256;
use super::permissions::Permissions;

/// The field of a signature's trusted comment that holds the digest.
pub(crate) const PERMISSIONS_FIELD: &str = "permissions-sha256";

/// The SHA-256, in lower-case hex, of the permissions as JSON: without what is
/// empty, with sorted names, and without white space. The order of lists counts.
#[must_use]
pub(crate) fn permissions_digest(permissions: &Permissions) -> String {
    // Values sort their names. Permissions have only names that are texts, so
    // this cannot fail.
    let value = serde_json::to_value(permissions).unwrap_or(Value::Null);
    sha256(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Manifest;

    fn digest_of(permissions: &str) -> String {
        let text = format!(r#"{{"source":"builtin:stdout","permissions":{permissions}}}"#);
        let manifest: Manifest = text.parse().unwrap();
        permissions_digest(&manifest.permissions)
    }

    #[test]
    fn the_digest_is_that_of_the_sorted_permissions() {
        let canonical = r#"{"dirs":[{"guest":"/l","host":"a","write":true}],"env":{"A":"1","B":"2"},"http":["https://a"]}"#;
        let written = r#"{"http": ["https://a"], "tcp": [], "env": {"B": "2", "A": "1"},
            "dirs": [{"host": "a", "guest": "/l", "write": true}]}"#;
        assert_eq!(digest_of(written), sha256(canonical.as_bytes()));
        let signed = r#"{"http":["https://a"],"sigv4":{"https://a":{"region":"r","secret":"S","service":"s3"}}}"#;
        let written = r#"{"http":["https://a"],"sigv4":{"https://a":{"secret":"S","region":"r"}}}"#;
        assert_eq!(digest_of(written), sha256(signed.as_bytes()));
        assert_eq!(digest_of("{}"), sha256(b"{}"));
        assert_ne!(digest_of(r#"{"http":["https://b"]}"#), digest_of("{}"));
    }
}
