//! Bindings generated from `wit/`.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::must_use_candidate,
    reason = "generated; the canonical ABI passes raw pointers"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "log-sink",
    pub_export_macro: true,
    export_macro_name: "__export_log_sink",
    additional_derives: [PartialEq],
});
