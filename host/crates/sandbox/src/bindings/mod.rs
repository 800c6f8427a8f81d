//! Bindings generated from `wit/`, one file per version. Only this crate sees
//! them.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::must_use_candidate,
    clippy::indexing_slicing,
    reason = "generated"
)]

pub(crate) mod v0_1;
pub(crate) mod v0_2;
