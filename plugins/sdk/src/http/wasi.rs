//! Exchanges over `wasi:http`.

use std::time::{Duration, Instant};

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::error::Cause;
use super::limits::Limits;
use super::run::Run;
use super::{Answer, Error, Request};

/// What is read at once.
const PART: u64 = 64 << 10;

/// Sends the requests of a run, at most `at_once` at a time.
pub(super) fn exchange(limits: &Limits, run: &mut Run<'_>, at_once: usize) {
    let mut under_way: Vec<(usize, Exchange)> = Vec::new();
    loop {
        while under_way.len() < at_once {
            let Some((place, request)) = run.next() else {
                break;
            };
            match Exchange::begin(limits, request, run.end) {
                Ok(exchange) => under_way.push((place, exchange)),
                Err(error) => run.settle(place, Err(error)),
            }
        }
        if under_way.is_empty() {
            return;
        }
        let before = under_way.len();
        under_way.retain_mut(|(place, exchange)| match exchange.step() {
            Some(result) => {
                run.settle(*place, result);
                false
            }
            None => true,
        });
        if under_way.len() == before {
            wait(&under_way);
        }
    }
}

/// Waits until an exchange can go on, or its time is over.
fn wait(under_way: &[(usize, Exchange)]) {
    let deadlines = under_way.iter().map(|(_, exchange)| exchange.deadline);
    let until = deadlines.min().unwrap_or_else(Instant::now);
    let left = until.saturating_duration_since(Instant::now());
    let mut pollables: Vec<Pollable> = under_way.iter().flat_map(|(_, e)| e.events()).collect();
    let nanoseconds = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
    pollables.push(subscribe_duration(nanoseconds));
    let all: Vec<&Pollable> = pollables.iter().collect();
    poll(&all);
}

/// A request that is under way.
struct Exchange {
    target: String,
    origin: String,
    max_answer: usize,
    timeout: Duration,
    deadline: Instant,
    state: State,
    /// What is still to be sent. A server may answer before it has read all.
    upload: Option<Upload>,
}

enum State {
    Waiting(FutureIncomingResponse),
    Reading(Download),
}

/// The stream is dropped before the body that it belongs to.
struct Upload {
    stream: OutputStream,
    body: OutgoingBody,
    bytes: Vec<u8>,
    sent: usize,
}

/// The stream is dropped before the body, and that before the answer.
struct Download {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
    answer: Answer,
}

impl Exchange {
    fn begin(limits: &Limits, request: Request, end: Instant) -> Result<Self, Error> {
        let target = request.target();
        let origin = request.url.origin();
        let (answer, upload) = start(request).map_err(|problem| Error {
            cause: problem.cause(&origin),
            target: target.clone(),
        })?;
        let now = Instant::now();
        let deadline = (now + limits.timeout).min(end);
        Ok(Self {
            target,
            origin,
            max_answer: limits.max_answer,
            timeout: deadline.saturating_duration_since(now),
            deadline,
            state: State::Waiting(answer),
            upload: Some(upload),
        })
    }

    /// Goes on as far as possible without waiting. Returns what came of it once
    /// that is known.
    fn step(&mut self) -> Option<Result<Answer, Error>> {
        let result = match self.advance() {
            Ok(answer) => answer.map(Ok),
            Err(cause) => Some(Err(cause)),
        };
        let timed_out = || {
            let after = self.timeout;
            (Instant::now() >= self.deadline).then_some(Err(Cause::Timeout { after }))
        };
        let result = result.or_else(timed_out)?;
        Some(result.map_err(|cause| Error {
            target: std::mem::take(&mut self.target),
            cause,
        }))
    }

    fn advance(&mut self) -> Result<Option<Answer>, Cause> {
        if let State::Waiting(_) = &self.state {
            self.send();
        }
        if let State::Waiting(future) = &self.state
            && let Some(answered) = future.get()
        {
            let answered = answered.unwrap_or(Err(ErrorCode::InternalError(None)));
            let response = answered.map_err(|error| cause(&error, &self.origin))?;
            let target = std::mem::take(&mut self.target);
            self.state = State::Reading(Download::begin(response, target)?);
        }
        match &mut self.state {
            State::Waiting(_) => Ok(None),
            State::Reading(download) => {
                let done = download.read(self.max_answer);
                self.target.clone_from(&download.answer.target);
                Ok(done?.then(|| std::mem::replace(&mut download.answer, nothing())))
            }
        }
    }

    /// Sends as much of the body as the host takes.
    fn send(&mut self) {
        let is_done = self.upload.as_mut().is_some_and(Upload::send);
        if let (true, Some(upload)) = (is_done, self.upload.take_if(|_| is_done)) {
            let Upload { stream, body, .. } = upload;
            drop(stream);
            // If this fails, the answer says why.
            drop(OutgoingBody::finish(body, None));
        }
    }

