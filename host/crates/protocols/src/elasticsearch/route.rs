//! Which requests are Elasticsearch's.

use std::borrow::Cow;

use super::handshake::Handshake;
use super::items::Action;

/// First segments of paths that are not Elasticsearch's. They win over the names
/// of indexes.
const RESERVED: [&str; 16] = [
    "streams",
    "api",
    "ui",
    "v1",
    "loki",
    "otlp",
    "services",
    "healthz",
    "readyz",
    "metrics",
    "internal",
    "gelf",
    "heroku",
    "cloudflare",
    "ready",
    "upload",
];
/// No path of Elasticsearch has more segments.
const SEGMENTS_MAX: usize = 6;
/// No index has a longer name, in bytes.
const INDEX_BYTES_MAX: usize = 255;
/// First segments of paths to things that clients create before they send: each
/// with the second segment that it must have, if any.
const CREATED: [(&str, Option<&str>); 7] = [
    ("_index_template", None),
    ("_component_template", None),
    ("_template", None),
    ("_data_stream", None),
    ("_alias", None),
    ("_ilm", Some("policy")),
    ("_ingest", Some("pipeline")),
];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// Many documents.
    Bulk {
        /// The index of documents that name none.
        index: Option<Cow<'a, str>>,
    },
    /// One document.
    Document {
        /// Its index.
        index: Cow<'a, str>,
        /// Its id, if the client gives one.
        id: Option<Cow<'a, str>>,
        /// What is to be done with it.
        action: Action,
    },
    /// Something else that clients ask for.
    Handshake(Handshake),
    /// Elasticsearch's, but not known here.
    NotFound,
}

/// What a request with this method, path and query asks for; `None` if the path is
/// not Elasticsearch's. The path is as it was sent, with its percent signs.
#[must_use]
pub fn route<'a>(method: &str, path: &'a str, query: &str) -> Option<Route<'a>> {
    let mut segments = [""; SEGMENTS_MAX];
    let mut count = 0;
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    let segments = segments.get(..count)?;
    match segments {
        [first, ..] if RESERVED.contains(first) => None,
        [] => is_read(method).then_some(Route::Handshake(Handshake::Info)),
        [first, ..] if first.starts_with('_') => Some(of_api(method, segments)),
        [index, rest @ ..] => of_index(method, index_of(index)?, rest, query),
    }
}

/// A path that begins with an API.
fn of_api<'a>(method: &str, segments: &[&'a str]) -> Route<'a> {
    let handshake = match segments {
        ["_bulk"] if is_write(method) => return Route::Bulk { index: None },
        ["_license"] if is_read(method) => Handshake::License,
        ["_xpack"] if is_read(method) => Handshake::XPack,
        ["_cluster", "health", ..] if is_read(method) => Handshake::ClusterHealth,
        ["_cat", "health"] if is_read(method) => Handshake::CatHealth,
        ["_nodes", ..] if is_read(method) => Handshake::Nodes,
        ["_refresh" | "_flush"] => Handshake::Refresh,
        [first, rest @ ..] if is_created(first, rest) => return created(method),
        _ => return Route::NotFound,
    };
    Route::Handshake(handshake)
}

/// A path that begins with an index.
fn of_index<'a>(
    method: &str,
    index: Cow<'a, str>,
    rest: &[&'a str],
    query: &str,
) -> Option<Route<'a>> {
    let document = |id: Option<&'a str>, action| Route::Document {
        index: index.clone(),
        id: id.map(decoded),
        action,
    };
    let default = match query.split('&').any(|pair| pair == "op_type=create") {
        true => Action::Create,
        false => Action::Index,
    };
    Some(match rest {
        ["_bulk"] | [_, "_bulk"] if is_write(method) => Route::Bulk { index: Some(index) },
        ["_doc"] if is_write(method) => document(None, default),
        ["_doc", id] if is_write(method) => document(Some(id), default),
        ["_create", id] if is_write(method) => document(Some(id), Action::Create),
        [kind] if is_write(method) && !kind.starts_with('_') => document(None, default),
        // Whether an index exists, and to create one. What a browser may ask for is
        // not Elasticsearch's.
        [] if matches!(method, "HEAD" | "PUT") => created(method),
        ["_refresh" | "_flush"] => Route::Handshake(Handshake::Refresh),
        [api, ..] if api.starts_with('_') => Route::NotFound,
        _ => return None,
    })
}

