//! `ExportLogsServiceRequest` in JSON.
//!
//! Names are in lower camel case; unknown ones are ignored, and null is the same
//! as nothing. Whole numbers are numbers or texts, ids are hexadecimal, bytes
//! are base64. A record that cannot be read is refused alone.
//!
//! A body is read in one pass, except for what comes before the resource or the
//! scope that it belongs to: that is skipped first and read then.

mod names;
mod nested;
mod reader;
mod record;
mod request;
mod scalar;
mod source;
mod value;

pub use request::decode;
