//! Loki's push API: `POST /loki/api/v1/push`, in the past `/api/prom/push`.
//!
//! A body of the content type `application/json` is JSON, compressed as its
//! `Content-Encoding` says. Any other is protobuf in one raw block of snappy,
//! whether its `Content-Encoding` is absent (promtail, Alloy, winston) or
//! `snappy` (Vector), so it is unpacked exactly once.
//!
//! An entry becomes a record with its line as the body. The labels of its stream
//! and its structured metadata are attributes of the same names:
//!
//! - Where both have a name, the metadata counts.
//! - The tenant is `loki.tenant`, and nothing in a body can change it.
//! - What is called `service_name` is `service.name` too, which is what Loki
//!   makes it from for records that come by OTLP. Without it, none is invented.
//! - The severity is what the first of `level`, `severity` and `detected_level`
//!   says that has a name in common use, the metadata before the labels. These
//!   attributes stay.

pub mod answer;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod fuzz;
pub mod json;
mod labels;
#[cfg(test)]
mod limit_tests;
pub mod protobuf;
#[cfg(test)]
mod reference;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

/// The header that names the tenant.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Whether a body of this `Content-Type` is JSON. Any other is protobuf.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
