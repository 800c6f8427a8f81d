//! The component, which keeps the log between calls.

use std::cell::RefCell;

use crate::bindings::exports::sluice::sink::sink::Guest;
use crate::bindings::sluice::sink::types::{Batch, Delivery, Failure, Refusal, Retry};
use crate::config::{Config, is_mistake};
use crate::disk::Folder;
use crate::log::Log;

struct Sink {
    config: Config,
    log: Log,
}

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

pub(crate) struct Component;

impl Guest for Component {
    fn open(config: String) -> Result<(), Failure> {
        SINK.set(Some(Sink::open(&config)?));
        Ok(())
    }

    fn write(_delivery: Delivery, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        SINK.with_borrow(|sink| match sink {
            Some(sink) => sink.write(batch),
            None => Err(Failure::Permanent(
                "write was called before open".to_owned(),
            )),
        })
    }

    fn close() {
        SINK.set(None);
    }
}

impl Sink {
    fn open(config: &str) -> Result<Self, Failure> {
        let config = Config::parse(config).map_err(Failure::Permanent)?;
        let permitted = Folder::permitted();
        let guests: Vec<&str> = permitted.iter().map(|(_, guest)| guest.as_str()).collect();
        let place = config.place(&guests).map_err(Failure::Permanent)?;
        let Some((root, _)) = permitted.into_iter().nth(place.directory) else {
            return Err(Failure::Permanent("no such directory".to_owned()));
        };
        let folder = Folder::new(root, place.below);
        let log = Log::open(folder, place.name, config.max_bytes()).map_err(|error| {
            if is_mistake(&error) {
                Failure::Permanent(config.explain(&error))
            } else {
                retryable(&config, &error)
            }
        })?;
        Ok(Self { config, log })
    }

    fn write(&self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        self.log
            .write(&batch.json_lines())
            .map_err(|error| retryable(&self.config, &error))?;
        Ok(Vec::new())
    }
}

fn retryable(config: &Config, error: &std::io::Error) -> Failure {
    Failure::Retryable(Retry {
        reason: format!("{}: {error}", config.path),
        after_ms: None,
    })
}
