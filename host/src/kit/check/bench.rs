//! What the checks share: the sink, where it writes, and the records it gets.

use std::time::{Duration, Instant};

use sluice_sandbox::Instance;
use sluice_types::outcome::{Refusal, WriteError};
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, SinkInstance};

use super::early::Early;
use super::report::Finding;
use crate::kit::destination::Destination;
use crate::kit::output::Marks;
use crate::kit::samples::Samples;
use crate::kit::stdout::KeptStdout;
use crate::kit::workbench::{KitError, Workbench};

/// How the destination is named in a config.
pub(crate) const PLACEHOLDER: &str = "{destination}";

/// The sink under test.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) sink: &'a Workbench,
    pub(super) stdout: KeptStdout,
    pub(super) destination: &'a Destination,
    pub(super) samples: Samples,
    /// The text for `open`, with the destination's URL.
    pub(super) config: String,
    /// Whether it names the destination.
    pub(super) uses_destination: bool,
    /// The most memory of an instance so far, in bytes.
    pub(super) peak_memory: usize,
}

/// What came of a write.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) result: Result<Vec<Refusal>, WriteError>,
    pub(super) took: Duration,
}

impl<'a> Bench<'a> {
    pub(super) fn new(sink: &'a Workbench, destination: &'a Destination) -> Result<Self, KitError> {
        let config = &sink.manifest.config;
        Ok(Self {
            sink,
            stdout: KeptStdout::new().map_err(KitError::Stdout)?,
            destination,
            samples: Samples::default(),
            uses_destination: config.contains(PLACEHOLDER),
            config: config.replace(PLACEHOLDER, &destination.url()),
            peak_memory: 0,
        })
    }

    /// Opens an instance with the sink's own config.
    pub(super) async fn open(&self) -> Result<Result<Box<Instance>, WriteError>, KitError> {
        self.open_with(&self.config).await
    }

    /// Opens an instance with this config.
    pub(super) async fn open_with(
        &self,
        config: &str,
    ) -> Result<Result<Box<Instance>, WriteError>, KitError> {
        let prepared = self.sink.sink(config, &self.stdout.stdout)?;
        Ok(prepared.open_instance().await.map(Box::new))
    }

    /// Opens an instance for a check, which fails if it does not open.
    pub(super) async fn opened(&self, check: &'static str) -> Result<Box<Instance>, Early> {
        let failed = |error| Finding::failed(check, format!("open: {error}"));
        Ok(self.open().await?.map_err(failed)?)
    }

    /// Offers records for a check, which fails if the batch is not taken.
    pub(super) async fn taken(
        &mut self,
        check: &'static str,
        instance: &mut Instance,
        batch: &Records,
    ) -> Result<Vec<Refusal>, Early> {
        let failed = |error: WriteError| Finding::failed(check, error.to_string());
        let written = self.write(instance, batch).await;
        Ok(written.result.map_err(failed)?)
    }

    /// Offers records for the first time.
    pub(super) async fn write(&mut self, instance: &mut Instance, batch: &Records) -> Written {
        self.offer(instance, batch, 1).await
    }

    /// Offers records, as often as this before.
    pub(super) async fn offer(
        &mut self,
        instance: &mut Instance,
        batch: &Records,
        number: u32,
    ) -> Written {
        let attempt = Attempt {
            epoch: 1,
            number,
            trace: None,
        };
        let started = Instant::now();
        let result = instance.write(attempt, batch, self.sink.call()).await;
        let took = started.elapsed();
        self.peak_memory = self.peak_memory.max(instance.memory());
        Written { result, took }
    }

    /// What the sink has written so far.
    pub(super) fn marks(&self) -> Result<Marks, KitError> {
        Marks::of(&self.stdout, self.sink.folder(), self.destination).map_err(KitError::Folder)
    }
}
