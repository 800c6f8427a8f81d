//! A sink that appends JSON lines to a file in a directory that the manifest
//! permits:
//!
//! ```json
//! { "source": "file:///plugins/file.wasm",
//!   "config": { "path": "/logs/messages.ndjson", "max_mib": 64 },
//!   "permissions": { "dirs": [{ "host": "audit", "guest": "/logs", "write": true }] } }
//! ```
//!
//! A write that would make the file larger than `max_mib` first renames it with
//! the time (`messages.2026-11-20T09-21-28.123456789Z.ndjson`) and starts a new
//! one. Nothing is ever deleted. A rotated file can still get lines from a write
//! that started before.
//!
//! # Guarantees
//!
//! When `write` succeeds, each of its records is on disk as one whole line,
//! whatever else writes to the same file through this sink: another instance on
//! this node, or another node on the same machine.
//!
//! - Appending whole lines, up to what the host takes at once (64 KiB in
//!   wasmtime), is one system call, which is atomic on Linux's local file
//!   systems. A longer line takes several, and lines of another writer can come
//!   between.
//! - So each write checks whether that happened, finds which of its lines are
//!   broken, and appends those again; after several attempts to a file of their
//!   own, named like a rotated one, which nobody else writes to.
//! - A crash, a full disk or another writer can leave a part of a line. It is
//!   ended by a line feed before anything follows, so readers should skip lines
//!   that are empty or not JSON. A record that was offered again can occur twice,
//!   with the same `epoch` and `sequence`.
//! - A rotation first creates the new name and then renames over it, so it cannot
//!   overwrite another rotated file. A crash between the two leaves an empty
//!   file, and two rotations at once can leave a file that is not full.
//!
//! On network file systems appends from two machines are not atomic. Give each
//! node its own file there.

// A native build is empty, except for the unit tests.
#![cfg(any(test, target_family = "wasm"))]

mod config;
mod line;
mod log;

// The rest of the crate sees files as `disk`: WASI's in the component, the
// machine's in tests.
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
use native as disk;
#[cfg(target_family = "wasm")]
mod wasi;
#[cfg(target_family = "wasm")]
use wasi as disk;

#[cfg(target_family = "wasm")]
mod sink;
