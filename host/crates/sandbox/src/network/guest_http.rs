//! The HTTP requests of a sink.

use std::num::NonZero;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use sluice_types::origin::Origin;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::refusals::{Refused, SinkRefusals};

use super::client::{HttpClient, NoAnswer};
use super::hang_up::{AnswerPlace, HangUp};
use super::owned_body::OwnedBody;
use super::secrets::{SecretHeader, Secrets};

/// The most requests of a sink that are under way at a time, for each write that it
/// may have at a time.
pub const MAX_REQUESTS: usize = 16;
/// What waits of the body of a request, besides the part that is being sent: one part
/// more than this number, and the bytes of a part.
const BODY_PARTS: (usize, usize) = (1, 64 << 10);

/// What a part of a request or an answer is followed by: nothing.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
/// An answer to TRACE, or TRACK, shows the request with what the node has added.
const REFUSED_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

type Answer = Result<(Response<WasiBody>, Rest), Error>;

/// What a manifest asks for, for all instances of its sink.
#[derive(Debug)]
pub(crate) struct WantedHttp {
    /// The origins of requests.
    origins: Vec<Origin>,
    /// The headers that the node adds.
    headers: Vec<SecretHeader>,
    places: Arc<Semaphore>,
}

impl WantedHttp {
    /// For a sink with so many writes at a time.
    pub(crate) fn new(
        origins: Vec<Origin>,
        headers: Vec<SecretHeader>,
        concurrency: NonZero<usize>,
    ) -> Self {
        Self {
            origins,
            headers,
            places: Arc::new(Semaphore::new(MAX_REQUESTS * concurrency.get())),
        }
    }
}

/// What one instance may request.
pub(crate) struct GuestHttp {
    /// `None` if the node allows no requests at all.
    client: Option<HttpClient>,
    wanted: Arc<WantedHttp>,
    secrets: Secrets,
    refusals: SinkRefusals,
    /// Gone with the instance.
    instance: Arc<()>,
}

impl GuestHttp {
    pub(super) fn new(
        client: Option<HttpClient>,
        wanted: Arc<WantedHttp>,
        secrets: Secrets,
        refusals: SinkRefusals,
    ) -> Self {
        Self {
            client,
            wanted,
            secrets,
            refusals,
            instance: Arc::default(),
        }
    }

    /// The client for this request, and its place among those under way.
    fn admit(
        &self,
        request: &Request<WasiBody>,
    ) -> Result<(HttpClient, Origin, OwnedSemaphorePermit), Error> {
        let refuse = |refused, what: &str, why, error| {
            self.refusals.report(refused, what, why);
            Err(error)
        };
        let method = request.method().as_str();
        let mut refused = REFUSED_METHODS.into_iter();
        if let Some(what) = refused.find(|refused| method.eq_ignore_ascii_case(refused)) {
            let why = "sinks send no such requests";
            return refuse(Refused::Http, what, why, Error::HttpRequestDenied);
        }
        let target = request.uri();
        let origin = Origin::of(target).filter(|origin| self.wanted.origins.contains(origin));
        let (Some(client), Some(origin)) = (&self.client, origin) else {
            let what = request_origin(target);
            let why = "permissions.http of its manifest does not list this origin";
            return refuse(Refused::Http, &what, why, Error::HttpRequestDenied);
        };
        match Arc::clone(&self.wanted.places).try_acquire_owned() {
            Ok(place) => Ok((client.clone(), origin, place)),
            Err(_) => refuse(
                Refused::Requests,
                &origin.to_string(),
                "it has as many requests under way as a sink may have",
                Error::ConnectionLimitReached,
            ),
        }
    }
}

/// Where a request goes, without its path, which may hold secrets.
fn request_origin(target: &http::Uri) -> String {
    Origin::of(target).map_or_else(
        || "a target that is no origin".to_owned(),
        |origin| origin.to_string(),
    )
}

impl WasiHttpHooks for GuestHttp {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Rest,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let admitted = self.admit(&request);
        let refusals = self.refusals.clone();
        let (wanted, secrets) = (Arc::clone(&self.wanted), self.secrets.clone());
        let instance = Arc::downgrade(&self.instance);
        Box::new(async move {
            let (client, origin, place) = admitted?;
            let what = origin.to_string();
            // Free when the request is sent, and the guest has read or dropped the answer.
            let place = Arc::new(place);
            // In one form, so that connections are found again.
            let formed = origin.put_into(&mut request);
            formed.map_err(|_| Error::HttpRequestUriInvalid)?;
            for header in wanted
                .headers
                .iter()
                .filter(|header| header.origin == origin)
            {
                // Whatever the guest has set there is replaced.
                match secrets.value(header).await {
                    Some(value) => request.headers_mut().insert(&header.header, value),
                    None => {
                        let why = "the node cannot make this header of its secret";
                        refusals.report(Refused::Secret, header.header.as_str(), why);
                        return Err(Error::ConfigurationError);
                    }
                };
            }
            let request = request
                .map(|body| OwnedBody::new(body, instance, Arc::clone(&place)).boxed_unsync());
            match client.send(request, options).await {
                Ok(answer) => {
                    let hang_up = answer.extensions().get::<HangUp>().cloned();
                    let place = AnswerPlace::new(place, hang_up);
                    let holding = answer.map(|body| {
                        let body = body.map_err(move |error| {
                            let _place = &place;
                            error
                        });
                        body.boxed_unsync()
                    });
                    let rest: Rest = Box::new(std::future::ready(Ok(())));
                    Ok((holding, rest))
                }
                Err(NoAnswer { error, cause }) => {
                    match error {
                        Error::ConnectionLimitReached => {
                            refusals.report(Refused::Requests, &what, &cause);
                        }
                        Error::HttpRequestDenied | Error::DestinationIpProhibited => {
                            refusals.report(Refused::Http, &what, &cause);
                        }
                        _ => tracing::debug!(
                            plugin = refusals.plugin(),
                            what,
                            cause,
                            "a request failed"
                        ),
                    }
                    Err(error)
                }
            }
        })
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        // What wasmtime-wasi-http does by itself logs each.
        tracing::debug!(plugin = self.refusals.plugin(), %error, "an answer broke off");
        match error.is_timeout() {
            true => ErrorCode::HttpResponseTimeout,
            false => ErrorCode::HttpProtocolError,
        }
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        BODY_PARTS.0
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_PARTS.1
    }
}
