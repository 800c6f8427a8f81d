//! Writes [Sluice](https://github.com/sluice-log/sluice) sinks in Rust.
//!
//! A sink is a type that implements [`Sink`], and one line that exports it:
//!
//! ```
//! use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink, stdout};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     #[serde(default)]
//!     json: bool,
//! }
//!
//! struct Print(Config);
//!
//! impl Sink for Print {
//!     type Config = Config;
//!
//!     fn open(config: Config) -> Result<Self, Failure> {
//!         Ok(Self(config))
//!     }
//!
//!     fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
//!         let lines = if self.0.json { batch.json_lines() } else { batch.text_lines() };
//!         stdout::write(&lines)?;
//!         Ok(Refusals::none())
//!     }
//! }
//!
//! sluice_sink::export!(Print);
//! ```
//!
//! The crate's type is `cdylib`, and `cargo build --release --target
//! wasm32-wasip2` makes the component.
//!
//! - **The records**: [`Batch`] has views. [`Batch::text_lines`] and
//!   [`Batch::json_lines`] are ready to be written; [`Batch::rows`] goes through
//!   the records, and asks only for the fields that are used.
//! - **The answer**: [`Refusals`] for single records, [`Failure`] for the whole
//!   batch, and [`Outcomes`] to make one of the two from what a destination said
//!   about parts of it. What is not refused is acknowledged.
//! - **HTTP**: [`http::Client`] sends requests, [`bodies::Bodies`] divides a batch into
//!   bodies of bounded size.
//! - **TCP**: `tcp::Connection`, with the feature `tcp`, for other protocols.
//! - **Encodings**: [`json`], [`time`].
//! - **Tests**: `testing` (in native builds) makes batches, opens sinks, and has
//!   a destination without sockets, so `cargo test` needs no host.
//!
//! A panic is a trap: it ends the instance, and its message is in the node's log.
//! So are lines that the sink writes to stderr with `eprintln!`.

#[cfg(all(target_family = "wasm", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod guest;

mod attributes;
mod base64;
mod batch;
pub mod bodies;
mod config;
mod config_place;
mod digits;
mod escape;
mod failure;
pub mod http;
pub mod json;
mod lines;
#[cfg(not(target_family = "wasm"))]
mod native_lines;
#[cfg(not(target_family = "wasm"))]
mod native_source;
mod outcomes;
mod refusals;
mod rows;
mod severity;
mod sink;
pub mod stdout;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod texts;
pub mod time;
mod value;

pub use attributes::Attributes;
pub use batch::Batch;
pub use bindings::sluice::sink::types::{
    Delivery, Failure, LogRecord, RecordId, Refusal, Retry, Severity, Value,
};
pub use config::NoConfig;
pub use lines::Lines;
pub use outcomes::Outcomes;
pub use refusals::Refusals;
pub use rows::{Row, Rows};
pub use sink::Sink;
pub use texts::Texts;

/// Exports a [`Sink`] from the component. Once per crate.
///
/// In a native build it exports nothing, so that the crate's tests link.
#[macro_export]
macro_rules! export {
    ($sink:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::guest::Guest for Exported {
                fn open(config: String) -> Result<(), $crate::Failure> {
                    $crate::guest::open::<$sink>(&config)
                }

                fn write(
                    delivery: $crate::Delivery,
                    batch: &$crate::guest::Source,
                ) -> Result<Vec<$crate::Refusal>, $crate::Failure> {
                    $crate::guest::write(delivery, batch)
                }

                fn close() {
                    $crate::guest::close();
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::__export_log_sink!(Exported with_types_in $crate::bindings);

            const fn exports<T: $crate::guest::Guest>() {}
            exports::<Exported>();
        };
    };
}
