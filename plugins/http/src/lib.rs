//! The webhook sink: sends batches in the bodies of HTTP requests, as NDJSON, as a
//! JSON array or as lines of text. `docs/sinks/http.md` describes the config,
//! `config.schema.json` checks it.

mod config;
#[cfg(test)]
mod tests;

use sluice_sink::bodies::{Bodies, Body, Framing};
use sluice_sink::http::{Client, Request};
use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink};

use config::{Config, Form};

struct Webhook {
    config: Config,
    client: Client,
}

impl Sink for Webhook {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        let client = config.timeout_ms.client();
        Ok(Self { config, client })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let config = &self.config;
        let request = |bytes| self.request(bytes);
        let at_once = config.concurrency.get();
        self.client.send_bodies(
            batch.len(),
            self.bodies(batch),
            at_once,
            request,
            |answer| answer.check_with(|status| config.verdict(status)).map(drop),
        )
    }
}

impl Webhook {
    fn bodies(&self, batch: &Batch) -> Vec<Body> {
        let (bytes, records) = (
            self.config.max_body_kib.bytes(),
            self.config.max_records.get(),
        );
        match self.config.body {
            Form::Ndjson => Bodies::of_lines(batch.json_lines(), bytes, records),
            Form::Text => Bodies::of_lines(batch.text_lines(), bytes, records),
            Form::Json => {
                let mut bodies = Bodies::new(bytes, records).framing(Framing::JSON_ARRAY);
                for (index, object) in batch.json_lines().lines().enumerate() {
                    bodies.push(index, |out| out.extend_from_slice(object));
                }
                bodies.finish()
            }
        }
    }

    fn request(&self, bytes: Vec<u8>) -> Request {
        let config = &self.config;
        let mut request = Request::new(config.method.name(), &config.url).body(bytes);
        if !config.headers.has("content-type") {
            request = request.header("content-type", config.body.content_type());
        }
        config.compression.apply(config.headers.add_to(request))
    }
}

sluice_sink::export!(Webhook);
