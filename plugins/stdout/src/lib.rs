//! The default sink: writes one line per record to stdout.
//!
//! Config: `{"format":"text"}` (the default) writes the body only,
//! `{"format":"json"}` the whole record. In both formats a record is exactly one
//! line, whatever its body contains. The host makes the lines, as the WIT defines
//! them: `text-lines` and `json-lines`.
//!
//! The sink does not flush: the host acknowledges a record only after everything
//! written to stdout has left the node.

// A native build is empty, except for the unit tests.
#![cfg(any(test, target_family = "wasm"))]

mod config;

/// The host allocates the lines of each batch with this allocator, which does
/// that faster than the standard library's.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod component;

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the canonical ABI passes raw pointers")]
mod export {
    use crate::{bindings, component::Component};

    bindings::export!(Component with_types_in bindings);
}
