//! Tests sinks in a native build, with `cargo test` and no host.
//!
//! ```
//! use sluice_sink::testing::{Destination, Reply, batch, open, record};
//! # use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink, http};
//! # #[derive(serde::Deserialize)]
//! # struct Config { url: http::Url }
//! # struct Webhook(Config);
//! # impl Sink for Webhook {
//! #     type Config = Config;
//! #     fn open(config: Config) -> Result<Self, Failure> { Ok(Self(config)) }
//! #     fn write(&mut self, batch: &Batch, _: Delivery) -> Result<Refusals, Failure> {
//! #         let request = http::Request::post(&self.0.url).body(batch.text_lines().into_bytes());
//! #         http::Client::new().send(request)?.check()?;
//! #         Ok(Refusals::none())
//! #     }
//! # }
//!
//! let destination = Destination::new("https://logs.example.com", |_| Reply::status(204));
//! let mut sink = open::<Webhook>(r#"{"url": "https://logs.example.com/in"}"#).unwrap();
//! let refusals = sink.write(&batch([record("one"), record("two")])).unwrap();
//! assert!(refusals.is_empty());
//! assert_eq!(destination.requests()[0].text(), "one\ntwo\n");
//! ```

mod destination;
mod host;
mod record;
mod running;
mod schema;
mod stdout;

pub use crate::http::Received;
pub use destination::{Destination, Reply};
pub use host::{Delivered, deliver};
pub use record::{Record, batch, record};
pub use running::{Running, config, open};
pub use schema::schema_agrees;
pub(crate) use stdout::print;
pub use stdout::{close_stdout, printed};
