use super::*;
use axum::Router;
use axum::body::Body as AnswerBody;
use axum::http;
use axum::response::Redirect;
use axum::routing::get;
use sluice_types::error_chain::chain;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const LIMIT: u64 = 1000;

/// Serves these routes, and returns the origin.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// Answers one request with these bytes, and closes the connection.
async fn answer(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(bytes).await.unwrap();
    });
    origin
}

async fn download(url: String) -> Result<Vec<u8>, HttpError> {
    let http = Http::new(Duration::from_millis(300)).unwrap();
    http.download(&url.parse().unwrap(), LIMIT).await
}

async fn refused(url: String) -> HttpError {
    download(url).await.unwrap_err()
}

#[tokio::test]
async fn a_few_redirects_are_followed() {
    let hops = |from: usize| async move { Redirect::temporary(&format!("/{}", from - 1)) };
    let router = (1..=6).fold(Router::new(), |router, from| {
        router.route(&format!("/{from}"), get(move || hops(from)))
    });
    let origin = serve(router.route("/0", get(|| async { "component" }))).await;
    assert_eq!(download(format!("{origin}/5")).await.unwrap(), b"component");
    let error = refused(format!("{origin}/6")).await;
    assert!(matches!(error, HttpError::Redirects(_)), "{error}");
}

#[tokio::test]
async fn redirects_that_go_nowhere_are_refused() {
    let router = Router::new()
        .route("/loop", get(|| async { Redirect::permanent("/loop") }))
        .route(
            "/file",
            get(|| async { Redirect::permanent("file:///etc/passwd") }),
        )
        .route("/bare", get(|| async { http::StatusCode::FOUND }));
    let origin = serve(router).await;
    let error = refused(format!("{origin}/loop?signature=secret")).await;
    assert!(matches!(error, HttpError::Redirects(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    for path in ["file", "bare"] {
        let error = refused(format!("{origin}/{path}")).await;
        assert!(matches!(error, HttpError::Location(_)), "{error}");
    }
}

#[test]
fn a_redirect_does_not_lead_out_of_tls() {
    let lead = |from: &str, to: &str| {
        let response = http::Response::builder().header("location", to).body("");
        location(&from.parse().unwrap(), &response.unwrap().into())
    };
    let downgraded = lead("https://a/x", "http://a/y");
    assert!(matches!(downgraded, Err(HttpError::Downgrade { .. })));
    assert_eq!(lead("https://a/x", "y").unwrap().as_str(), "https://a/y");
    assert_eq!(
        lead("http://a/x", "https://b/").unwrap().as_str(),
        "https://b/"
    );
}

#[tokio::test]
async fn authorization_goes_to_no_other_origin() {
    let show =
        |headers: http::HeaderMap| async move { format!("{:?}", headers.get("authorization")) };
    let other = serve(Router::new().route("/x", get(show))).await;
    let away = move || async move { Redirect::temporary(&format!("{other}/x")) };
    let router = Router::new()
        .route("/away", get(away))
        .route("/here", get(show));
    let origin = serve(router).await;
    let http = Http::new(Duration::from_secs(5)).unwrap();
    for (path, is_shown) in [("away", false), ("here", true)] {
        let mut ask = Ask::new(Method::GET, format!("{origin}/{path}").parse().unwrap());
        ask.authorization = Some(HeaderValue::from_static("Basic secret"));
        let response = http.ask(&ask).await.unwrap();
        let body = http.body(response, LIMIT).await.unwrap();
        let shown = String::from_utf8(body).unwrap();
        assert_eq!(shown.contains("secret"), is_shown, "{path}: {shown}");
    }
}

#[tokio::test]
async fn a_body_is_never_larger_than_the_limit_whatever_its_length_is_said_to_be() {
    let endless = || async {
        let pieces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(100)));
        AnswerBody::from_stream(pieces)
    };
    let origin = serve(Router::new().route("/", get(endless))).await;
    let claims = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nxxx").await;
    let error = refused(origin).await;
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
    // The length is not believed, so that it is an end in the middle.
    let error = refused(claims).await;
    assert!(matches!(error, HttpError::Transport { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_stops_or_is_silent_is_named() {
    let cut = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    let error = refused(cut.clone()).await;
    assert!(error.to_string().contains(&cut), "{error}");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let hang = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await
    };
    let silent = serve(Router::new().route("/", get(hang))).await;
    let error = refused(silent).await;
    assert!(error.to_string().contains("sent nothing for"), "{error}");
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let error = refused("http://127.0.0.1:1/".to_owned()).await;
    assert!(chain(&error).contains("refused"), "{}", chain(&error));
}

#[tokio::test]
async fn only_a_success_is_a_component() {
    let router = Router::new()
        .route(
            "/busy",
            get(|| async { http::StatusCode::SERVICE_UNAVAILABLE }),
        )
        .route("/denied", get(|| async { http::StatusCode::FORBIDDEN }));
    let origin = serve(router).await;
    for (path, status, may_pass) in [
        ("busy", "503", true),
        ("denied", "403", false),
        ("none", "404", false),
    ] {
        let error = refused(format!("{origin}/{path}")).await;
        assert!(error.to_string().contains(status), "{error}");
        assert_eq!(super::super::retry::MayPass::may_pass(&error), may_pass);
    }
}
