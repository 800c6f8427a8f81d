//! Bindings generated from `wit/`.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the canonical ABI passes raw pointers"
)]

wit_bindgen::generate!({ path: "../../wit/0.1", world: "log-sink" });
