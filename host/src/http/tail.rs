//! Records as they pass, as server-sent events: for clients of this node, and for
//! other nodes whose clients watch the leader.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONNECTION};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use futures_util::StreamExt;

use super::chosen::{is_in_path, named, stream_of};
use super::problem::Problem;
use super::reading;
use super::response::{EVENTS, typed};
use crate::peer::{LeaderClient, TailRequest};
use crate::stream::{Stream, Streams};
use crate::tail::{Full, Places, Session, SessionParts};
use sluice_access::{Access, Client, Scope};
use sluice_protocols::query;
use sluice_types::record::Severity;
use sluice_types::record_document::SeverityDocument;

/// Asks proxies such as nginx to pass events on at once.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What the routes work with.
#[derive(Debug)]
pub(crate) struct TailContext {
    parts: Arc<SessionParts>,
    streams: Streams,
    access: Arc<Access>,
}

impl TailContext {
    /// `node` is this node's name.
    pub(crate) fn new(
        node: String,
        leaders: Arc<LeaderClient>,
        streams: Streams,
        access: Arc<Access>,
    ) -> Arc<Self> {
        let parts = SessionParts {
            node,
            leaders,
            places: Places::default(),
        };
        let parts = Arc::new(parts);
        Arc::new(Self {
            parts,
            streams,
            access,
        })
    }

    /// The answer to a request for what passes at a stream.
    ///
    /// # Errors
    /// Too many watch already, the request exceeds a limit, or the node is stopping.
    pub(super) fn answer(
        &self,
        stream: &Stream,
        request: TailRequest,
        client: Option<Arc<Client>>,
    ) -> Result<Response, Problem> {
        let request = request.checked().map_err(Problem::Malformed)?;
        if stream.is_stopping() {
            return Err(Problem::Stopping);
        }
        let session = Session::begin(&self.parts, stream, request);
        let session = session.map_err(|Full(most)| {
            Problem::Busy(format!(
                "{most} clients watch already, which is the most; close one of them"
            ))
        })?;
        let revoked = revoked(Arc::clone(&self.access), client, stream.name.clone());
        let events = session.events().take_until(Box::pin(revoked));
        let events = events.map(Ok::<_, Infallible>);
        let mut answer = typed(StatusCode::OK, EVENTS, Body::from_stream(events));
        let headers = answer.headers_mut();
        // When it ends, the node does.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(BUFFERING, HeaderValue::from_static("no"));
        Ok(answer)
    }
}

/// The route for clients.
pub(super) fn routes(context: Arc<TailContext>) -> Router {
    Router::new()
        .route("/api/v1/tail", get(tail))
        .with_state(context)
}

async fn tail(State(context): State<Arc<TailContext>>, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let answer = begin(&context, &head);
    answer.unwrap_or_else(|problem| problem.response(&head.headers))
}

fn begin(context: &TailContext, head: &Parts) -> Result<Response, Problem> {
    let (stream, request) = asked(head.uri.query().unwrap_or_default())?;
    let in_path = is_in_path(&head.extensions);
    let found = match &stream {
        Some(stream) if !in_path => {
            let client = reading::check(&context.access, head, stream)?;
            let found = named(&context.streams, stream)?;
            return context.answer(&found, request, client);
        }
        _ => stream_of(&context.streams, &head.extensions, &head.headers)?,
    };
    if let Some(other) = stream.filter(|other| **other != found.name) {
        return Err(malformed(&format!(
            "the request names two streams, {:?} by its path and {other:.100?} by its query",
            found.name
        )));
    }
    let client = reading::check(&context.access, head, &found.name)?;
    context.answer(&found, request, client)
}

/// Waits until the client may not read any more. Others may for ever.
async fn revoked(access: Arc<Access>, client: Option<Arc<Client>>, stream: String) {
    let mut changes = access.changes();
    if let Some(client) = client {
        while changes.changed().await.is_ok() {
            if access.renewed(&client, Scope::Read, &stream).is_err() {
                return;
            }
        }
    }
    std::future::pending().await
}

/// Reads the name of the stream and the conditions from a query.
fn asked(query: &str) -> Result<(Option<Cow<'_, str>>, TailRequest), Problem> {
    let mut stream = None;
    let mut request = TailRequest::default();
    for (name, value) in query::pairs(query) {
        match &*name {
            "stream" => stream = Some(value),
            "filter" => request.filter = Some(value.into_owned()),
            "severity" => request.severity = severity(&value)?,
            "attribute" => {
                let (name, value) = value.split_once('=').ok_or_else(|| {
                    malformed("attribute must be a name, = and a value: attribute=host=web-1")
                })?;
                request.attributes.push((name.to_owned(), value.to_owned()));
            }
            "limit" => {
                let limit = value.parse();
                request.limit = limit.map_err(|_| malformed("limit must be a number"))?;
            }
            other => {
                return Err(malformed(&format!(
                    "{other:.100?} is unknown; there are filter, severity, attribute, limit and \
                     stream"
                )));
            }
        }
    }
    Ok((stream, request))
}

/// The least severity by its name in a query; all are wanted if it is empty.
fn severity(name: &str) -> Result<Option<SeverityDocument>, Problem> {
    if name.is_empty() {
        return Ok(None);
    }
    let severity = sluice_protocols::severity::of_name(name).unwrap_or(Severity::Unspecified);
    let known = SeverityDocument::of(severity);
    known.map(Some).ok_or_else(|| {
        malformed("severity must be one of trace, debug, info, warn, error and fatal")
    })
}

fn malformed(what: &str) -> Problem {
    Problem::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        let refused = asked(query).and_then(|(_, request)| {
            let checked = request.checked();
            checked.map_err(Problem::Malformed)
        });
        refused.unwrap_err().text().into_owned()
    }

    #[test]
    fn a_query_names_what_is_wanted() {
        let query = "filter=disk+is%20full&severity=Warning&attribute=host%3Dweb-1\
                     &attribute=a%3db%3Dc&limit=7&stream=other";
        let (stream, request) = asked(query).unwrap();
        assert_eq!(stream.as_deref(), Some("other"));
        let expected = TailRequest {
            filter: Some("disk is full".to_owned()),
            severity: Some(SeverityDocument::Warn),
            attributes: [("host", "web-1"), ("a", "b=c")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            limit: 7,
            follow: true,
        };
        assert_eq!(request, expected);
        let (stream, request) = asked("").unwrap();
        assert_eq!((stream, request), (None, TailRequest::default()));
        assert_eq!(asked("severity=&filter=").unwrap().1.severity, None);
    }

    #[test]
    fn a_query_that_means_nothing_is_refused() {
        for (query, text) in [
            ("limit=many", "limit must be a number"),
            ("limit=0", "the limit must be from 1 to 1000"),
            ("severity=loud", "severity must be one of"),
            ("attribute=host", "attribute must be a name"),
            ("filtre=x", "\"filtre\" is unknown"),
        ] {
            let refusal = refusal(query);
            assert!(refusal.contains(text), "{query}: {refusal}");
        }
    }
}
