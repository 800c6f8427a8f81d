//! The sink, which keeps the log open between writes.

use std::io;

use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink};

use crate::config::{Config, is_mistake};
use crate::disk::Folder;
use crate::log::Log;

struct File {
    config: Config,
    log: Log,
}

impl Sink for File {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        let permitted = Folder::permitted();
        let guests: Vec<&str> = permitted.iter().map(|(_, guest)| guest.as_str()).collect();
        let place = config.place(&guests).map_err(Failure::permanent)?;
        let Some((root, _)) = permitted.into_iter().nth(place.directory) else {
            return Err(Failure::permanent("no such directory"));
        };
        let folder = Folder::new(root, place.below);
        let log = Log::open(folder, place.name, config.max_bytes()).map_err(|error| {
            if is_mistake(&error) {
                Failure::permanent(config.explain(&error))
            } else {
                retryable(&config, &error)
            }
        })?;
        Ok(Self { config, log })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let written = self.log.write(&batch.json_lines());
        written.map_err(|error| retryable(&self.config, &error))?;
        Ok(Refusals::none())
    }
}

fn retryable(config: &Config, error: &io::Error) -> Failure {
    Failure::retryable(format!("{}: {error}", config.path))
}

sluice_sink::export!(File);
