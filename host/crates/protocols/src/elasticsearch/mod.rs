//! Elasticsearch's API, as far as clients that send logs use it: `_bulk`, single
//! documents, and what clients ask for before they send.
//!
//! A document is a record. [`bulk`] and [`document`] decode them, [`answer`]
//! answers them by the habits of the [`client`], [`route`] tells which path is
//! which, and [`handshake`] answers what is not about documents.

mod action;
pub mod answer;
pub mod bulk;
pub mod client;
pub mod document;
#[cfg(test)]
mod fuzz;
pub mod handshake;
pub mod items;
#[cfg(test)]
mod limits;
pub mod route;
#[cfg(test)]
mod tests;
mod timestamp;
