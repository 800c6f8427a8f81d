//! `sluice:sink@0.1.0`. Its records are those of the later versions too.

wasmtime::component::bindgen!({
    path: "../../../wit/0.1",
    world: "log-sink",
    exports: { default: async },
    // The arguments of `write` borrow the records instead of copying them.
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub use self::sluice::sink::types::{
    Delivery, Failure, LogRecord, RecordId, Refusal, Retry, Severity, Value,
};
