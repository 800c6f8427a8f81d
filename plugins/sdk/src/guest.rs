//! What the macro `export!` connects to the host: the sink that is open.

use std::cell::RefCell;

pub use crate::bindings::exports::sluice::sink::sink::Guest;
pub use crate::bindings::sluice::sink::types::Batch as Source;

use crate::sink::Sink;
use crate::{Delivery, Failure, Refusal, Refusals, batch, config};

thread_local! {
    static OPEN: RefCell<Option<Box<dyn Writes>>> = const { RefCell::new(None) };
}

/// A [`Sink`] whose type is not known any more.
trait Writes {
    fn write(&mut self, batch: &batch::Batch, delivery: Delivery) -> Result<Refusals, Failure>;
    fn close(self: Box<Self>);
}

impl<S: Sink> Writes for S {
    fn write(&mut self, batch: &batch::Batch, delivery: Delivery) -> Result<Refusals, Failure> {
        Sink::write(self, batch, delivery)
    }

    fn close(self: Box<Self>) {
        Sink::close(*self);
    }
}

/// Opens the sink of this instance.
///
/// # Errors
/// The config does not fit, or what the sink answered.
pub fn open<S: Sink + 'static>(config: &str) -> Result<(), Failure> {
    let sink = S::open(config::parse(config)?)?;
    OPEN.set(Some(Box::new(sink)));
    Ok(())
}

/// Offers a batch to the sink.
///
/// # Errors
/// What the sink answered.
pub fn write(delivery: Delivery, source: &Source) -> Result<Vec<Refusal>, Failure> {
    OPEN.with_borrow_mut(|open| match open {
        Some(sink) => sink
            .write(batch::of_host(source), delivery)
            .map(Refusals::into_list),
        None => Err(Failure::permanent("write was called before open")),
    })
}

/// Closes the sink.
pub fn close() {
    if let Some(sink) = OPEN.take() {
        sink.close();
    }
}
