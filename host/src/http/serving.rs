//! Serves a connection: TLS, HTTP, and for each request the gate and its route.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, HOST};
use futures_util::FutureExt;
use futures_util::future::Either;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use super::activity::Activity;
use super::call_memory::{CallMemory, CallPlace, CallPlaces};
use super::calls::{Call, Calls};
use super::client_address::ClientAddress;
use super::connections::{Place, network_of};
use super::drain_rate::DrainRate;
use super::gate::Gate;
use super::head_memory::HeadMemory;
use super::http2;
use super::ingest::standard::finishes_alone;
use super::listener::Speech;
use super::mobile_stream::MobileStream;
use super::no_answer::NoAnswer;
use super::problem::Problem;
use super::progress;
use super::response::EVENTS;
use super::stage::Stage;
use super::watched_body::WatchedBody;
use super::watched_stream::WatchedStream;
use crate::tls::{ClientNames, Tls, refused_certificate};
use sluice_access::{Audit, Event, Outcome};
use sluice_protocols::memory_budget::MemoryBudget;

/// The time for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The most bytes of a connection that are read before they are asked for.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How much of the body of a request that does not reach its route is read, and
/// for how long.
const DISCARD_LIMITS: (usize, Duration) = (64 << 10, Duration::from_secs(1));

/// What all connections need.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) http: Entrance,
    pub(super) grpc: Entrance,
    pub(super) gate: Arc<Gate>,
    pub(super) audit: Audit,
    /// For the heads of requests that have not arrived completely.
    pub(super) heads: Arc<MemoryBudget>,
    /// For requests over HTTP/2.
    pub(super) calls: CallMemory,
    /// How long a client may take nothing of its answer before the connection
    /// is cut.
    pub(super) write_timeout: Duration,
    /// How many more requests may be settled without their clients.
    pub(super) alone: Arc<Semaphore>,
}

/// What the connections of one kind of address need.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) routes: TowerToHyperService<Router>,
    pub(super) tls: Option<Tls>,
}

/// Where the requests of a connection come from.
struct Origin {
    address: Option<IpAddr>,
    /// Those of the certificate that the client has shown.
    names: ClientNames,
}

impl Origin {
    /// Notes it with a request, for its route.
    fn mark(&self, request: &mut Request<Incoming>) {
        if let Some(address) = self.address {
            request.extensions_mut().insert(ClientAddress(address));
        }
        if !self.names.0.is_empty() {
            request.extensions_mut().insert(self.names.clone());
        }
    }
}

/// What one request of several holds until its answer is complete.
struct Several {
    _call: Call,
    /// For its head and its task.
    _place: Option<CallPlace>,
}

/// Tells that the answer to a request is complete when it is dropped.
struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}

impl Serving {
    /// Serves one connection to its end; a slow handshake holds up only itself.
    pub(super) fn serve(
        self: &Arc<Self>,
        speech: Speech,
        stream: TcpStream,
        place: &Place,
        stages: watch::Receiver<Stage>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (serving, activity) = (Arc::clone(self), Arc::clone(&place.activity));
        let client = stream.peer_addr().ok().map(|address| address.ip());
        let stream = MobileStream::new(stream);
        let mut origin = Origin {
            address: client,
            names: ClientNames::default(),
        };
        async move {
            let stream = DrainRate::new(stream, serving.write_timeout);
            let Some(tls) = serving.entrance(speech).tls.clone() else {
                return serving
                    .serve_on(stream, speech, origin, activity, stages)
                    .await;
            };
            match tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    origin.names = ClientNames::of(&stream);
                    let protocol = stream.get_ref().1.alpn_protocol();
                    let speech = match speech {
                        Speech::Http if protocol == Some(b"h2") => Speech::Http2,
                        speech => speech,
                    };
                    serving
                        .serve_on(stream, speech, origin, activity, stages)
                        .await;
                }
                Ok(Err(error)) => {
                    if let Some(why) = refused_certificate(&error) {
                        serving.refused(origin.address, "connect", why);
                    }
                    tracing::debug!(%error, "a TLS handshake failed");
                }
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }

    const fn entrance(&self, speech: Speech) -> &Entrance {
        match speech {
            Speech::Http | Speech::Http2 => &self.http,
            Speech::OtlpGrpc => &self.grpc,
        }
    }

    async fn serve_on(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        speech: Speech,
        origin: Origin,
        activity: Arc<Activity>,
        stages: watch::Receiver<Stage>,
    ) {
        match speech {
            Speech::Http => self.serve_http(stream, origin, activity, stages).await,
            Speech::Http2 | Speech::OtlpGrpc => {
                let calls = Calls::new(activity);
                let places = self.calls.of(origin.address.map(network_of));
                let answer = move |mut request| {
                    origin.mark(&mut request);
                    self.answer_call(speech, request, (&calls, &places))
                };
                // Not a part of the future of every connection.
                Box::pin(http2::serve(stream, answer, stages)).await;
            }
        }
    }

