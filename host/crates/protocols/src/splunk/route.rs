//! The paths of the collector.

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To take events: [`super::event::decode`].
    Event,
    /// To take lines: [`super::raw::decode`].
    Raw,
    /// Whether events are indexed: [`super::ack::answer`].
    Ack,
    /// Whether events can be sent: [`super::answer::health`]. Asked for without
    /// a token.
    Health,
    /// Whether the collector is there: [`super::answer::options`]. Docker asks
    /// without a token, and starts no container if the answer is not 200.
    Options,
}

/// What a request with this method and path, without its query, asks for. `None`
/// if it is not one of the collector's.
#[must_use]
pub fn route(method: &str, path: &str) -> Option<Route> {
    let path = path.strip_prefix("/services/collector")?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let route = match path {
        "" | "/event" | "/event/1.0" | "/1.0" => Route::Event,
        "/raw" | "/raw/1.0" => Route::Raw,
        "/ack" | "/ack/1.0" => Route::Ack,
        "/health" | "/health/1.0" => Route::Health,
        _ => return None,
    };
    match (method, route) {
        ("OPTIONS", _) => Some(Route::Options),
        ("GET" | "HEAD", Route::Health) => Some(route),
        ("POST", Route::Event | Route::Raw | Route::Ack) => Some(route),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_of_a_client_has_its_route() {
        for (method, path, expected) in [
            ("POST", "/services/collector", Some(Route::Event)),
            ("POST", "/services/collector/event", Some(Route::Event)),
            ("POST", "/services/collector/event/1.0", Some(Route::Event)),
            ("POST", "/services/collector/event/", Some(Route::Event)),
            ("POST", "/services/collector/raw", Some(Route::Raw)),
            ("POST", "/services/collector/raw/1.0", Some(Route::Raw)),
            ("POST", "/services/collector/ack", Some(Route::Ack)),
            ("GET", "/services/collector/health", Some(Route::Health)),
            (
                "HEAD",
                "/services/collector/health/1.0",
                Some(Route::Health),
            ),
            ("OPTIONS", "/services/collector", Some(Route::Options)),
            (
                "OPTIONS",
                "/services/collector/event/1.0",
                Some(Route::Options),
            ),
            (
                "OPTIONS",
                "/services/collector/health",
                Some(Route::Options),
            ),
            ("GET", "/services/collector", None),
            ("POST", "/services/collector/health", None),
            ("OPTIONS", "/services/collector/mint", None),
            ("POST", "/services/collectors", None),
            ("POST", "/", None),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }
}
