//! The sink for Elasticsearch and OpenSearch: creates documents with the bulk API,
//! under ids that repeats share. `docs/sinks/elasticsearch.md` describes the config,
//! `config.schema.json` checks it.

mod answer;
mod config;
mod document;
mod index;
#[cfg(test)]
mod tests;

use sluice_sink::bodies::{Bodies, Body};
use sluice_sink::http::{Answer, Client, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Outcomes, Refusals, Rows, Sink};

use answer::{Bulk, FILTER};
use config::Config;
use document::Documents;

/// Of an answer, which says something about each record.
const MAX_ANSWER: usize = 4 << 20;

struct Elasticsearch {
    config: Config,
    client: Client,
    url: Url,
}

impl Sink for Elasticsearch {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        let pipeline = config.pipeline.as_ref();
        let pipeline = pipeline.map(|name| format!("&pipeline={}", name.0));
        let path = format!("_bulk?{FILTER}{}", pipeline.unwrap_or_default());
        Ok(Self {
            client: config.timeout_ms.client().max_answer(MAX_ANSWER),
            url: config.url.join(&path),
            config,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let rows = batch.rows();
        self.client.send_in_rounds(
            batch.len(),
            self.bodies(&rows, 0..batch.len()),
            self.config.concurrency.get(),
            |bytes| self.request(bytes),
            |held, answer, outcomes| self.judge(&rows, held, answer, outcomes),
        )
    }
}

impl Elasticsearch {
    fn bodies(&self, rows: &Rows<'_>, indices: impl Iterator<Item = usize>) -> Vec<Body> {
        let (bytes, records) = (
            self.config.max_body_kib.bytes(),
            self.config.max_records.get(),
        );
        let mut bodies = Bodies::new(bytes, records);
        let mut documents = Documents::new(&self.config);
        for index in indices {
            bodies.push(index, |out| documents.push(rows.get(index), out));
        }
        bodies.finish()
    }

    fn request(&self, bytes: Vec<u8>) -> Request {
        let request = Request::post(&self.url)
            .header("content-type", "application/x-ndjson")
            .body(bytes);
        let request = self.config.headers.add_to(request);
        self.config.compression.apply(request)
    }

    /// An answer that is too long to be read says nothing. The halves of the body have
    /// shorter ones; what has arrived conflicts then, which counts as taken.
    fn judge(
        &self,
        rows: &Rows<'_>,
        held: &[usize],
        answer: Answer,
        outcomes: &mut Outcomes,
    ) -> Vec<Body> {
        if answer.is_cut && held.len() > 1 {
            let (first, second) = held.split_at(held.len() / 2);
            let halves = [first, second].into_iter();
            return halves
                .flat_map(|half| self.bodies(rows, half.iter().copied()))
                .collect();
        }
        match answer.check().and_then(|answer| answer.json::<Bulk>()) {
            Ok(bulk) => bulk.settle(held, outcomes),
            Err(failure) => outcomes.body::<()>(held, Err(failure)),
        }
        Vec::new()
    }
}

sluice_sink::export!(Elasticsearch);
