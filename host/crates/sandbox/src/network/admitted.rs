//! A request that may be sent, with its place among those under way.

use std::sync::{Arc, Weak};

use http::{Request, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;
use sluice_types::origin::Origin;
use sluice_types::trace::Scope;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::refusals::{Refused, SinkRefusals};

use super::client::{HttpClient, NoAnswer};
use super::hang_up::{AnswerPlace, HangUp};
use super::outgoing_span::OutgoingSpan;
use super::owned_body::OwnedBody;
use super::secrets::Secrets;
use super::signing::NotSigned;
use super::wanted_http::WantedHttp;

/// Where and for whom a request is sent.
pub(super) struct Admitted {
    pub(super) client: HttpClient,
    pub(super) origin: Origin,
    /// Free when the request is sent, and the guest has read or dropped the answer.
    pub(super) place: Arc<OwnedSemaphorePermit>,
    pub(super) wanted: Arc<WantedHttp>,
    pub(super) secrets: Secrets,
    pub(super) refusals: SinkRefusals,
    /// The span that it belongs to.
    pub(super) trace: Option<Scope>,
    /// The instance that sends it.
    pub(super) instance: Weak<()>,
}

impl Admitted {
    /// Sends the request, and waits for the head of the answer.
    pub(super) async fn send(
        mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        // In one form, so that connections are found again.
        let formed = self.origin.put_into(&mut request);
        formed.map_err(|_| Error::HttpRequestUriInvalid)?;
        self.add_secrets(&mut request).await?;
        self.sign(&mut request).await?;
        let (trace, plugin) = (self.trace.take(), self.refusals.plugin());
        let span = OutgoingSpan::begin(trace, plugin, &self.origin, &mut request);
        let instance = self.instance.clone();
        let request = request
            .map(|body| OwnedBody::new(body, instance, Arc::clone(&self.place)).boxed_unsync());
        match self.client.send(request, options).await {
            Ok(answer) => {
                span.answered(answer.status());
                Ok(self.hold(answer))
            }
            Err(no_answer) => {
                span.failed(&no_answer.error, &no_answer.cause);
                Err(self.report(no_answer))
            }
        }
    }

    /// Adds the headers of this origin. Whatever the guest has set there is replaced.
    async fn add_secrets(&self, request: &mut Request<WasiBody>) -> Result<(), Error> {
        for header in self.wanted.headers_for(&self.origin) {
            let Some(value) = self.secrets.value(header).await else {
                let why = "the node cannot make this header of its secret";
                let what = header.header.as_str();
                self.refusals.report(Refused::Secret, what, why);
                return Err(Error::ConfigurationError);
            };
            request.headers_mut().insert(&header.header, value);
        }
        Ok(())
    }

    /// Signs the request if the manifest asks for it. Comes after all other changes.
    async fn sign(&self, request: &mut Request<WasiBody>) -> Result<(), Error> {
        let Some(signing) = self.wanted.signing_for(&self.origin) else {
            return Ok(());
        };
        let secret = self.secrets.keys(&signing.secret, &self.origin).await;
        let signed = match secret {
            Some(secret) => signing.sign(request, &secret, Timestamp::now()),
            None => Err(NotSigned::Secret),
        };
        signed.map_err(|error| {
            let why = error.to_string();
            self.refusals.report(Refused::Secret, &signing.secret, &why);
            Error::ConfigurationError
        })
    }

    /// Holds the place until the answer is read or dropped.
    fn hold(self, answer: Response<WasiBody>) -> Response<WasiBody> {
        let hang_up = answer.extensions().get::<HangUp>().cloned();
        let place = AnswerPlace::new(self.place, hang_up);
        answer.map(|body| {
            let body = body.map_err(move |error| {
                let _place = &place;
                error
            });
            body.boxed_unsync()
        })
    }

    /// Tells the node why there is no answer, and returns what the guest is told.
    fn report(&self, no_answer: NoAnswer) -> Error {
        let NoAnswer { error, cause } = no_answer;
        let what = self.origin.to_string();
        match error {
            Error::ConnectionLimitReached => {
                self.refusals.report(Refused::Requests, &what, &cause);
            }
            Error::HttpRequestDenied | Error::DestinationIpProhibited => {
                self.refusals.report(Refused::Http, &what, &cause);
            }
            _ => {
                let plugin = self.refusals.plugin();
                tracing::debug!(plugin, what, cause, "a request failed");
            }
        }
        error
    }
}
