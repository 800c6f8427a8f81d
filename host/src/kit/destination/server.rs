//! The server: HTTP/1.1 on a thread of its own.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::answers;
use super::state::{Behaviour, State, unpacked};

/// Instead of an answer: the connection ends.
#[derive(Debug, Error)]
#[error("the destination closes the connection")]
struct Closes;

/// Listens, and returns the port. Ends with `ended`.
pub(super) fn start(state: Arc<State>, ended: oneshot::Receiver<()>) -> io::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("destination".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, state) => {}
                    // Also when the sender is gone.
                    _ = ended => {}
                }
            });
        })?;
    Ok(port)
}

async fn accept(listener: std::net::TcpListener, state: Arc<State>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        // After an error, such as no descriptor, the next one may succeed.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let answer = service_fn(move |request| answer(request, Arc::clone(&state)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // A client that goes away is no fault here.
    drop(connection.await);
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, Closes> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closes)?.to_bytes();
    let behaviour = state.arrived();
    match behaviour {
        Behaviour::Takes => {}
        Behaviour::Slow(pause) => tokio::time::sleep(pause).await,
        Behaviour::Refuses {
            status,
            retry_after,
        } => return Ok(refusal(status, retry_after)),
        Behaviour::Closes => return Err(Closes),
        Behaviour::Hangs => match pending::<Infallible>().await {},
    }
    let encoding = head.headers.get(CONTENT_ENCODING);
    let encoding = encoding.and_then(|value| value.to_str().ok());
    state.taken(&body, encoding);
    let path = head.uri.path();
    let (status, text) = match path.ends_with("/_bulk") {
        true => answers::taken(path, &unpacked(&body, encoding)),
        false => answers::taken(path, &body),
    };
    Ok(respond(status, text))
}

fn refusal(status: u16, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let mut response = respond(status, r#"{"error":"the destination refuses"}"#.to_owned());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn respond(status: u16, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
