//! Bindings made from `wit/`; only this folder sees them.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::must_use_candidate,
    clippy::indexing_slicing,
    reason = "generated"
)]

wasmtime::component::bindgen!({
    path: "../../../wit",
    world: "log-sink",
    exports: { default: async },
    // Records are lowered straight from where the decoders left them.
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub use self::sluice::sink::types::{
    Delivery, Failure, LogRecord, RecordId, Refusal, Severity, Value,
};
