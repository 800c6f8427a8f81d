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

use sluice_sink::http::{Answer, Client, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Outcomes, Refusals, Sink};

use answer::Said;
use config::{Config, PartialSuccess};
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
        let config = &self.config;
        let encoded = Encoded::new(batch, &mut self.encoder);
        let parts = encoded.divide(config.max_body_kib.bytes(), config.max_records.get());
        self.client.send_in_rounds(
            batch.len(),
            parts.into_iter().map(|part| encoded.body(part)).collect(),
            config.concurrency.get(),
            |bytes| self.request(bytes),
            |part, answer, outcomes| {
                let halves = self.settle(part, answer, outcomes).into_iter().flatten();
                halves.map(|half| encoded.body(half.to_vec())).collect()
            },
        )
    }
}

impl Otlp {
    fn request(&self, body: Vec<u8>) -> Request {
        let request = Request::post(&self.url)
            .header("content-type", "application/x-protobuf")
            .body(body);
        let request = self.config.headers.add_to(request);
        self.config.compression.apply(request)
    }

    /// Notes what came of the records of a body, or halves them if that is not known.
    fn settle<'a>(
        &self,
        part: &'a [usize],
        answer: Answer,
        outcomes: &mut Outcomes,
    ) -> Option<[&'a [usize]; 2]> {
        let taken = answer.check_with(|status| self.config.verdict(status));
        let said = match taken.and_then(|answer| Said::read(&answer)) {
            Ok(said) => said,
            Err(failure) => {
                outcomes.body(part, Err::<(), _>(failure));
                return None;
            }
        };
        let rejected = usize::try_from(said.rejected).unwrap_or(usize::MAX);
        if rejected >= part.len() {
            for index in part {
                outcomes.record(*index, Err::<(), _>(refused(&said.message)));
            }
            return None;
        }
        let places = said.places(part.len());
        if rejected > 0 && places.is_none() {
            if self.config.partial_success == PartialSuccess::Search {
                let (first, second) = part.split_at(part.len().div_ceil(2));
                return Some([first, second]);
            }
            let (records, message) = (part.len(), &said.message);
            eprintln!("the collector refused {rejected} of {records} records: {message}");
        }
        outcomes.body(part, Ok(()));
        for (place, reason) in places.unwrap_or_default() {
            if let Some(index) = part.get(place) {
                outcomes.record(*index, Err::<(), _>(refused(reason)));
            }
        }
        None
    }
}

fn refused(message: &str) -> Failure {
    match message {
        "" => Failure::permanent("the collector refused the record"),
        message => Failure::permanent(format!("the collector refused the record: {message}")),
    }
}

sluice_sink::export!(Otlp);
