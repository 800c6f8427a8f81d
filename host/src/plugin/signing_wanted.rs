//! The signatures that a manifest asks for.

use super::headers_wanted::{Mistake, headers_wanted, listed_origin};
use super::permissions::Permissions;
use sluice_sandbox::Signing;

const FIELD: &str = "permissions.sigv4";
/// Headers that a signature consists of.
const OF_THE_SIGNATURE: [&str; 3] = ["authorization", "x-amz-date", "x-amz-security-token"];
/// The longest name of a region or a service, in bytes.
const MAX_NAME: usize = 64;

/// Reads the signatures that a manifest asks for.
///
/// # Errors
/// Names the first mistake.
pub(super) fn signing_wanted(permissions: &Permissions) -> Result<Vec<Signing>, Mistake> {
    let headers = headers_wanted(permissions)?;
    let mut wanted: Vec<Signing> = Vec::new();
    for (text, signing) in &permissions.sigv4 {
        let origin = listed_origin(permissions, FIELD, text)?;
        if wanted.iter().any(|other| other.origin == origin) {
            return Err((FIELD, text.clone(), "expected each origin once"));
        }
        let is_of_signature = |name: &str| OF_THE_SIGNATURE.contains(&name);
        let mut headers = headers.iter().filter(|header| header.origin == origin);
        if headers.any(|header| is_of_signature(header.header.as_str())) {
            let expected = "expected an origin for which permissions.headers has no Authorization, \
                            x-amz-date or x-amz-security-token: the signature makes them";
            return Err((FIELD, text.clone(), expected));
        }
        let expected = "expected a name such as eu-central-1 or s3";
        for (field, name) in [
            ("permissions.sigv4 region", &signing.region),
            ("permissions.sigv4 service", &signing.service),
        ] {
            if !is_name(name) {
                return Err((field, name.clone(), expected));
            }
        }
        wanted.push(Signing {
            origin,
            secret: signing.secret.clone(),
            region: signing.region.clone(),
            service: signing.service.clone(),
        });
    }
    Ok(wanted)
}

/// Whether this can be a part of the scope of a signature.
fn is_name(text: &str) -> bool {
    let is_right = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Manifest;

    fn manifest(permissions: &str) -> Result<Manifest, String> {
        let text = format!(r#"{{"source":"builtin:stdout","permissions":{permissions}}}"#);
        text.parse().map_err(|error| format!("{error}"))
    }

    fn wanted(permissions: &str) -> Vec<Signing> {
        signing_wanted(&manifest(permissions).unwrap().permissions).unwrap()
    }

    #[test]
    fn the_service_is_s3_by_default() {
        let signing = |service: &str| Signing {
            origin: "https://a".parse().unwrap(),
            secret: "AWS".to_owned(),
            region: "eu-central-1".to_owned(),
            service: service.to_owned(),
        };
        let found = wanted(
            r#"{"http":["https://a"],"sigv4":{"https://A:443":{"secret":"AWS","region":"eu-central-1"}}}"#,
        );
        assert_eq!(found, [signing("s3")]);
        let found = wanted(
            r#"{"http":["https://a"],"headers":{"https://a":{"x-b":{"secret":"B"}}},
                "sigv4":{"https://a":{"secret":"AWS","region":"eu-central-1","service":"es"}}}"#,
        );
        assert_eq!(found, [signing("es")]);
        assert_eq!(wanted("{}"), []);
    }

    #[test]
    fn mistakes_are_named() {
        for (fields, named) in [
            (
                r#""sigv4":{"https://b":{"secret":"S","region":"r"}}"#,
                "permissions.sigv4 is \"https://b\"; expected an origin that permissions.http lists",
            ),
            (
                r#""sigv4":{"https://a":{"secret":"S","region":"r"},"https://a:443":{"secret":"S","region":"r"}}"#,
                "each origin once",
            ),
            (
                r#""headers":{"https://a:443":{"Authorization":{"secret":"T"}}},
                   "sigv4":{"https://a":{"secret":"S","region":"r"}}"#,
                "permissions.headers has no Authorization",
            ),
            (r#""sigv4":{"https://a":{"secret":"S"}}"#, "`region`"),
            (r#""sigv4":{"https://a":{"region":"r"}}"#, "`secret`"),
            (
                r#""sigv4":{"https://a":{"secret":"S","region":""}}"#,
                "permissions.sigv4 region is \"\"",
            ),
            (
                r#""sigv4":{"https://a":{"secret":"S","region":"r","service":"a/b"}}"#,
                "permissions.sigv4 service is \"a/b\"",
            ),
            (
                r#""sigv4":{"https://a":{"secret":"S","region":"r","key":"k"}}"#,
                "`key`",
            ),
        ] {
            let error = manifest(&format!(r#"{{"http":["https://a"],{fields}}}"#)).unwrap_err();
            assert!(error.contains(named), "{fields}: {error}");
        }
    }
}
