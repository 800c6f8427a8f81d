//! HTTP requests to servers that are not trusted.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Method, Response, Url};

use super::http_error::{HttpError, HttpSetupError, MAX_REDIRECTS, Shown};
use sluice_sandbox::client_tls;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a server may send nothing.
const STALL_LIMIT: Duration = Duration::from_secs(15);
/// The same for a server that is sent a component: it answers at the end.
const UPLOAD_LIMIT: Duration = Duration::from_secs(600);

/// A client that follows some redirects, and reads so many bytes.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    stall: Duration,
}

/// A request, until a server answers it with anything but a redirect.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    /// Sent to the origin of `url`, and to no other.
    pub(super) authorization: Option<HeaderValue>,
}

impl Ask {
    pub(super) const fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            accept: None,
            authorization: None,
        }
    }
}

impl Http {
    /// A client that fetches components.
    ///
    /// # Errors
    /// There is no TLS.
    pub(crate) fn to_fetch() -> Result<Self, HttpSetupError> {
        Self::new(STALL_LIMIT)
    }

    /// A client that sends components.
    ///
    /// # Errors
    /// There is no TLS.
    pub(crate) fn to_send() -> Result<Self, HttpSetupError> {
        Self::new(UPLOAD_LIMIT)
    }

    fn new(stall: Duration) -> Result<Self, HttpSetupError> {
        let client = Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(client_tls()?)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(stall)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpSetupError::Client)?;
        Ok(Self { client, stall })
    }

    /// The body of a successful answer, of at most so many bytes.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn download(&self, url: &Url, limit: u64) -> Result<Vec<u8>, HttpError> {
        let response = self.ask(&Ask::new(Method::GET, url.clone())).await?;
        self.body(succeeded(response)?, limit).await
    }

    /// The first answer that is no redirect. Redirects never lead from https to
    /// http, and take no authorization to another origin.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Response, HttpError> {
        let mut url = ask.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(ask.method.clone(), url.clone());
            if let Some(accept) = ask.accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(authorization) = &ask.authorization
                && url.origin() == ask.url.origin()
            {
                request = request.header(AUTHORIZATION, authorization);
            }
            let sent = request.send().await;
            let response = sent.map_err(|cause| self.failed(&url, cause))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            url = location(&url, &response)?;
        }
        Err(HttpError::Redirects(Shown::from(&ask.url)))
    }

    /// Sends a body; the answer may be anything.
    pub(super) async fn send(
        &self,
        ask: &Ask,
        content_type: &'static str,
        body: Body,
    ) -> Result<Response, HttpError> {
        let mut request = self.client.request(ask.method.clone(), ask.url.clone());
        if let Some(authorization) = &ask.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.header(CONTENT_TYPE, content_type).body(body);
        let sent = request.send().await;
        sent.map_err(|cause| self.failed(&ask.url, cause))
    }

    /// Reads a body of at most so many bytes, whatever its length is said to be.
    pub(super) async fn body(
        &self,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>, HttpError> {
        let url = response.url().clone();
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|cause| self.failed(&url, cause))? else {
                return Ok(body);
            };
            let size = body.len().saturating_add(chunk.len());
            if u64::try_from(size).is_ok_and(|size| size > limit) {
                let url = Shown::from(&url);
                return Err(HttpError::TooLarge { url, limit });
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn failed(&self, url: &Url, cause: reqwest::Error) -> HttpError {
        HttpError::Transport {
            url: Shown::from(url),
            stall: self.stall,
            cause: cause.without_url(),
        }
    }
}

/// The response, unless its status says that there is nothing in it.
pub(super) fn succeeded(response: Response) -> Result<Response, HttpError> {
    let status = response.status();
    match status.is_success() {
        true => Ok(response),
        false => Err(HttpError::Status {
            url: Shown::from(response.url()),
            status,
        }),
    }
}

/// Where an answer leads, which is never from https to http.
pub(super) fn location(from: &Url, response: &Response) -> Result<Url, HttpError> {
    let to = response.headers().get(LOCATION);
    let to = to.and_then(|to| from.join(to.to_str().ok()?).ok());
    let to = to.filter(|to| matches!(to.scheme(), "http" | "https") && to.has_host());
    let to = to.ok_or_else(|| HttpError::Location(Shown::from(from)))?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(HttpError::Downgrade {
            url: Shown::from(from),
            to: Shown::from(&to),
        });
    }
    Ok(to)
}

#[cfg(test)]
mod tests;