    /// What it waits for.
    fn events(&self) -> impl Iterator<Item = Pollable> {
        let (upload, answer) = match &self.state {
            State::Waiting(future) => {
                let upload = self.upload.as_ref();
                (upload.map(|u| u.stream.subscribe()), future.subscribe())
            }
            State::Reading(download) => (None, download.stream.subscribe()),
        };
        upload.into_iter().chain([answer])
    }
}

impl Upload {
    /// Returns whether there is nothing more to send.
    fn send(&mut self) -> bool {
        loop {
            let rest = self.bytes.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                return true;
            }
            let permit = match self.stream.check_write() {
                Ok(0) => return false,
                Ok(permit) => usize::try_from(permit).unwrap_or(usize::MAX),
                // The answer says why.
                Err(_) => return true,
            };
            let (now, _) = rest.split_at(permit.min(rest.len()));
            if self.stream.write(now).is_err() {
                return true;
            }
            self.sent += now.len();
        }
    }
}

impl Download {
    fn begin(response: IncomingResponse, target: String) -> Result<Self, Cause> {
        let lost = || Cause::Connection("the answer has no body".to_owned());
        let headers = response.headers().entries().into_iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value));
        let answer = Answer {
            status: response.status(),
            headers: headers.collect(),
            target,
            ..nothing()
        };
        let body = response.consume().map_err(|()| lost())?;
        let stream = body.stream().map_err(|()| lost())?;
        Ok(Self {
            stream,
            _body: body,
            _response: response,
            answer,
        })
    }

    /// Reads what is there. Returns whether the answer is complete.
    fn read(&mut self, max: usize) -> Result<bool, Cause> {
        loop {
            let part = match self.stream.read(PART) {
                Ok(part) if part.is_empty() => return Ok(false),
                Ok(part) => part,
                Err(StreamError::Closed) => return Ok(true),
                Err(StreamError::LastOperationFailed(error)) => {
                    let why = error.to_debug_string();
                    // A backtrace of the host may follow.
                    let why = why.lines().next().unwrap_or_default();
                    let why = format!("the answer broke off: {why}");
                    return Err(Cause::Connection(why));
                }
            };
            let room = max.saturating_sub(self.answer.body.len());
            let kept = part.get(..room).unwrap_or(&part);
            self.answer.body.extend_from_slice(kept);
            if kept.len() < part.len() {
                self.answer.is_cut = true;
                return Ok(true);
            }
        }
    }
}

/// An answer that is not known yet.
fn nothing() -> Answer {
    Answer {
        status: 0,
        headers: Vec::new(),
        body: Vec::new(),
        is_cut: false,
        target: String::new(),
    }
}

/// Why a request did not even start.
enum Problem {
    Invalid(&'static str),
    Host(ErrorCode),
}

impl Problem {
    fn cause(&self, origin: &str) -> Cause {
        match self {
            Self::Invalid(what) => Cause::Invalid((*what).to_owned()),
            Self::Host(code) => cause(code, origin),
        }
    }
}

fn start(request: Request) -> Result<(FutureIncomingResponse, Upload), Problem> {
    let headers = Fields::new();
    let length = request.body.len().to_string();
    let own = [("content-length".to_owned(), length)];
    for (name, value) in request.headers.iter().chain(&own) {
        let appended = headers.append(name, value.as_bytes());
        appended.map_err(|_| Problem::Invalid("the node does not take one of its headers"))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let method = match request.method.as_str() {
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "GET" => Method::Get,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match request.url.scheme() {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    outgoing
        .set_method(&method)
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(request.url.authority())))
        .and_then(|()| outgoing.set_path_with_query(Some(&request.url.path_and_query())))
        .map_err(|()| Problem::Invalid("its method or URL is not valid"))?;
    let body = outgoing
        .body()
        .map_err(|()| Problem::Invalid("it has no body"))?;
    let stream = body
        .write()
        .map_err(|()| Problem::Invalid("it has no body"))?;
    let upload = Upload {
        stream,
        body,
        bytes: request.body,
        sent: 0,
    };
    // `upload` is dropped before an error is returned, and with it the request.
    let answer = handle(outgoing, None).map_err(Problem::Host)?;
    Ok((answer, upload))
}

fn cause(error: &ErrorCode, origin: &str) -> Cause {
    let reason = match error {
        ErrorCode::HttpRequestDenied => {
            let origin = origin.to_owned();
            return Cause::Denied { origin };
        }
        ErrorCode::DestinationIpProhibited => format!(
            "its address is not public (destination-IP-prohibited): name {origin} itself in \
             --allow-http of each node"
        ),
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        ErrorCode::ConnectionTerminated => "the connection was closed".to_owned(),
        ErrorCode::DnsError(payload) => match &payload.rcode {
            Some(why) => format!("the name of the host was not found: {why}"),
            None => "the name of the host was not found".to_owned(),
        },
        other => {
            let text = format!("{other:?}");
            text.replace("ErrorCode::", "")
        }
    };
    Cause::Connection(reason)
}
