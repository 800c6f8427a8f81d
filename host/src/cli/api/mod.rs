//! Nodes asked by their routes for people, with a token instead of the cluster's
//! secret.

mod client;
mod error;
mod find;
mod left_out;
mod token;

pub(super) use client::ApiClient;
pub(super) use error::ApiError;
pub(super) use left_out::warn_of;
