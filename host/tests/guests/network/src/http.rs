//! HTTP requests.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// One more than an instance may have under way.
const MANY: usize = 17;
/// The most of an answer that is read.
const MAX_ANSWER: usize = 64 << 10;
/// What a sink that makes traces itself would send.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// What a sink could try to sign a request with.
const FORGED: [(&str, &str); 4] = [
    ("authorization", "AWS4-HMAC-SHA256 Credential=forged"),
    ("x-amz-date", "20000101T000000Z"),
    ("x-amz-security-token", "forged"),
    ("x-amz-meta-own", " of  the sink "),
];

/// Sends a request, and returns the status and the body of the answer.
pub(crate) fn request(method: &str, url: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
    answer(&begin(method, url, body)?)
}

/// Sends many requests before it waits, and returns what came of the last.
pub(crate) fn many(url: &str) -> Result<String, String> {
    let begun: Result<Vec<_>, _> = (0..MANY).map(|_| begin("GET", url, &[])).collect();
    let begun = begun?;
    let last = begun.last().ok_or("none")?;
    answer(last).map(|(status, _)| status.to_string())
}

fn begin(method: &str, url: &str, body: &[u8]) -> Result<FutureIncomingResponse, String> {
    let request = build(method, url)?;
    let sent = request.body().map_err(|()| "no body")?;
    let answer = handle(request, None).map_err(|error| format!("{error:?}"))?;
    send(sent, body)?;
    Ok(answer)
}

fn build(method: &str, url: &str) -> Result<OutgoingRequest, String> {
    with_headers(method, url, Fields::new())
}

fn with_headers(method: &str, url: &str, headers: Fields) -> Result<OutgoingRequest, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match method {
        "POST" => Method::Post,
        "GET" => Method::Get,
        other => Method::Other(other.to_owned()),
    };
    let request = OutgoingRequest::new(headers);
    let set = request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "not a valid target".to_owned())?;
    Ok(request)
}

/// Sends a request with a trace of its own, and returns the answer's body.
pub(crate) fn traced(url: &str) -> Result<String, String> {
    let headers = Fields::new();
    let set = headers.append("traceparent", TRACEPARENT.as_bytes());
    set.map_err(|error| format!("{error:?}"))?;
    fetch(with_headers("GET", url, headers)?)
}

/// Sends a request with a signature of its own, and returns the answer's body.
pub(crate) fn forge(url: &str) -> Result<String, String> {
    let headers = Fields::new();
    for (name, value) in FORGED {
        let set = headers.append(name, value.as_bytes());
        set.map_err(|error| format!("{error:?}"))?;
    }
    fetch(with_headers("GET", url, headers)?)
}

fn fetch(request: OutgoingRequest) -> Result<String, String> {
    let body = request.body().map_err(|()| "no body")?;
    let begun = handle(request, None).map_err(|error| format!("{error:?}"))?;
    send(body, &[])?;
    let (_, body) = answer(&begun)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Sends half of a body, and traps.
#[expect(clippy::panic, reason = "the tests need it")]
pub(crate) fn cut_off(url: &str) -> Result<String, String> {
    let request = build("POST", url)?;
    let body = request.body().map_err(|()| "no body")?;
    let _answer = handle(request, None).map_err(|error| format!("{error:?}"))?;
    let stream = body.write().map_err(|()| "no stream")?;
    stream
        .blocking_write_and_flush(b"half")
        .map_err(|error| format!("{error:?}"))?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    panic!("a panic in the middle of a request");
}

fn send(sent: OutgoingBody, mut body: &[u8]) -> Result<(), String> {
    let stream = sent.write().map_err(|()| "no stream")?;
    while !body.is_empty() {
        let permitted = match stream.check_write() {
            Ok(0) => {
                stream.subscribe().block();
                continue;
            }
            Ok(permitted) => usize::try_from(permitted).unwrap_or(usize::MAX),
            // The answer says why.
            Err(_) => break,
        };
        let (now, later) = body.split_at(permitted.min(body.len()));
        if stream.write(now).is_err() {
            break;
        }
        body = later;
    }
    drop(stream);
    // An error is that of the request.
    drop(OutgoingBody::finish(sent, None));
    Ok(())
}

fn answer(request: &FutureIncomingResponse) -> Result<(u16, Vec<u8>), String> {
    request.subscribe().block();
    let answered = request.get().ok_or("no answer")?;
    let answer: IncomingResponse = answered
        .map_err(|()| "taken already")?
        .map_err(|error| format!("{error:?}"))?;
    let body = answer.consume().map_err(|()| "no body")?;
    Ok((answer.status(), read(&body)?))
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut read = Vec::new();
    while read.len() < MAX_ANSWER {
        match stream.blocking_read(4096) {
            Ok(part) => read.extend(part),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    Ok(read)
}
