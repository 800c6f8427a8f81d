//! The sink for Splunk: sends events to the HTTP Event Collector.
//! `docs/sinks/splunk.md` describes the config, `config.schema.json` checks it.

mod answer;
mod config;
mod event;
#[cfg(test)]
mod tests;

use sluice_sink::bodies::{Bodies, Body};
use sluice_sink::http::{Answer, Client, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Outcomes, Refusals, Sink};

use answer::{Fault, Said};
use config::Config;
use event::Events;

const ENDPOINT: &str = "/services/collector/event";

struct Splunk {
    config: Config,
    client: Client,
    url: Url,
}

impl Sink for Splunk {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        Ok(Self {
            client: config.timeout_ms.client(),
            url: config.url.join(ENDPOINT),
            config,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let objects = event::objects(&self.config, batch);
        let objects: Vec<&[u8]> = objects.lines().collect();
        let events = Events::new(&self.config, batch, &objects);
        self.client.send_in_rounds(
            batch.len(),
            self.bodies(&events, 0..batch.len()),
            self.config.concurrency.get(),
            |bytes| self.request(bytes),
            |held, answer, outcomes| self.judge(&events, held, answer, outcomes),
        )
    }
}

impl Splunk {
    fn bodies(&self, events: &Events<'_>, indices: impl Iterator<Item = usize>) -> Vec<Body> {
        let (bytes, records) = (
            self.config.max_body_kib.bytes(),
            self.config.max_records.get(),
        );
        let mut bodies = Bodies::new(bytes, records);
        for index in indices {
            bodies.push(index, |out| events.push(index, out));
        }
        bodies.finish()
    }

    fn request(&self, bytes: Vec<u8>) -> Request {
        let mut request = Request::post(&self.url).body(bytes);
        if !self.config.headers.has("content-type") {
            request = request.header("content-type", "application/json");
        }
        let request = self.config.headers.add_to(request);
        self.config.compression.apply(request)
    }

    /// Splunk names the first event that is at fault. That one is refused, and all the
    /// others are sent again, because it does not say which of them it has.
    fn judge(
        &self,
        events: &Events<'_>,
        held: &[usize],
        answer: Answer,
        outcomes: &mut Outcomes,
    ) -> Vec<Body> {
        let said = match answer.status {
            400 => answer.json::<Said>().ok(),
            _ => None,
        };
        let Some(said) = said else {
            outcomes.body(held, answer.check());
            return Vec::new();
        };
        let place = match said.fault() {
            Fault::Event(place) => Some(place),
            Fault::Index(place) => {
                let attribute = self.config.index_attribute();
                let index = held.get(place);
                let own = index.is_some_and(|index| events.names_its_own(*index, attribute));
                if !own {
                    outcomes.body::<()>(held, Err(Failure::retryable(said.reason())));
                    return Vec::new();
                }
                Some(place)
            }
            Fault::Config => {
                outcomes.body::<()>(held, Err(Failure::retryable(said.reason())));
                return Vec::new();
            }
            Fault::Unknown => None,
        };
        // Splunk may have those in front of the event, and has not read those behind it.
        // Apart, each of them comes twice at most, however many are wrong.
        let parts = place.and_then(|place| held.split_at_checked(place));
        let Some((before, [bad, behind @ ..])) = parts else {
            outcomes.body(held, answer.check());
            return Vec::new();
        };
        outcomes.record::<()>(*bad, Err(Failure::permanent(said.reason())));
        let parts = [before, behind].into_iter();
        parts
            .flat_map(|part| self.bodies(events, part.iter().copied()))
            .collect()
    }
}

sluice_sink::export!(Splunk);
