//! `ExportLogsServiceRequest` in JSON.
//!
//! Names are in lower camel case; unknown ones are ignored, and null is the same
//! as nothing. Whole numbers are numbers or texts, ids are hexadecimal, bytes
//! are base64. A record that cannot be read is refused alone.
//!
//! A body is read in one pass, except for what comes before the resource or the
//! scope that it belongs to: that is skipped first and read then. A record that
//! cannot be read is skipped again, to see that it is JSON and where it ends.
//!
//! More lenient than other readers: half of a surrogate pair is only wrong in a text
//! that is kept, not in a name, nor in a text that a later one replaces.

mod names;
mod nested;
mod reader;
mod record;
mod request;
mod scalar;
mod source;
mod value;

pub use request::decode;
