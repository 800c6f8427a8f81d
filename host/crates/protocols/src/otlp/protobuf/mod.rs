//! `ExportLogsServiceRequest` in protobuf.
//!
//! Stricter than protobuf: a group is refused even where it would be skipped.
//! More lenient: a text may be no UTF-8, and a record that cannot be read is
//! refused alone. What is not kept is not looked at: a field that no attribute
//! comes from, a value that a later one replaces, a resource or a scope without
//! records.

mod pieces;
mod record;
mod request;
mod source;
mod value;

pub use request::decode;
