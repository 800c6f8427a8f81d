//! Fetches components that are not on this node. What a server sends is never
//! trusted: its size, its time and its redirects are limited, and it is checked by
//! its digest.

mod blob_error;
mod blobs;
mod error;
mod fetch;
mod http;
mod http_error;
mod registry;
mod retry;
mod sent;

pub(crate) use blobs::Blobs;
pub(super) use error::RemoteError;
pub(super) use fetch::Remote;
pub(crate) use http::Http;
pub(crate) use http_error::HttpSetupError;
pub(crate) use registry::Registry;
pub(crate) use sent::Sent;
