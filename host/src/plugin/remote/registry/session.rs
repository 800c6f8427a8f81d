//! Requests to one repository.

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode, Url};

use super::client::Registry;
use super::error::Problem;
use crate::plugin::remote::http::{Ask, succeeded};
use crate::plugin::remote::sent::Sent;
use crate::plugin::source::OciReference;

/// Requests to one repository, with the authorization that it asked for last.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) registry: Registry,
    pub(super) reference: OciReference,
    pub(super) authorization: Option<HeaderValue>,
    /// Whether that is by credentials.
    pub(super) is_known: bool,
}

/// What is sent with a request.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) content_type: &'static str,
    pub(super) content: Bytes,
    pub(super) sent: Sent,
}

impl Session {
    pub(super) fn new(registry: &Registry, reference: &OciReference) -> Self {
        Self {
            registry: registry.clone(),
            reference: reference.clone(),
            authorization: None,
            is_known: false,
        }
    }

    /// The address of something in the repository.
    pub(super) fn url(&self, name: &str) -> Result<Url, Problem> {
        self.reference.url(name).ok_or(Problem::Address)
    }

    /// Asks, and once more with what the registry wants to see. The answer may be
    /// any other.
    pub(super) async fn ask(
        &mut self,
        mut ask: Ask,
        upload: Option<&Upload>,
    ) -> Result<Response, Problem> {
        let response = self.try_once(&mut ask, upload).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url())? {
            return Ok(response);
        }
        self.authorize(&response).await?;
        self.try_once(&mut ask, upload).await
    }

    /// The same for an answer that must be a success.
    pub(super) async fn demand(
        &mut self,
        ask: Ask,
        upload: Option<&Upload>,
    ) -> Result<Response, Problem> {
        let response = self.ask(ask, upload).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied()),
            StatusCode::NOT_FOUND => Err(Problem::NotFound),
            _ => Ok(succeeded(response)?),
        }
    }

    async fn try_once(&self, ask: &mut Ask, upload: Option<&Upload>) -> Result<Response, Problem> {
        ask.authorization.clone_from(&self.authorization);
        // Where the registry sends uploads to may be another server.
        if !self.is_own(&ask.url)? {
            ask.authorization = None;
        }
        let http = &self.registry.http;
        let response = match upload {
            None => http.ask(ask).await,
            Some(upload) => {
                let body = upload.sent.counting(upload.content.clone());
                http.send(ask, upload.content_type, body).await
            }
        };
        Ok(response?)
    }

    fn is_own(&self, url: &Url) -> Result<bool, Problem> {
        Ok(self.url("")?.origin() == url.origin())
    }

    /// Why the registry refuses.
    pub(super) fn denied(&self) -> Problem {
        let registry = self.reference.registry().to_owned();
        let file = self.registry.credentials.file.clone();
        match file.filter(|_| self.is_known) {
            Some(file) => Problem::Refused { registry, file },
            None => Problem::Anonymous(registry),
        }
    }
}
