//! Consistent reads of many keys at once, by transactions that only read.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::client::Client;
use super::error::Error;
use super::kv::Entry;
use super::refusal::Refusal;
use super::txn::{TxnError, Wire, Wrapped};

/// The most steps of a transaction that every version of Consul accepts.
const MAX_STEPS: usize = 64;

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "KV")]
    kv: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    results: Option<Vec<Found>>,
    errors: Option<Vec<TxnError>>,
}

impl Client {
    /// The keys, in their order, as a quorum of servers confirms them at a moment
    /// after the call was made; `None` for one that does not exist. One request
    /// reads up to 64 keys. A key that does not exist costs a second one.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn read_many_consistent(
        &self,
        keys: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Option<Entry>>, Error> {
        let mut read = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_STEPS) {
            read.extend(self.read_chunk(keys, timeout).await?);
        }
        Ok(read)
    }

    async fn read_chunk(
        &self,
        keys: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Option<Entry>>, Error> {
        let mut places: Vec<usize> = (0..keys.len()).collect();
        let mut read = vec![None; keys.len()];
        while !places.is_empty() {
            let asked: Vec<_> = places.iter().filter_map(|place| keys.get(*place)).collect();
            let absent = match self.read_all(&asked, timeout).await? {
                Ok(found) => {
                    for entry in found {
                        let place = keys.iter().position(|key| *key == entry.key);
                        if let Some(slot) = place.and_then(|place| read.get_mut(place)) {
                            *slot = Some(entry);
                        }
                    }
                    return Ok(read);
                }
                Err(absent) => absent,
            };
            let before = places.len();
            let present = places.into_iter().enumerate();
            let present = present.filter(|(position, _)| !absent.contains(position));
            places = present.map(|(_, place)| place).collect();
            if places.len() == before {
                break;
            }
        }
        Ok(read)
    }

    /// Reads all of these keys, or returns the positions of those that do not
    /// exist.
    async fn read_all(
        &self,
        keys: &[&&str],
        timeout: Duration,
    ) -> Result<Result<Vec<Entry>, Vec<usize>>, Error> {
        let steps = keys.iter().map(|key| Wrapped {
            kv: Wire {
                verb: "get",
                key,
                ..Wire::default()
            },
        });
        let steps: Vec<_> = steps.collect();
        let call = self.call(Method::PUT, "/v1/txn?consistent", timeout);
        let answer = call.json(&steps).send(&[StatusCode::CONFLICT]).await?;
        let is_refused = answer.status() == StatusCode::CONFLICT;
        let answer: Answer = answer.json().await?;
        if !is_refused {
            let found = answer.results.unwrap_or_default();
            return Ok(Ok(found.into_iter().map(|found| found.kv).collect()));
        }
        let errors = answer.errors.unwrap_or_default();
        let other = errors
            .iter()
            .find(|error| Refusal::of(&error.what) != Refusal::Absent);
        match other {
            Some(error) => Err(Error::Status {
                call: "PUT /v1/txn?consistent".to_owned(),
                status: StatusCode::CONFLICT.as_u16(),
                text: error.what.clone(),
            }),
            None => Ok(Err(errors.iter().map(|error| error.op_index).collect())),
        }
    }
}
