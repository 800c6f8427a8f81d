//! `ExportLogsServiceRequest` in JSON.
//!
//! Names are in lower camel case; unknown ones are ignored, and null is the same
//! as nothing. Whole numbers are numbers or texts, ids are hexadecimal, bytes
//! are base64. A record that cannot be read is refused alone.

mod names;
mod nested;
mod record;
mod request;
mod scalar;
mod source;
mod value;
mod visit;

pub use request::decode;
