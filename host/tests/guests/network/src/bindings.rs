//! Bindings generated from `wit/0.2/`.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the canonical ABI passes raw pointers"
)]

wit_bindgen::generate!({ path: "../../../../wit/0.2", world: "log-sink" });
