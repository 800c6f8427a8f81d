//! Signing: what the node adds to the requests of sinks to AWS and its like. The
//! sinks never see the keys.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Request};
use jiff::Timestamp;
use sluice_types::origin::Origin;
use thiserror::Error;

use super::aws_keys::AwsKeys;
use super::sigv4::{Scope, authorization};

const AMZ: &str = "x-amz-";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const DIGEST: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// Instead of a digest: the signature does not cover the body.
const UNSIGNED: HeaderValue = HeaderValue::from_static("UNSIGNED-PAYLOAD");
const DIGEST_LENGTH: usize = 64;

/// How the requests to an origin are signed, as a manifest asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The origin.
    pub origin: Origin,
    /// The name of the secret with the keys.
    pub secret: String,
    /// The region of the signature.
    pub region: String,
    /// The service of the signature, such as `s3`.
    pub service: String,
}

/// Why a request cannot be signed. The text says nothing of the secret.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum NotSigned {
    #[error("the node has no such secret for this origin")]
    Secret,
    #[error(
        "the secret is not ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN after it or not"
    )]
    Keys,
    #[error(
        "the sink's x-amz-content-sha256 is neither 64 lower-case hex digits nor UNSIGNED-PAYLOAD"
    )]
    Digest,
}

impl Signing {
    /// Signs a request for its origin with the text of the secret.
    pub(super) fn sign<T>(
        &self,
        request: &mut Request<T>,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), NotSigned> {
        let keys = AwsKeys::of(secret).ok_or(NotSigned::Keys)?;
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let headers = request.headers_mut();
        let payload = payload(headers)?;
        headers.remove(AUTHORIZATION);
        headers.remove(SESSION_TOKEN);
        headers.insert(DATE, value(&time)?);
        if let Some(token) = keys.session_token {
            headers.insert(SESSION_TOKEN, sensitive(token)?);
        }
        let scope = Scope {
            time: &time,
            region: &self.region,
            service: &self.service,
        };
        let signed: Vec<_> = request.headers().keys().filter(|n| is_signed(n)).collect();
        let authorization = authorization(request, &signed, &payload, &keys, &scope);
        let authorization = sensitive(&authorization)?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        Ok(())
    }
}

fn is_signed(name: &HeaderName) -> bool {
    name == HOST || name == CONTENT_TYPE || name.as_str().starts_with(AMZ)
}

/// What the sink says of the body, which the node does not read in advance.
fn payload(headers: &mut HeaderMap) -> Result<String, NotSigned> {
    let mut given = headers.get_all(DIGEST).iter();
    let (first, others) = (given.next().cloned(), given.count());
    let payload = first.unwrap_or(UNSIGNED);
    let text = payload.to_str().map_err(|_| NotSigned::Digest)?.to_owned();
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_digest = text.len() == DIGEST_LENGTH && text.bytes().all(is_digit);
    if others > 0 || !(is_digest || payload == UNSIGNED) {
        return Err(NotSigned::Digest);
    }
    headers.insert(DIGEST, payload);
    Ok(text)
}

fn value(text: &str) -> Result<HeaderValue, NotSigned> {
    HeaderValue::from_str(text).map_err(|_| NotSigned::Keys)
}

fn sensitive(text: &str) -> Result<HeaderValue, NotSigned> {
    let mut value = value(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const SECRET: &str = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const ORIGIN: &str = "https://examplebucket.s3.amazonaws.com";

    /// The headers of a signed request, without the values' marks.
    fn signed(
        given: &[(&str, &str)],
        target: &str,
        service: &str,
        secret: &str,
    ) -> Result<HeaderMap, NotSigned> {
        let signing = Signing {
            origin: ORIGIN.parse().unwrap(),
            secret: "AWS".to_owned(),
            region: "us-east-1".to_owned(),
            service: service.to_owned(),
        };
        let mut request = Request::builder().uri(format!("{ORIGIN}{target}"));
        for (name, value) in given {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        signing.origin.put_into(&mut request).unwrap();
        let now = "2013-05-24T00:00:00.9Z".parse().unwrap();
        signing.sign(&mut request, secret, now)?;
        Ok(request.headers().clone())
    }

    fn authorization_of(headers: &HeaderMap) -> &str {
        headers[AUTHORIZATION].to_str().unwrap()
    }

    #[test]
    fn what_the_sink_has_set_is_replaced() {
        let given = [
            ("authorization", "own"),
            ("authorization", "more"),
            ("x-amz-date", "20000101T000000Z"),
            ("x-amz-security-token", "own"),
            ("x-amz-content-sha256", EMPTY),
            ("accept", "*/*"),
        ];
        let headers = signed(&given, "/?max-keys=2&prefix=J", "s3", SECRET).unwrap();
        // As in Amazon's documentation.
        assert_eq!(
            authorization_of(&headers),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        assert!(headers[AUTHORIZATION].is_sensitive());
        assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
        assert_eq!(headers[DATE], "20130524T000000Z");
        assert!(!headers.contains_key(SESSION_TOKEN));
    }

    #[test]
    fn a_session_token_is_sent_and_signed() {
        let secret = format!("{SECRET}:token/+==");
        let headers = signed(&[("content-type", "a/b")], "/", "s3", &secret).unwrap();
        assert_eq!(headers[SESSION_TOKEN], "token/+==");
        assert!(headers[SESSION_TOKEN].is_sensitive());
        assert_eq!(headers[DIGEST], UNSIGNED);
        let authorization = authorization_of(&headers);
        let names =
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token,";
        assert!(authorization.contains(names), "{authorization}");
    }

    #[test]
    fn what_cannot_be_signed_is_explained_without_the_secret() {
        for digest in [
            "",
            "unsigned-payload",
            &EMPTY.to_uppercase(),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        ] {
            let given = [("x-amz-content-sha256", digest)];
            assert_eq!(
                signed(&given, "/", "s3", SECRET),
                Err(NotSigned::Digest),
                "{digest}"
            );
        }
        let twice = [("x-amz-content-sha256", EMPTY); 2];
        assert_eq!(signed(&twice, "/", "s3", SECRET), Err(NotSigned::Digest));
        let error = signed(&[], "/", "s3", "hunter2").unwrap_err();
        assert_eq!(error, NotSigned::Keys);
        assert!(!error.to_string().contains("hunter2"));
    }
}
