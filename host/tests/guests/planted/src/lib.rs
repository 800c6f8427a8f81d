//! A sink for tests that posts each batch as JSON lines, or prints it, with a
//! fault that its config chooses.

#![cfg(target_family = "wasm")]

mod early;

use serde::Deserialize;
use sluice_sink::http::{Client, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink, stdout};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where batches are posted to; without, they are printed.
    url: Option<Url>,
    fault: Option<Fault>,
    /// What the sink should keep to itself.
    #[serde(default)]
    token: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// The last records of a batch wait for the next one.
    KeepsBack,
    /// It refuses a record that is not there.
    IndexOutOfRange,
    /// It panics when a batch is empty.
    PanicsOnEmpty,
    /// Each call takes a megabyte and keeps it.
    Leaks,
    /// What the destination answers does not matter to it.
    IgnoresFailures,
    /// It does not wait for the answer.
    AcknowledgesEarly,
    /// It prints its config.
    PrintsSecrets,
}

struct Planted {
    config: Config,
    client: Client,
    kept: Vec<u8>,
    early: early::Requests,
}

impl Sink for Planted {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        if config.fault == Some(Fault::PrintsSecrets) {
            eprintln!("opened with the token {}", config.token);
        }
        Ok(Self {
            config,
            client: Client::new(),
            kept: Vec::new(),
            early: early::Requests::default(),
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let mut lines = batch.json_lines().into_bytes();
        let mut refusals = Refusals::none();
        match self.config.fault {
            Some(Fault::KeepsBack) => {
                let last = lines.len() - lines.len() / 3;
                let kept = lines.split_off(last);
                lines.splice(0..0, std::mem::replace(&mut self.kept, kept));
            }
            Some(Fault::IndexOutOfRange) => refusals.permanent(batch.len(), "not there"),
            Some(Fault::PanicsOnEmpty) => assert!(batch.len() > 0, "there is no record"),
            Some(Fault::Leaks) => Vec::leak(vec![1_u8; 1 << 20]).fill(2),
            _ => {}
        }
        self.send(lines)?;
        Ok(refusals)
    }
}

impl Planted {
    fn send(&mut self, lines: Vec<u8>) -> Result<(), Failure> {
        let Some(url) = &self.config.url else {
            return stdout::write(&lines);
        };
        if self.config.fault == Some(Fault::AcknowledgesEarly) {
            return self.early.send(url, &lines);
        }
        let sent = self.client.send(Request::post(url).body(lines));
        let checked = sent
            .map_err(Failure::from)
            .and_then(|answer| answer.check());
        match self.config.fault {
            Some(Fault::IgnoresFailures) => Ok(()),
            _ => checked.map(drop),
        }
    }
}

sluice_sink::export!(Planted);
