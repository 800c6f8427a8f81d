//! The web page: its files, which are inside the program.

mod answer;
mod asset;
mod files;

use axum::Router;
use axum::extract::Path;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;

use super::response::plain;

/// Where the page is.
const PAGE: &str = "/ui/";

/// The routes for browsers.
pub(super) fn routes() -> Router {
    let first = |headers: HeaderMap| async move { answer::of("index.html", &headers) };
    let named =
        |Path(name): Path<String>, headers: HeaderMap| async move { answer::of(&name, &headers) };
    Router::new()
        .route("/ui", get(async || redirect()))
        .route(PAGE, get(first))
        .route("/ui/{*name}", get(named))
}

/// Leads a browser to the page.
pub(super) fn redirect() -> Response {
    let mut answer = plain(StatusCode::FOUND, format!("see {PAGE}"));
    let location = HeaderValue::from_static(PAGE);
    answer.headers_mut().insert(LOCATION, location);
    answer
}
