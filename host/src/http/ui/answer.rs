//! How a file of the page is answered.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::asset::{Asset, find};
use crate::http::response::{plain, typed};

/// What the page may do: run and show its own files, and ask the node that served
/// it. Nothing is inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The same for every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (VARY, "accept-encoding"),
    // It is asked for again with its tag, so that a new version shows at once.
    (CACHE_CONTROL, "no-cache"),
];

/// The answer to a request for the file with this name.
pub(super) fn of(name: &str, asked: &HeaderMap) -> Response {
    let mut answer = match find(name) {
        Some(asset) => of_asset(asset, asked),
        None => plain(StatusCode::NOT_FOUND, "the page has no such file"),
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn of_asset(asset: &Asset, asked: &HeaderMap) -> Response {
    let gzip = asset.gzip.as_ref().filter(|_| takes_gzip(asked));
    let tag = match gzip {
        Some(_) => format!("\"{}-gzip\"", asset.tag),
        None => format!("\"{}\"", asset.tag),
    };
    let mut answer = if has(asked, &tag) {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        let body = gzip.map_or_else(|| asset.file.bytes.into(), |gzip| gzip.clone().into());
        let body: Body = body;
        let mut answer = typed(StatusCode::OK, asset.file.content_type, body);
        if gzip.is_some() {
            let encoding = HeaderValue::from_static("gzip");
            answer.headers_mut().insert(CONTENT_ENCODING, encoding);
        }
        answer
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// Whether the client says that it can unpack gzip.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let given = asked.get_all(ACCEPT_ENCODING).iter();
    let mut codings = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Whether the client has the file with this tag.
fn has(asked: &HeaderMap, tag: &str) -> bool {
    let given = asked.get_all(IF_NONE_MATCH).iter();
    let mut tags = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','));
    tags.any(|given| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(HeaderName, &'static str)]) -> HeaderMap {
        let given = given.iter().cloned();
        given
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_a_client_that_can_unpack_it_gets_gzip() {
        for (given, is_taken) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0, br", false),
            ("gzip; q=0.0", false),
            ("xgzip", false),
            ("", false),
        ] {
            let asked = headers(&[(ACCEPT_ENCODING, given)]);
            assert_eq!(takes_gzip(&asked), is_taken, "{given}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_file_that_the_client_has_is_not_sent_again() {
        let first = of("app.js", &headers(&[(ACCEPT_ENCODING, "gzip")]));
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CONTENT_ENCODING], "gzip");
        let tag = first.headers()[ETAG].clone();
        let mut asked = headers(&[(ACCEPT_ENCODING, "gzip")]);
        asked.insert(IF_NONE_MATCH, tag.clone());
        let again = of("app.js", &asked);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[ETAG], tag);
        asked.remove(ACCEPT_ENCODING);
        assert_eq!(
            of("app.js", &asked).status(),
            StatusCode::OK,
            "another form"
        );
    }

    #[test]
    fn every_answer_has_the_policy() {
        for name in [
            "index.html",
            "app.js",
            "vendor/uplot.css",
            "missing",
            "../mod.rs",
        ] {
            let answer = of(name, &HeaderMap::new());
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], POLICY, "{name}");
            assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
        assert_eq!(
            of("../mod.rs", &HeaderMap::new()).status(),
            StatusCode::NOT_FOUND
        );
    }
}
