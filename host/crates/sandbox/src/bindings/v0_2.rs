//! `sluice:sink@0.2.0`: the sink's exports. What it imports is in
//! `crate::views`.

wasmtime::component::bindgen!({
    path: "../../../wit/0.2",
    world: "log-sink",
    exports: { default: async },
    with: { "sluice:sink/types.batch": Batch },
});

pub use self::sluice::sink::types::{Delivery, Failure, Refusal, Texts};

/// The type of the resource `batch`. There is at most one batch per instance, so
/// all handles mean the same.
pub struct Batch;
