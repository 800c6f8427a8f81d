//! Asks one node by its routes for people.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;
use super::token::Token;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::peer::{Subscription, TailRequest};
use sluice_access::Scope;
use sluice_types::excerpt::excerpt;
use sluice_types::readable;
use sluice_types::stream::DEFAULT_STREAM;

/// The time to connect to a node.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The time for an answer: longer than nodes give themselves for an action.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long records as they pass may go on: the HTTP client knows no answer without an
/// end.
const TAIL_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// The most characters of a refusal that are shown.
const REFUSAL_CHARS: usize = 500;
const JSON: &str = "application/json";

/// A client of one node.
#[derive(Debug)]
pub(in crate::cli) struct ApiClient {
    http: reqwest::Client,
    base: Url,
    /// The stream that the command is about.
    stream: String,
    token: Option<Token>,
    /// Where the token is from, for messages.
    file: String,
}

/// Names and values of a query.
pub(in crate::cli) type Query<'a> = &'a [(&'a str, String)];

impl ApiClient {
    /// A client that sends the token of this file, if there is one.
    ///
    /// # Errors
    /// The token or the TLS settings cannot be used.
    pub(super) fn new(base: Url, args: &ClusterArgs) -> Result<Self, Failure> {
        let file = args.token_file.as_deref();
        let http = args
            .peer_tls()?
            .configure(reqwest::Client::builder())
            .no_proxy()
            // The token goes to the node that it is meant for.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .build()
            .map_err(ApiError::Setup)?;
        Ok(Self {
            http,
            base,
            stream: args.stream.clone(),
            token: file.map(Token::read).transpose()?,
            file: file.map_or_else(String::new, |file| file.display().to_string()),
        })
    }

    /// The same for the routes that are for no stream.
    pub(in crate::cli) fn of_node(&self) -> Self {
        self.of_stream(DEFAULT_STREAM)
    }

    /// The same for another stream.
    pub(in crate::cli) fn of_stream(&self, stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            ..self.at(self.base.clone())
        }
    }

    /// The same for another node.
    pub(super) fn at(&self, base: Url) -> Self {
        Self {
            http: self.http.clone(),
            base,
            stream: self.stream.clone(),
            token: self.token.clone(),
            file: self.file.clone(),
        }
    }

    /// The node's address, fit for a terminal.
    pub(in crate::cli) fn base(&self) -> String {
        readable::source(self.base.as_str().trim_end_matches('/'))
    }

    /// The token that is sent, so that it can be kept out of what is written.
    pub(in crate::cli) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(Token::text)
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// The node does not give it.
    pub(in crate::cli) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
        scope: Scope,
    ) -> Result<T, ApiError> {
        self.document(&self.get_bytes(path, query, scope).await?)
    }

    /// Reads whatever the node answers.
    ///
    /// # Errors
    /// The node does not give it.
    pub(in crate::cli) async fn get_bytes(
        &self,
        path: &str,
        query: Query<'_>,
        scope: Scope,
    ) -> Result<Vec<u8>, ApiError> {
        let request = self.request(Method::GET, path, query);
        self.bytes(request, path, scope).await
    }

    /// Asks for an action.
    ///
    /// # Errors
    /// The node does not do it.
    pub(in crate::cli) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let request = self.request(Method::POST, path, &[]);
        let request = request.header(CONTENT_TYPE, JSON).body(body);
        self.document(&self.bytes(request, path, Scope::Admin).await?)
    }

    /// Asks for records as they pass. The caller bounds the time until the node has
    /// answered.
    ///
    /// # Errors
    /// The node does not show them.
    pub(in crate::cli) async fn tail(&self, asked: &TailRequest) -> Result<Subscription, ApiError> {
        let path = "/api/v1/tail";
        let request = self.request(Method::GET, path, &tail_query(&self.stream, asked));
        let answer = request.timeout(TAIL_LIMIT).send().await;
        let answer = answer.map_err(|cause| self.transport(cause))?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer, path, Scope::Read).await);
        }
        Ok(Subscription::of(answer, self.base()))
    }

    fn request(&self, method: Method, path: &str, query: Query<'_>) -> RequestBuilder {
        let mut url = self.base.clone();
        match self.stream.as_str() {
            // Nodes of earlier versions know no others.
            DEFAULT_STREAM => url.set_path(path),
            named => url.set_path(&format!("/streams/{named}{path}")),
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).header(ACCEPT, JSON);
        let request = request.timeout(ANSWER_LIMIT);
        match self.token.as_ref().and_then(Token::header) {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        }
    }

    async fn bytes(
        &self,
        request: RequestBuilder,
        path: &str,
        scope: Scope,
    ) -> Result<Vec<u8>, ApiError> {
        let answer = request
            .send()
            .await
            .map_err(|cause| self.transport(cause))?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer, path, scope).await);
        }
        let body = answer.bytes().await;
        Ok(body.map_err(|cause| self.transport(cause))?.into())
    }

    fn document<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ApiError> {
        serde_json::from_slice(body).map_err(|cause| ApiError::Shape {
            base: self.base(),
            cause,
        })
    }

    fn transport(&self, cause: reqwest::Error) -> ApiError {
        let base = self.base();
        match cause.is_timeout() {
            true => ApiError::Slow { base },
            // The base is named already.
            false => ApiError::Transport {
                base,
                cause: cause.without_url(),
            },
        }
    }

    async fn refusal(&self, answer: Response, path: &str, scope: Scope) -> ApiError {
        let (base, scope) = (self.base(), scope.name());
        let status = answer.status();
        let text = match timeout(CONNECT_LIMIT, answer.text()).await {
            Ok(Ok(text)) => refusal_text(&text),
            _ => String::new(),
        };
        match status {
            StatusCode::UNAUTHORIZED if self.token.is_none() => ApiError::NoToken { base, scope },
            StatusCode::UNAUTHORIZED => {
                let file = self.file.clone();
                ApiError::WrongToken { base, file, scope }
            }
            StatusCode::FORBIDDEN => ApiError::Forbidden { base, scope, text },
            StatusCode::NOT_FOUND if text.starts_with("no such route") => ApiError::NoRoute {
                base,
                path: path.to_owned(),
            },
            status => ApiError::Status {
                base,
                status: status.as_u16(),
                text,
            },
        }
    }
}

