//! JSON objects to the fields of records.

pub(crate) mod cursor;
pub(crate) mod fields;
pub(crate) mod members;
pub(crate) mod object;
pub(crate) mod objects;
pub(crate) mod part;
pub(crate) mod scanner;
pub(crate) mod share;
pub(crate) mod unescape;
pub(crate) mod walk;
pub(crate) mod written;
