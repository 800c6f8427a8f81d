//! An HTTP client over `wasi:http`. Connections are kept by the host for the next
//! request, and secrets are filled in there (`permissions.headers`).
//!
//! ```
//! # use sluice_sink::http::{Client, Request, Url};
//! # use sluice_sink::{Batch, Failure, Refusals};
//! # fn write(batch: &Batch, client: &Client, url: &Url) -> Result<Refusals, Failure> {
//! let request = Request::post(url)
//!     .header("content-type", "application/x-ndjson")
//!     .body(batch.json_lines().into_bytes());
//! client.send(request)?.check()?;
//! Ok(Refusals::none())
//! # }
//! ```
//!
//! The manifest has to list the origin in `permissions.http`, and each node in
//! `--allow-http`.

mod answer;
mod client;
mod error;
#[cfg(not(target_family = "wasm"))]
mod fake;
#[cfg(feature = "gzip")]
pub mod gzip;
mod headers;
mod limits;
#[cfg(not(target_family = "wasm"))]
mod received;
mod request;
mod retry_after;
mod rounds;
mod run;
mod send_bodies;
pub mod settings;
mod url;
mod verdict;
#[cfg(target_family = "wasm")]
mod wasi;

pub use answer::Answer;
pub use client::{Client, MOST_AT_ONCE};
pub use error::{Cause, Error};
#[cfg(not(target_family = "wasm"))]
pub(crate) use fake::{Answered, Exchange, with_destinations};
pub use headers::check_header;
#[cfg(not(target_family = "wasm"))]
pub(crate) use limits::Limits;
#[cfg(not(target_family = "wasm"))]
pub use received::Received;
pub use request::Request;
pub use url::Url;
pub use verdict::Verdict;