fn is_write(method: &str) -> bool {
    matches!(method, "POST" | "PUT")
}

fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// Whether a path leads to one of the things that clients create.
fn is_created(first: &str, rest: &[&str]) -> bool {
    let known = CREATED.iter().find(|(name, _)| *name == first);
    known.is_some_and(|(_, second)| second.is_none_or(|second| rest.first() == Some(&second)))
}

/// The answers to requests for such things: they exist, and may be created.
fn created<'a>(method: &str) -> Route<'a> {
    match method {
        "GET" | "HEAD" => Route::Handshake(Handshake::Exists),
        "PUT" | "POST" => Route::Handshake(Handshake::Acknowledged),
        _ => Route::NotFound,
    }
}

/// The index of this name, if Elasticsearch could have one.
fn index_of(segment: &str) -> Option<Cow<'_, str>> {
    let name = decoded(segment);
    let is_wrong = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_control() || b"\\*?\"| ,#:".contains(&byte)
    };
    // A name in angle brackets is computed from the date.
    let is_computed = name.starts_with('<') && name.ends_with('>');
    let is_name = !name.starts_with(['_', '-', '+']) && !name.bytes().any(is_wrong);
    let is_dots = matches!(&*name, "." | "..");
    let is_free = !is_dots && !RESERVED.contains(&&*name);
    let is_index = (is_name || is_computed) && is_free && name.len() <= INDEX_BYTES_MAX;
    is_index.then_some(name)
}

