//! The HTTP requests of a sink.

use std::sync::Arc;

use http::{Request, Response};
use sluice_types::origin::Origin;
use sluice_types::trace::Scope;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::refusals::{Refused, SinkRefusals};

use super::admitted::Admitted;
use super::client::HttpClient;
use super::secrets::Secrets;
use super::wanted_http::WantedHttp;

/// What waits of the body of a request, besides the part that is being sent: one part
/// more than this number, and the bytes of a part.
const BODY_PARTS: (usize, usize) = (1, 64 << 10);

/// What a part of a request or an answer is followed by: nothing.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
/// An answer to TRACE, or TRACK, shows the request with what the node has added.
const REFUSED_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

type Answer = Result<(Response<WasiBody>, Rest), Error>;

/// What one instance may request.
pub(crate) struct GuestHttp {
    /// `None` if the node allows no requests at all.
    client: Option<HttpClient>,
    wanted: Arc<WantedHttp>,
    secrets: Secrets,
    refusals: SinkRefusals,
    /// The span of the write that is under way, if it has one.
    pub(crate) trace: Option<Scope>,
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
            trace: None,
            instance: Arc::default(),
        }
    }

    /// Finds out whether this request may be sent now.
    fn admit(&self, request: &Request<WasiBody>) -> Result<Admitted, Error> {
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
        let origin = Origin::of(target).filter(|origin| self.wanted.lists(origin));
        let (Some(client), Some(origin)) = (&self.client, origin) else {
            let what = request_origin(target);
            let why = "permissions.http of its manifest does not list this origin";
            return refuse(Refused::Http, &what, why, Error::HttpRequestDenied);
        };
        let Some(place) = self.wanted.place() else {
            let what = origin.to_string();
            let why = "it has as many requests under way as a sink may have";
            return refuse(Refused::Requests, &what, why, Error::ConnectionLimitReached);
        };
        Ok(Admitted {
            client: client.clone(),
            origin,
            place: Arc::new(place),
            wanted: Arc::clone(&self.wanted),
            secrets: self.secrets.clone(),
            refusals: self.refusals.clone(),
            trace: self.trace.clone(),
            instance: Arc::downgrade(&self.instance),
        })
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
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Rest,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let admitted = self.admit(&request);
        Box::new(async move {
            let answer = admitted?.send(request, options).await?;
            let rest: Rest = Box::new(std::future::ready(Ok(())));
            Ok((answer, rest))
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
