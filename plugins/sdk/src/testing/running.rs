//! An open sink.

use serde::de::DeserializeOwned;

use crate::{Batch, Delivery, Failure, Refusals, Sink, config};

/// A sink that a test has opened.
#[derive(Debug)]
pub struct Running<S> {
    sink: S,
    attempt: u32,
}

/// Opens a sink with a config: the JSON text of the manifest, or nothing.
///
/// # Errors
/// What the manifest's author would see.
pub fn open<S: Sink>(config: &str) -> Result<Running<S>, Failure> {
    let sink = S::open(config::parse(config)?)?;
    Ok(Running { sink, attempt: 0 })
}

/// Parses a config, as [`open`] does before it opens the sink.
///
/// # Errors
/// What the manifest's author would see.
pub fn config<C: DeserializeOwned>(text: &str) -> Result<C, Failure> {
    config::parse(text)
}

impl<S: Sink> Running<S> {
    /// Offers a batch in epoch 1.
    ///
    /// # Errors
    /// What the sink says about the whole batch.
    ///
    /// # Panics
    /// The sink breaks the contract: it refuses a record that is not in the batch.
    pub fn write(&mut self, batch: &Batch) -> Result<Refusals, Failure> {
        self.attempt += 1;
        let attempt = self.attempt;
        self.write_as(batch, Delivery { epoch: 1, attempt })
    }

    /// Offers a batch.
    ///
    /// # Errors
    /// What the sink says about the whole batch.
    ///
    /// # Panics
    /// The sink breaks the contract: it refuses a record that is not in the batch.
    pub fn write_as(&mut self, batch: &Batch, delivery: Delivery) -> Result<Refusals, Failure> {
        let refusals = self.sink.write(batch, delivery)?;
        for (index, _) in refusals.iter() {
            let len = batch.len();
            assert!(index < len, "record {index} of {len} is refused");
        }
        Ok(refusals)
    }

    /// The sink itself.
    pub const fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Closes it.
    pub fn close(self) {
        self.sink.close();
    }
}
