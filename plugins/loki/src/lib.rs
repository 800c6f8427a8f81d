//! The sink for Grafana Loki: pushes entries with few labels, and the rest as
//! structured metadata or in the line. `docs/sinks/loki.md` describes the config,
//! `config.schema.json` checks it.

mod config;
mod entry;
mod streams;
#[cfg(test)]
mod tests;
mod too_old;

use sluice_sink::bodies::Body;
use sluice_sink::http::{Answer, Client, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Outcomes, Refusals, Sink};

use config::Config;
use entry::Records;
use streams::Streams;
use too_old::TooOld;

const PUSH: &str = "/loki/api/v1/push";

struct Loki {
    config: Config,
    client: Client,
    url: Url,
}

impl Sink for Loki {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        Ok(Self {
            client: config.timeout_ms.client(),
            url: config.url.join(PUSH),
            config,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let lines = entry::json_lines(&self.config, batch);
        let lines: Vec<&[u8]> = lines.lines().collect();
        let records = Records::new(&self.config, batch, &lines);
        self.client.send_in_rounds(
            batch.len(),
            self.bodies(&records, 0..batch.len()),
            self.config.concurrency.get(),
            |bytes| self.request(bytes),
            |held, answer, outcomes| self.judge(&records, held, answer, outcomes),
        )
    }
}

impl Loki {
    fn bodies(&self, records: &Records<'_>, indices: impl Iterator<Item = usize>) -> Vec<Body> {
        let mut streams = self.streams();
        let (mut labels, mut entry) = (Vec::new(), Vec::new());
        for index in indices {
            labels.clear();
            entry.clear();
            records.push_labels(index, &mut labels);
            records.push_entry(index, &mut entry);
            streams.push(index, &labels, &entry);
        }
        streams.finish()
    }

    fn streams(&self) -> Streams {
        let config = &self.config;
        Streams::new(config.max_body_kib.bytes(), config.max_records.get())
    }

    fn request(&self, bytes: Vec<u8>) -> Request {
        let config = &self.config;
        let mut request = Request::post(&self.url)
            .header("content-type", "application/json")
            .body(bytes);
        if let Some(tenant) = &config.tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        config.compression.apply(config.headers.add_to(request))
    }

    /// Loki stores what it can of a body, and names a limit if some entries are too
    /// old. Those are refused; the rest is sent again, which Loki drops as repeats
    /// where it has it.
    fn judge(
        &self,
        records: &Records<'_>,
        held: &[usize],
        answer: Answer,
        outcomes: &mut Outcomes,
    ) -> Vec<Body> {
        let text = match answer.status {
            400 => answer.text().into_owned(),
            _ => String::new(),
        };
        let limit = TooOld::in_answer(&text);
        let Some(limit) = limit else {
            outcomes.body(held, answer.check());
            return Vec::new();
        };
        let by_stream = records.by_stream(held);
        if !limit.is_for_all && by_stream.len() > 1 {
            let each = by_stream.into_values();
            return each
                .flat_map(|held| self.bodies(records, held.into_iter()))
                .collect();
        }
        let is_old = |index: &usize| limit.is_met_by(records.time(*index));
        let (old, rest): (Vec<usize>, Vec<usize>) = held.iter().partition(|index| is_old(index));
        if old.is_empty() {
            outcomes.body(held, answer.check());
            return Vec::new();
        }
        let reason = limit.reason();
        for index in old {
            outcomes.record::<()>(index, Err(Failure::permanent(&reason)));
        }
        self.bodies(records, rest.into_iter())
    }
}

sluice_sink::export!(Loki);
