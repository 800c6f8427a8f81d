//! What a protocol reads of a request besides its body.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use crate::http::client_address::ClientAddress;
use crate::http::ingest::body::may_leave_body;
use crate::http::ingest::request_span::Asking;
use crate::tls::ClientNames;
use sluice_protocols::tokens::{Credentials, Protocol};

/// The head of a request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// As it was sent, with its percent signs.
    pub(super) path: String,
    /// Without the question mark.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// Whether an answer without reading the body is what the client hopes for.
    pub(super) may_leave_body: bool,
    /// Where it came from.
    pub(super) client: Option<IpAddr>,
    /// The names in the certificate that the client has shown.
    pub(super) names: ClientNames,
}

impl Asked {
    pub(super) fn of(head: &Parts) -> Self {
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            may_leave_body: may_leave_body(head),
            client: head.extensions.get().map(|ClientAddress(client)| *client),
            names: head.extensions.get().cloned().unwrap_or_default(),
        }
    }

    /// A header's value; an empty text if it is not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?;
        Some(value.to_str().unwrap_or_default())
    }

    /// What its span says.
    pub(super) fn asking<'a>(&'a self, protocol: Protocol, stream: &'a str) -> Asking<'a> {
        Asking {
            method: &self.method,
            path: &self.path,
            headers: &self.headers,
            client: self.client,
            protocol,
            stream,
        }
    }

    /// Where a token can be.
    pub(super) fn credentials(&self) -> Credentials<'_> {
        Credentials {
            authorization: self.header("authorization"),
            dd_api_key: self.header("dd-api-key"),
            query: &self.query,
        }
    }
}