/// The text of a segment. One that is not UTF-8 stays as it is.
fn decoded(segment: &str) -> Cow<'_, str> {
    let mut parts = segment.split('%');
    let mut text = parts.next().unwrap_or_default().as_bytes().to_vec();
    if text.len() == segment.len() {
        return Cow::Borrowed(segment);
    }
    for part in parts {
        let byte = part
            .as_bytes()
            .split_at_checked(2)
            .and_then(|(digits, rest)| {
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                Some((byte, rest))
            });
        let Some((byte, rest)) = byte else {
            return Cow::Borrowed(segment);
        };
        text.extend_from_slice(&byte);
        text.extend_from_slice(rest);
    }
    String::from_utf8(text).map_or(Cow::Borrowed(segment), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(index: Option<&str>) -> Option<Route<'_>> {
        let index = index.map(Cow::Borrowed);
        Some(Route::Bulk { index })
    }

    fn document<'a>(index: &'a str, id: Option<&'a str>, action: Action) -> Option<Route<'a>> {
        Some(Route::Document {
            index: index.into(),
            id: id.map(Cow::Borrowed),
            action,
        })
    }

    fn handshake(handshake: Handshake) -> Option<Route<'static>> {
        Some(Route::Handshake(handshake))
    }

    #[test]
    fn documents_have_their_paths() {
        for (method, path, expected) in [
            ("POST", "/_bulk", bulk(None)),
            ("PUT", "/_bulk", bulk(None)),
            ("POST", "//_bulk/", bulk(None)),
            ("POST", "/logs-app/_bulk", bulk(Some("logs-app"))),
            ("PUT", "/logs/events/_bulk", bulk(Some("logs"))),
            ("POST", "/logs/_doc", document("logs", None, Action::Index)),
            (
                "PUT",
                "/logs/_doc/7",
                document("logs", Some("7"), Action::Index),
            ),
            (
                "PUT",
                "/%3Clogs-%7Bnow%2Fd%7D%3E/_create/a%20b%C3%A9",
                document("<logs-{now/d}>", Some("a bé"), Action::Create),
            ),
            (
                "POST",
                "/logs/events",
                document("logs", None, Action::Index),
            ),
            ("GET", "/_bulk", Some(Route::NotFound)),
            ("GET", "/logs/_search", Some(Route::NotFound)),
            ("DELETE", "/logs/_doc/7", Some(Route::NotFound)),
            ("POST", "/_search", Some(Route::NotFound)),
        ] {
            assert_eq!(
                route(method, path, "refresh=true"),
                expected,
                "{method} {path}"
            );
        }
        let created = route("POST", "/logs/_doc", "refresh=true&op_type=create");
        assert_eq!(created, document("logs", None, Action::Create));
    }

    #[test]
    fn handshakes_have_their_paths() {
        for (method, path, expected) in [
            ("GET", "/", Handshake::Info),
            ("HEAD", "/", Handshake::Info),
            ("GET", "/_license", Handshake::License),
            ("GET", "/_xpack", Handshake::XPack),
            ("GET", "/_cluster/health", Handshake::ClusterHealth),
            ("GET", "/_cluster/health/logs", Handshake::ClusterHealth),
            ("GET", "/_cat/health", Handshake::CatHealth),
            ("GET", "/_nodes/http", Handshake::Nodes),
            ("GET", "/_nodes/_all/http", Handshake::Nodes),
            ("HEAD", "/_index_template/template_logs", Handshake::Exists),
            ("GET", "/_template/filebeat-8.17.0", Handshake::Exists),
            ("PUT", "/_component_template/a", Handshake::Acknowledged),
            ("GET", "/_ilm/policy/filebeat", Handshake::Exists),
            ("PUT", "/_ilm/policy/filebeat", Handshake::Acknowledged),
            ("PUT", "/_ingest/pipeline/a", Handshake::Acknowledged),
            ("GET", "/_data_stream/filebeat-8.17.0", Handshake::Exists),
            ("HEAD", "/_alias/logs", Handshake::Exists),
            ("HEAD", "/logs", Handshake::Exists),
            ("PUT", "/logs", Handshake::Acknowledged),
        ] {
            assert_eq!(
                route(method, path, ""),
                handshake(expected),
                "{method} {path}"
            );
        }
        for path in ["/_ilm", "/_ilm/status", "/_nodez", "/_cat/indices"] {
            assert_eq!(route("GET", path, ""), Some(Route::NotFound), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_elasticsearchs() {
        for (method, path) in [
            ("POST", "/"),
            ("GET", "/nothing"),
            ("GET", "/favicon.ico"),
            ("POST", "/logs"),
            ("GET", "/logs/events"),
            ("POST", "/a/b/c/d/e/f/g"),
            ("POST", "/vector.Vector/PushEvents"),
            ("POST", "/Logs/events"),
            ("POST", "/-logs/events"),
            ("POST", "/a,b/_bulk"),
            ("POST", "/../_bulk"),
            ("POST", "/a%00/_bulk"),
            ("POST", "/%61pi/_bulk"),
        ] {
            assert_eq!(route(method, path, ""), None, "{method} {path}");
        }
        for reserved in RESERVED {
            for rest in ["", "/_bulk", "/_doc/1", "/events"] {
                let path = format!("/{reserved}{rest}");
                for method in ["GET", "HEAD", "POST", "PUT"] {
                    assert_eq!(route(method, &path, ""), None, "{method} {path}");
                }
            }
        }
    }

    #[test]
    fn a_path_may_be_anything() {
        let long = "/".repeat(1 << 16) + &"%".repeat(1 << 10);
        for path in ["", "%", "/%zz/_bulk", "/%e2%82/_doc/%", "/é/_bulk", &long] {
            let routed = route("POST", path, "");
            let is_bulk = matches!(&routed, Some(Route::Bulk { .. }));
            assert_eq!(is_bulk, path.ends_with("_bulk"), "{routed:?}");
        }
        let kept = route("POST", "/logs/_doc/%e2%82", "");
        assert_eq!(kept, document("logs", Some("%e2%82"), Action::Index));
    }
}
