//! AWS Signature Version 4 of a request, in its header form: what is signed, and
//! the signature. Described in
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.

use http::Request;
use http::header::HeaderName;
use ring::{digest, hmac};

use super::aws_keys::AwsKeys;
use super::uri_encoding::{canonical_query, path_encoded_once, path_encoded_twice};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const END_OF_SCOPE: &str = "aws4_request";
/// The service that does not encode paths twice.
const S3: &str = "s3";

/// What a signature is valid for.
pub(super) struct Scope<'a> {
    /// As in `x-amz-date`, such as `20130524T000000Z`. It begins with the day.
    pub(super) time: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Scope<'_> {
    fn day(&self) -> &str {
        self.time.split('T').next().unwrap_or_default()
    }

    fn text(&self) -> String {
        let (
            day,
            Self {
                region, service, ..
            },
        ) = (self.day(), self);
        format!("{day}/{region}/{service}/{END_OF_SCOPE}")
    }

    fn signature(&self, keys: &AwsKeys<'_>, text: &str) -> String {
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", keys.secret).as_bytes());
        let parts = [self.day(), self.region, self.service, END_OF_SCOPE];
        let key = parts.iter().fold(first, |key, part| {
            let next = hmac::sign(&key, part.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, next.as_ref())
        });
        hex::encode(hmac::sign(&key, text.as_bytes()))
    }
}

/// The value of `Authorization`, which covers these headers of the request.
pub(super) fn authorization<T>(
    request: &Request<T>,
    signed: &[&HeaderName],
    payload: &str,
    keys: &AwsKeys<'_>,
    scope: &Scope<'_>,
) -> String {
    let mut signed = signed.to_vec();
    signed.sort_unstable_by_key(|name| name.as_str());
    let names: Vec<_> = signed.iter().map(|name| name.as_str()).collect();
    let names = names.join(";");
    let canonical = canonical_request(request, &signed, &names, payload, scope.service);
    let digest = hex::encode(digest::digest(&digest::SHA256, &canonical));
    let (time, within) = (scope.time, scope.text());
    let text = format!("{ALGORITHM}\n{time}\n{within}\n{digest}");
    let signature = scope.signature(keys, &text);
    let id = keys.id;
    format!("{ALGORITHM} Credential={id}/{within}, SignedHeaders={names}, Signature={signature}")
}

/// The request as bytes: values of headers need not be text.
fn canonical_request<T>(
    request: &Request<T>,
    signed: &[&HeaderName],
    names: &str,
    payload: &str,
    service: &str,
) -> Vec<u8> {
    let (method, target) = (request.method(), request.uri());
    let path = match service {
        S3 => path_encoded_once(target.path()),
        _ => path_encoded_twice(target.path()),
    };
    let query = canonical_query(target.query().unwrap_or_default());
    let mut canonical = format!("{method}\n{path}\n{query}\n").into_bytes();
    for name in signed {
        canonical.extend_from_slice(name.as_str().as_bytes());
        let values = request.headers().get_all(*name).iter();
        let values: Vec<_> = values.map(|value| trimmed(value.as_bytes())).collect();
        canonical.push(b':');
        canonical.extend_from_slice(&values.join(&b','));
        canonical.push(b'\n');
    }
    canonical.extend_from_slice(format!("\n{names}\n{payload}").as_bytes());
    canonical
}

/// Without spaces around it, and with one where there are several.
fn trimmed(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| *byte == b' ');
    let words = words.filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const KEYS: AwsKeys<'static> = AwsKeys {
        id: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        session_token: None,
    };

    fn example(
        method: &str,
        target: &str,
        payload: &str,
        headers: &[(&str, &str)],
        signature: &str,
    ) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://examplebucket.s3.amazonaws.com{target}"))
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("x-amz-content-sha256", payload)
            .header("x-amz-date", "20130524T000000Z");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let signed: Vec<_> = request.headers().keys().collect();
        let scope = Scope {
            time: "20130524T000000Z",
            region: "us-east-1",
            service: "s3",
        };
        let value = authorization(&request, &signed, payload, &KEYS, &scope);
        assert!(
            value.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders="
            ),
            "{value}"
        );
        assert!(
            value.ends_with(&format!(", Signature={signature}")),
            "{value}"
        );
    }

    /// Those of "Signature Calculations for the Authorization Header: Transferring Payload in a
    /// Single Chunk".
    #[test]
    fn the_examples_of_amazons_documentation_are_signed_alike() {
        example(
            "GET",
            "/test.txt",
            EMPTY,
            &[("range", "bytes=0-9")],
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        );
        example(
            "PUT",
            "/test$file.text",
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        );
        example(
            "GET",
            "/?lifecycle",
            EMPTY,
            &[],
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        );
        example(
            "GET",
            "/?max-keys=2&prefix=J",
            EMPTY,
            &[],
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        );
    }

    #[test]
    fn spaces_and_repeated_headers_have_one_form() {
        let request = Request::builder()
            .uri("https://a/")
            .header("x-amz-meta-a", " one   two ")
            .header("x-amz-meta-a", "three")
            .body(())
            .unwrap();
        let signed: Vec<_> = request.headers().keys().collect();
        let canonical = canonical_request(&request, &signed, "x-amz-meta-a", "p", "s3");
        let text = String::from_utf8(canonical).unwrap();
        assert_eq!(
            text,
            "GET\n/\n\nx-amz-meta-a:one two,three\n\nx-amz-meta-a\np"
        );
    }
}
