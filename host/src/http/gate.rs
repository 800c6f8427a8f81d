//! What is refused on every route before the route sees it: requests that a
//! browser sends for a page of another origin, and requests whose credentials
//! are ambiguous.

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::origin::{is_at, origin_of};
use super::problem::Problem;
use sluice_types::origin::Origin;

/// How a browser says where the page is from that sends a request. Pages cannot
/// set it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Decides which requests reach the routes.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    /// Whose pages may send requests, besides those of this node.
    allowed: Vec<Origin>,
}

/// What the headers say that matters here.
#[derive(Debug, Default)]
struct Found<'a> {
    authorizations: usize,
    /// A value of `Sec-Fetch-Site` that names another site.
    cross_site: bool,
    origins: Vec<&'a HeaderValue>,
    host: Option<&'a HeaderValue>,
}

impl Gate {
    pub(super) const fn new(allowed: Vec<Origin>) -> Self {
        Self { allowed }
    }

    /// Why the request is refused, if it is.
    pub(super) fn refusal(&self, method: &Method, headers: &HeaderMap) -> Option<Problem> {
        let found = Found::of(headers);
        if found.authorizations > 1 {
            return Some(Problem::Malformed(
                "there is more than one header Authorization; send one".to_owned(),
            ));
        }
        // By HTTP's rules the other methods change nothing.
        let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        (!is_safe && self.is_foreign(&found)).then(|| Problem::CrossSite(found.origin_text()))
    }

    fn is_foreign(&self, found: &Found<'_>) -> bool {
        if let [origin] = found.origins[..]
            && origin_of(origin).is_some_and(|origin| self.allowed.contains(&origin))
        {
            return false;
        }
        let is_own = |origin: &&HeaderValue| {
            let own = found.host.zip(origin_of(origin));
            own.is_some_and(|(host, origin)| is_at(&origin, host))
        };
        found.cross_site || !found.origins.iter().all(is_own)
    }
}

/// Whether a browser sends the request for a page of another site.
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    Found::of(headers).cross_site
}

/// Whether a browser sends the request for a page of another origin, whichever may send
/// records.
pub(super) fn is_of_other_origin(headers: &HeaderMap) -> bool {
    Gate::default().is_foreign(&Found::of(headers))
}

impl<'a> Found<'a> {
    /// One pass over the headers, on the way of every request.
    fn of(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            if *name == HOST {
                found.host = Some(value);
            } else if *name == AUTHORIZATION {
                found.authorizations += 1;
            } else if *name == ORIGIN {
                found.origins.push(value);
            } else if *name == SEC_FETCH_SITE {
                found.cross_site |= !matches!(value.as_bytes(), b"same-origin" | b"none");
            }
        }
        found
    }

    fn origin_text(&self) -> String {
        match self.origins[..] {
            [origin] => String::from_utf8_lossy(origin.as_bytes()).into_owned(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn is_refused(method: &Method, given: &[(&'static str, &'static str)]) -> bool {
        let allowed = "https://app.example.com".parse().unwrap();
        let gate = Gate::new(vec![allowed]);
        gate.refusal(method, &headers(given)).is_some()
    }

    const HOST: (&str, &str) = ("host", "node.example.com:3000");

    #[test]
    fn what_a_browser_marks_as_cross_site_changes_nothing() {
        for given in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "anything"),
            ("origin", "https://evil.example.com"),
            ("origin", "http://node.example.com"),
            ("origin", "http://node.example.com:3001"),
            ("origin", "http://evil.example.com/node.example.com:3000"),
            ("origin", "null"),
            ("origin", ""),
        ] {
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
                assert!(is_refused(&method, &[HOST, given]), "{method} {given:?}");
            }
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                assert!(!is_refused(&method, &[HOST, given]), "{method} {given:?}");
            }
        }
        let without_host = [("origin", "http://node.example.com:3000")];
        assert!(is_refused(&Method::POST, &without_host));
    }

    #[test]
    fn pages_of_this_node_and_of_allowed_origins_and_other_clients_pass() {
        let own = ("origin", "http://node.example.com:3000");
        let allowed = ("origin", "https://app.example.com");
        for given in [
            &[HOST][..],
            &[HOST, own],
            &[HOST, own, ("sec-fetch-site", "same-origin")],
            &[HOST, ("sec-fetch-site", "none")],
            &[HOST, allowed],
            &[HOST, allowed, ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!is_refused(&Method::POST, given), "{given:?}");
        }
        let two = [HOST, allowed, ("origin", "https://evil.example.com")];
        assert!(is_refused(&Method::POST, &two));
    }

    #[test]
    fn a_browser_says_for_which_site_it_asks() {
        for (site, is_other) in [
            ("cross-site", true),
            ("same-site", true),
            ("same-origin", false),
            ("none", false),
        ] {
            let headers = headers(&[HOST, ("sec-fetch-site", site)]);
            assert_eq!(is_cross_site(&headers), is_other, "{site}");
        }
        assert!(!is_cross_site(&headers(&[HOST])));
    }

    #[test]
    fn a_second_authorization_is_refused_whatever_it_says() {
        let one = [HOST, ("authorization", "Bearer a")];
        assert!(!is_refused(&Method::POST, &one));
        for method in [Method::POST, Method::GET] {
            let two = [one[0], one[1], ("authorization", "Bearer a")];
            assert!(is_refused(&method, &two), "{method}");
        }
    }
}
