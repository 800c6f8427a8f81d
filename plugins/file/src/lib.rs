//! A sink that appends JSON lines to a file in a directory that the manifest
//! permits:
//!
//! ```json
//! { "source": "file:///plugins/file.wasm",
//!   "config": { "path": "/logs/messages.ndjson", "max_mib": 64 },
//!   "permissions": { "dirs": [{ "host": "audit", "guest": "/logs", "write": true }] } }
//! ```
//!
//! A write that would take the file beyond `max_mib` first renames it after
//! the time (`messages.2026-11-20T09-21-28.123456789Z.ndjson`) and begins a
//! fresh one. Nothing is ever deleted. A rotated file may still get lines from
//! a write that had begun before.
//!
//! # What holds
//!
//! When `write` returns ok, each of its records is on disk as a whole line of
//! its own, whatever else writes to the same file through this sink: another
//! instance on this node, or another node on the same machine.
//!
//! - An append of whole lines, up to what the host takes at once (64 KiB in
//!   wasmtime), is one system call, and atomic on the local file systems of
//!   Linux. A longer line takes several, and another's lines can come between.
//! - So each write looks whether anything did, finds which of its lines did
//!   not stay whole, and appends those again; at last to a file of their own,
//!   named like a rotated one, where nobody comes between.
//! - What a crash, a full disk or such a meeting leaves is a piece of a line,
//!   ended by a line feed before anything follows; so a reader skips what is
//!   no JSON, and empty lines. A record that was offered again can be there
//!   twice, under the same `epoch` and `sequence`.
//! - A rotation first makes the new name, then renames over it: it can not hit
//!   another's file. A crash between the two leaves that file empty; two
//!   rotations at once can leave one that is not full.
//!
//! On network file systems appends from two machines are not atomic: give
//! each node a file of its own there.

// Natively only the unit tests need the inside of this crate.
#![cfg(any(test, target_family = "wasm"))]

mod config;
mod line;
mod log;

// The files as the rest of the crate sees them: WASI's in the component, the
// machine's own under test.
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
use native as disk;
#[cfg(target_family = "wasm")]
mod wasi;
#[cfg(target_family = "wasm")]
use wasi as disk;

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