/// What a refusal says, without its JSON form.
fn refusal_text(body: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }
    let parsed = serde_json::from_str::<Refusal>(body);
    let text = parsed.map_or_else(|_| body.trim().to_owned(), |refusal| refusal.error);
    readable::error(&excerpt(&text, REFUSAL_CHARS))
}

fn tail_query<'a>(stream: &str, asked: &'a TailRequest) -> Vec<(&'a str, String)> {
    let mut query = vec![
        ("stream", stream.to_owned()),
        ("limit", asked.limit.to_string()),
    ];
    if let Some(filter) = &asked.filter {
        query.push(("filter", filter.clone()));
    }
    if let Some(severity) = asked.severity
        && let Ok(serde_json::Value::String(name)) = serde_json::to_value(severity)
    {
        query.push(("severity", name));
    }
    for (name, value) in &asked.attributes {
        query.push(("attribute", format!("{name}={value}")));
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record_document::SeverityDocument;

    #[test]
    fn a_request_for_records_becomes_a_query() {
        let asked = TailRequest {
            filter: Some("disk is full".to_owned()),
            severity: Some(SeverityDocument::Warn),
            attributes: vec![("host".to_owned(), "a=b".to_owned())],
            limit: 7,
            follow: true,
        };
        let query = tail_query("default", &asked);
        let pairs: Vec<_> = query.iter().map(|(n, v)| format!("{n}:{v}")).collect();
        let expected = [
            "stream:default",
            "limit:7",
            "filter:disk is full",
            "severity:warn",
            "attribute:host=a=b",
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_refusal_is_shown_as_text_that_no_terminal_obeys() {
        assert_eq!(refusal_text("{\"error\":\"no\"}"), "no");
        assert_eq!(refusal_text(" plain \n"), "plain");
        assert!(!refusal_text("{\"error\":\"\\u001b[2J\"}").contains('\u{1b}'));
        assert!(refusal_text(&"x".repeat(10_000)).len() < 1000);
    }
}