    async fn serve_http(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        origin: Origin,
        activity: Arc<Activity>,
        mut stages: watch::Receiver<Stage>,
    ) {
        let head = HeadMemory::new(Arc::clone(&self.heads));
        let stream = WatchedStream::new(stream, Arc::clone(&activity), head);
        let service = service_fn(move |mut request: Request<Incoming>| {
            origin.mark(&mut request);
            self.answer(request, &activity)
        });
        // The table of connections bounds the time for a head.
        let connection = http1::Builder::new()
            .header_read_timeout(None::<Duration>)
            .max_buf_size(READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let leaving = async move {
            // If the server is gone, that means the same.
            drop(stages.wait_for(|stage| *stage == Stage::Leaving).await);
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = leaving => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }

    /// Answers one request over HTTP/1.1.
    fn answer(
        &self,
        request: Request<Incoming>,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Result<Response<WatchedBody<Answering>>, NoAnswer>> + use<> {
        let begun = activity.begin();
        let watch = Answering(Arc::clone(activity));
        let alone = begun && finishes_alone(request.uri().path());
        let permit = alone.then(|| Arc::clone(&self.alone).try_acquire_owned().ok());
        let answering = self.answer_by(&self.http, request);
        // Begun at once: the connection may end before this future is polled.
        let answering = match permit.flatten() {
            None => Either::Left(answering.map(Some)),
            Some(permit) => {
                let alone = answering.inspect(move |_| drop(permit));
                Either::Right(tokio::spawn(alone).map(Result::ok))
            }
        };
        async move {
            if !begun {
                // The connection is being closed; nothing may be taken from it.
                std::future::pending::<()>().await;
            }
            // A task that panicked has no answer either.
            let response = answering.await.ok_or(NoAnswer)?;
            if NoAnswer::marks(&response) {
                return Err(NoAnswer);
            }
            Ok(response.map(|body| WatchedBody::new(body, watch)))
        }
    }

    /// Answers one request of several on a connection.
    fn answer_call(
        &self,
        speech: Speech,
        request: Request<Incoming>,
        (calls, places): (&Arc<Calls>, &Arc<CallPlaces>),
    ) -> impl Future<Output = Result<Response<WatchedBody<Several>>, NoAnswer>> + use<> {
        let begun = calls.begin();
        // The routes of gRPC charge for what a call takes themselves.
        let is_grpc = speech == Speech::OtlpGrpc;
        let place = match is_grpc {
            true => None,
            false => places.take(),
        };
        let answering = if is_grpc {
            Either::Left(self.answer_by(&self.grpc, request))
        } else if place.is_some() {
            Either::Left(self.answer_by(&self.http, with_host(request)))
        } else {
            Either::Right(refuse(Problem::Full, request))
        };
        async move {
            let call = match begun {
                Some(call) => call,
                // As above.
                None => std::future::pending().await,
            };
            let response = answering.await;
            if NoAnswer::marks(&response) {
                return Err(NoAnswer);
            }
            if response
                .headers()
                .get(CONTENT_TYPE)
                .map(HeaderValue::as_bytes)
                == Some(EVENTS.as_bytes())
            {
                progress::is_stream();
            }
            let several = Several {
                _call: call,
                _place: place,
            };
            Ok(response.map(|body| WatchedBody::new(body, several)))
        }
    }

    /// Writes to the audit log what a client may not do.
    fn refused(&self, from: Option<IpAddr>, what: &str, why: String) {
        self.audit.add(Event {
            who: None,
            what: what.to_owned(),
            from,
            outcome: Outcome::Refused,
            detail: why,
        });
    }

    /// Answers a request by its route, unless the gate refuses it.
    fn answer_by(
        &self,
        entrance: &Entrance,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + use<> {
        let refusal = self.gate.refusal(request.method(), request.headers());
        if let Some(problem @ Problem::CrossSite(_)) = &refusal {
            let from = request.extensions().get().map(|ClientAddress(from)| *from);
            let what = format!("{} {}", request.method(), request.uri().path());
            self.refused(from, &what, problem.text().into_owned());
        }
        let answering = match refusal {
            None => Ok(entrance.routes.call(request)),
            Some(problem) => Err((problem, request)),
        };
        async move {
            match answering {
                Ok(answer) => answer.await.unwrap_or_else(|never| match never {}),
                Err((problem, request)) => refuse(problem, request).await,
            }
        }
    }
}

/// HTTP/2 has the host in the target; what reads it reads the header.
fn with_host(mut request: Request<Incoming>) -> Request<Incoming> {
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    request
}

/// The answer to a request that does not reach its route. To many clients, an
/// answer that comes while they still send looks like a broken connection. Over HTTP/2 it
/// is usual.
async fn refuse(problem: Problem, request: Request<Incoming>) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    if head.version == Version::HTTP_2 {
        return problem.response(&head.headers);
    }
    let (most, time) = DISCARD_LIMITS;
    let discarding = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > most {
                return;
            }
        }
    };
    // The answer is the same whether the body ended or not.
    _ = tokio::time::timeout(time, discarding).await;
    problem.response(&head.headers)
}
