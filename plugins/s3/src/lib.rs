//! The sink for S3 and stores like it: puts batches into objects of NDJSON, under keys
//! that say which records are in them. `docs/sinks/s3.md` describes the config,
//! `config.schema.json` checks it. The node signs the requests.

mod answer;
mod config;
mod hex;
mod key;
mod place;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};
use sluice_sink::bodies::{Bodies, Body};
use sluice_sink::http::settings::Compression;
use sluice_sink::http::{Client, Request, gzip};
use sluice_sink::{Batch, Delivery, Failure, Outcomes, Refusals, Rows, Sink};

use config::Config;
use key::Content;
use place::Place;

struct Store {
    config: Config,
    client: Client,
    place: Place,
}

impl Sink for Store {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        let place = config.place()?;
        let client = config.timeout_ms.client();
        Ok(Self {
            config,
            client,
            place,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let rows = batch.rows();
        let bytes = self.config.max_object_kib.bytes();
        let mut objects = Bodies::of_lines(batch.json_lines(), bytes, usize::MAX);
        let requests = objects.iter_mut().map(|object| self.put(&rows, object));
        let answers = self
            .client
            .send_all(requests, self.config.concurrency.get());
        let mut outcomes = Outcomes::new(batch.len());
        for (object, answer) in objects.iter().zip(answers) {
            let stored = answer.map_err(Failure::from).and_then(answer::check);
            outcomes.body(&object.records, stored);
        }
        outcomes.finish()
    }
}

impl Store {
    /// The request that stores an object, whose bytes it takes.
    fn put(&self, rows: &Rows<'_>, object: &mut Body) -> Request {
        let lines = std::mem::take(&mut object.bytes);
        let bytes = match self.config.compression {
            Compression::None => lines,
            Compression::Gzip => gzip::compress(&lines),
        };
        let digest = hex::text(&Sha256::digest(&bytes));
        let row = |index: Option<&usize>| rows.get(index.copied().unwrap_or_default());
        let first = row(object.records.first());
        let key = self.config.key(&Content {
            first: first.id(),
            last: row(object.records.last()).id(),
            accepted: first.observed(),
            digest: &digest,
        });
        let mut request = Request::put(&self.place.url(&key))
            .header("x-amz-content-sha256", &digest)
            .body(bytes);
        if !self.config.headers.has("content-type") {
            request = request.header("content-type", self.config.content_type());
        }
        if let Some(class) = &self.config.storage_class {
            request = request.header("x-amz-storage-class", class.name());
        }
        self.config.headers.add_to(request)
    }
}

sluice_sink::export!(Store);
