//! CloudWatch Logs, as Docker's `awslogs` driver and the AWS SDKs send to it:
//! `POST /` in AWS JSON 1.1, with the operation in `X-Amz-Target`.
//!
//! The signature (`AWS4-HMAC-SHA256`) is not checked. Groups and streams need not be
//! created: every request about them succeeds.

pub mod answer;
pub mod decode;
#[cfg(test)]
mod fuzz;
pub mod operation;
#[cfg(test)]
mod tests;

/// The content type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
