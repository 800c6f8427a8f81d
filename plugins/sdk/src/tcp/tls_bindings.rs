//! Bindings generated from `wit/tls/`.

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
    path: "wit/tls",
    world: "sluice:tls-client/tls-client",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
    generate_all,
});
