//! Which stream a request is for: `/streams/<s>` before the path, or the header
//! `Sluice-Stream`; without either, the default one.

use std::sync::Arc;

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::problem::Problem;
use crate::stream::{Found, Stream, Streams};
use sluice_types::excerpt::excerpt;

/// Names the stream of a request.
const STREAM: HeaderName = HeaderName::from_static("sluice-stream");
/// What stands before the name in a path.
const PREFIX: &str = "/streams/";
/// The most characters of a wrong name in an answer.
const NAME_CHARS: usize = 100;

/// The stream that the path named, before that was taken off the path.
#[derive(Clone, Debug)]
struct InPath(Arc<str>);

/// Takes the name of a stream off the path, and keeps it with the request. False if
/// the path names none.
pub(super) fn take_prefix(request: &mut Request<Body>) -> bool {
    let Some((name, rest)) = split(request.uri().path()) else {
        return false;
    };
    let name = Arc::from(name);
    let path = match request.uri().query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let Ok(path) = PathAndQuery::try_from(path) else {
        return false;
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    let Ok(uri) = Uri::from_parts(parts) else {
        return false;
    };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(InPath(name));
    true
}

/// The path behind the name of a stream; the path itself if it names none.
pub(super) fn without_prefix(path: &str) -> &str {
    split(path).map_or(path, |(_, rest)| rest)
}

/// The path as the client sent it.
pub(super) fn with_prefix(extensions: &Extensions, path: &str) -> String {
    match extensions.get() {
        Some(InPath(name)) => format!("{PREFIX}{name}{path}"),
        None => path.to_owned(),
    }
}

/// The stream that a request is for.
///
/// # Errors
/// There is none of this name, or path and header name two.
pub(super) fn stream_of(
    streams: &Streams,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Result<Arc<Stream>, Problem> {
    let in_path = extensions.get().map(|InPath(name)| name.as_bytes());
    let in_headers = headers.get_all(STREAM).into_iter();
    let mut names = in_path
        .into_iter()
        .chain(in_headers.map(HeaderValue::as_bytes));
    let Some(name) = names.next() else {
        return Ok(Arc::clone(streams.default_stream()));
    };
    if let Some(other) = names.find(|other| *other != name) {
        let (name, other) = (shown(name), shown(other));
        return Err(Problem::Malformed(format!(
            "the request names two streams, {name:?} and {other:?}, by its path or by \
             Sluice-Stream"
        )));
    }
    match str::from_utf8(name) {
        Ok(name) => named(streams, name),
        Err(_) => Err(Problem::NoStream(shown(name))),
    }
}

/// The stream of this name.
///
/// # Errors
/// There is none, or this node does not know yet whether there is.
pub(super) fn named(streams: &Streams, name: &str) -> Result<Arc<Stream>, Problem> {
    match streams.find(name) {
        Found::Open(stream) => Ok(stream),
        Found::NotYet => Err(Problem::Unavailable(
            "the stream is not open yet, or this node has not learned from Consul which streams \
             there are"
                .to_owned(),
        )),
        Found::Refused => Err(Problem::Unavailable(
            "this node takes part in as many streams as --max-streams allows, and not in this one"
                .to_owned(),
        )),
        Found::Nothing => Err(Problem::NoStream(shown(name.as_bytes()))),
    }
}

/// Checks that no header names another stream than the one that a route is for.
///
/// # Errors
/// One does.
pub(super) fn is_for(stream: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let mut named = headers.get_all(STREAM).into_iter();
    match named.find(|named| named.as_bytes() != stream.as_bytes()) {
        Some(other) => Err(Problem::NoStream(shown(other.as_bytes()))),
        None => Ok(()),
    }
}

/// Whether the path named a stream.
pub(super) fn is_in_path(extensions: &Extensions) -> bool {
    extensions.get::<InPath>().is_some()
}

fn shown(name: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(name), NAME_CHARS).into_owned()
}

/// The name of a stream at the start of a path, and the path behind it.
fn split(path: &str) -> Option<(&str, &str)> {
    let named = path.strip_prefix(PREFIX)?;
    let (name, _) = named.split_once('/')?;
    Some((name, named.get(name.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(uri: &str) -> Option<(String, String)> {
        let mut request = Request::post(uri).body(Body::empty()).unwrap();
        if !take_prefix(&mut request) {
            assert_eq!(request.uri(), uri);
            return None;
        }
        let InPath(name) = request.extensions().get().unwrap();
        let path = request.uri().path_and_query().unwrap();
        let as_sent = with_prefix(request.extensions(), path.as_str());
        assert_eq!(
            as_sent,
            *uri.parse::<Uri>().unwrap().path_and_query().unwrap()
        );
        Some((name.to_string(), path.to_string()))
    }

    #[test]
    fn the_name_is_taken_off_the_path() {
        let pair = |name: &str, path: &str| Some((name.to_owned(), path.to_owned()));
        assert_eq!(taken("/streams/audit/v1/logs"), pair("audit", "/v1/logs"));
        assert_eq!(taken("/streams/a/_bulk?x=1"), pair("a", "/_bulk?x=1"));
        assert_eq!(taken("/streams/a/"), pair("a", "/"));
        assert_eq!(
            taken("http://host:1/streams/a/b/c").map(|(_, path)| path),
            Some("/b/c".into())
        );
        for other in ["/streams/audit", "/streams", "/v1/logs", "/a/streams/b/c"] {
            assert_eq!(taken(other), None, "{other}");
            assert_eq!(without_prefix(other), other);
        }
        assert_eq!(without_prefix("/streams/audit/gelf"), "/gelf");
    }
}
