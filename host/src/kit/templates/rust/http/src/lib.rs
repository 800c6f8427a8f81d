//! Posts each batch as NDJSON to a URL.
//!
//! Config: `{"url": "https://logs.example.com/in", "timeout_ms": 5000}`

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Deserialize;
use sluice_sink::http::{Client, Request, Url};
use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink};

/// The manifest's `config`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: Url,
    #[serde(default = "default_timeout")]
    timeout_ms: NonZeroU64,
}

fn default_timeout() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(4999)
}

struct Post {
    url: Url,
    client: Client,
}

impl Sink for Post {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        let timeout = Duration::from_millis(config.timeout_ms.get());
        Ok(Self {
            url: config.url,
            client: Client::new().timeout(timeout),
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let request = Request::post(&self.url)
            .header("content-type", "application/x-ndjson")
            .body(batch.json_lines().into_bytes());
        // What is no answer, or says "later", is tried again; any other 4xx is a
        // refusal. See `sluice_sink::http::Verdict`.
        self.client.send(request)?.check()?;
        // The host acknowledges everything that is not refused.
        Ok(Refusals::none())
    }
}

sluice_sink::export!(Post);

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sink::testing::{Destination, Reply, batch, open, record};

    const CONFIG: &str = r#"{"url": "https://logs.example.com/in"}"#;

    fn write(status: u16) -> (Result<Refusals, Failure>, Destination) {
        let destination = Destination::new("https://logs.example.com", move |_| {
            Reply::status(status).header("retry-after", "7")
        });
        let mut sink = open::<Post>(CONFIG).unwrap();
        let result = sink.write(&batch([record("one"), record("two")]));
        (result, destination)
    }

    #[test]
    fn a_batch_is_posted_as_ndjson() {
        let (result, destination) = write(204);
        assert_eq!(result, Ok(Refusals::none()));
        let requests = destination.requests();
        assert_eq!(requests[0].text().lines().count(), 2);
    }

    #[test]
    fn what_a_busy_server_does_not_take_is_tried_again() {
        for status in [302, 401, 404, 408, 429, 500, 503] {
            let failure = write(status).0.unwrap_err();
            assert!(failure.is_retryable(), "{status}");
        }
    }

    #[test]
    fn what_a_server_refuses_is_refused() {
        for status in [400, 413, 422] {
            let failure = write(status).0.unwrap_err();
            assert!(!failure.is_retryable(), "{status}");
        }
    }

    #[test]
    fn a_wrong_config_is_refused_for_good() {
        for config in [
            "",
            r#"{"url": "a"}"#,
            r#"{"url": "http://a", "timeout_ms": 0}"#,
        ] {
            let failure = open::<Post>(config).err().unwrap();
            assert!(!failure.is_retryable(), "{config}");
        }
    }
}
