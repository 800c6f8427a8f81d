//! The default sink: one line a record on stdout.
//!
//! Config: `{"format":"text"}` (the default) writes the body alone,
//! `{"format":"json"}` everything that is known of the record. Either way a
//! record is exactly one line, whatever its body holds.
//!
//! Nothing is flushed here: the host does not acknowledge a record before what
//! was written to stdout has left the node.

// Natively only the unit tests need the inside of this crate.
#![cfg(any(test, target_family = "wasm"))]

mod config;
mod line;

/// The host allocates each text of each record in here, and the standard library's allocator takes as
/// long for that as writing the line does.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// Bindings made from `wit/`.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the canonical ABI passes raw pointers"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "log-sink" });

    #[cfg(target_family = "wasm")]
    export!(Component with_types_in self);
    #[cfg(target_family = "wasm")]
    use crate::component::Component;
}

#[cfg(target_family = "wasm")]
mod component;
