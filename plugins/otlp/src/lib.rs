//! The OTLP sink: exports records to a collector, by OTLP over HTTP in protobuf.
//! `docs/sinks/otlp.md` describes the config, `config.schema.json` checks it.
//!
//! A collector says how many records of a request it refused, but not which. So
//! that exactly those are refused here, the records of such a request are sent again
//! in halves, until each part was taken or refused as a whole.

mod answer;
mod config;
mod groups;
mod record;
mod requests;
#[cfg(test)]
mod tests;
mod value;
mod wire;

use std::time::Instant;

use sluice_sink::http::{Answer, Client, Error, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Outcomes, Refusals, Sink};

use answer::Said;
use config::{Compression, Config, PartialSuccess};
use record::Encoder;
use requests::Encoded;

struct Otlp {
    config: Config,
    url: Url,
    client: Client,
    encoder: Encoder,
}

impl Sink for Otlp {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        Ok(Self {
            url: config.url(),
            client: config.client(),
            encoder: Encoder::new(&config.resource, config.record_id),
            config,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let end = Instant::now() + self.config.budget();
        let encoded = Encoded::new(batch, &mut self.encoder);
        let (bytes, records) = (self.config.max_bytes(), self.config.max_records.get());
        let mut outcomes = Outcomes::new(batch.len());
        let mut parts = encoded.divide(bytes, records);
        while !parts.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            let client = self.client.clone().budget(left);
            let requests = parts.iter().map(|part| self.request(encoded.request(part)));
            let answers = client.send_all(requests, self.config.concurrency.get());
            let mut halves = Vec::new();
            for (part, answer) in parts.iter().zip(answers) {
                let said = self.judge(answer);
                self.settle(part, said, &mut outcomes, &mut halves);
            }
            parts = halves;
        }
        outcomes.finish()
    }
}

impl Otlp {
    fn request(&self, body: Vec<u8>) -> Request {
        let mut request = Request::post(&self.url)
            .header("content-type", "application/x-protobuf")
            .body(body);
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        match self.config.compression {
            Compression::None => request,
            Compression::Gzip => request.gzip(),
        }
    }

    fn judge(&self, answer: Result<Answer, Error>) -> Result<Said, Failure> {
        let answer = answer.map_err(Failure::from)?;
        let taken = answer.check_with(|status| self.config.verdict(status))?;
        Said::read(&taken)
    }

    /// Notes what came of the records of a part, or divides it into `halves`.
    fn settle(
        &self,
        part: &[usize],
        said: Result<Said, Failure>,
        outcomes: &mut Outcomes,
        halves: &mut Vec<Vec<usize>>,
    ) {
        let said = match said {
            Ok(said) => said,
            Err(failure) => return outcomes.body(part, Err::<(), _>(failure)),
        };
        let rejected = usize::try_from(said.rejected).unwrap_or(usize::MAX);
        if rejected >= part.len() {
            for index in part {
                outcomes.record(*index, Err::<(), _>(refused(&said.message)));
            }
        } else if let Some(places) = said.places(part.len()) {
            outcomes.body(part, Ok(()));
            for (place, reason) in places {
                if let Some(index) = part.get(place) {
                    outcomes.record(*index, Err::<(), _>(refused(reason)));
                }
            }
        } else if rejected > 0 && self.config.partial_success == PartialSuccess::Search {
            let (first, second) = part.split_at(part.len().div_ceil(2));
            halves.extend([first.to_vec(), second.to_vec()]);
        } else {
            outcomes.body(part, Ok(()));
            if rejected > 0 || !said.message.is_empty() {
                let records = part.len();
                let message = &said.message;
                eprintln!("the collector refused {rejected} of {records} records: {message}");
            }
        }
    }
}

fn refused(message: &str) -> Failure {
    match message {
        "" => Failure::permanent("the collector refused the record"),
        message => Failure::permanent(format!("the collector refused the record: {message}")),
    }
}

sluice_sink::export!(Otlp);
