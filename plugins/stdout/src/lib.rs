//! The default sink: writes one line per record to stdout.
//!
//! Config: `{"format":"text"}` (the default) writes the body only,
//! `{"format":"json"}` the whole record. In both formats a record is exactly one
//! line, whatever its body contains.
//!
//! The sink does not flush: the host acknowledges a record only after everything
//! written to stdout has left the node.

// A native build is empty, except for the unit tests.
#![cfg(any(test, target_family = "wasm"))]

mod bindings;
mod config;
mod line;

/// The host allocates each text of a record with this allocator. With the
/// standard library's allocator, that takes as long as writing the line.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(target_family = "wasm")]
mod component;

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the canonical ABI passes raw pointers")]
mod export {
    use crate::{bindings, component::Component};

    bindings::export!(Component with_types_in bindings);
}
