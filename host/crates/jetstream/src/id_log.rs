//! A log of ids on a stream of JetStream.

use std::time::Duration;

use async_nats::Request;

use crate::api::{self, PublishAck};
use crate::connection::{Connection, RequestError};
use crate::id_setup;
use crate::log::{EXPECTED_STREAM, HEADER_ROOM};
use crate::messages::{ids_from_direct, ids_headers};
use crate::names::token;
use crate::reading::read_batch;
use crate::setup;
use sluice_delivery::{Answer, IdLog, LogError, RequestId, StoredIds};

/// The most ids of a message.
const IDS_MAX: usize = 1 << 15;

/// The log of ids of one stream.
#[derive(Clone, Debug)]
pub struct JetStreamIdLog {
    connection: Connection,
    name: String,
    subject: String,
    count: usize,
    window: Duration,
}

impl JetStreamIdLog {
    /// The log of ids of a cluster's stream. It keeps about so many ids for so long.
    #[must_use]
    pub fn new(
        connection: Connection,
        (cluster, stream): (&str, &str),
        (count, window): (usize, Duration),
    ) -> Self {
        let cluster = token(cluster);
        Self {
            connection,
            // No name of a stream has this character.
            name: format!("sluice_{cluster}_{stream}_ids"),
            subject: format!("sluice.{cluster}.ids.{stream}"),
            count,
            window,
        }
    }

    async fn publish_ids(&self, ids: &[RequestId], age: Duration) -> Result<u64, LogError> {
        let mut headers = ids_headers(age);
        headers.insert(EXPECTED_STREAM, self.name.as_str());
        let payload = ids.as_flattened().to_vec().into();
        let request = Request::new().payload(payload).headers(headers);
        let answer = self.connection.request(self.subject.clone(), request).await;
        let answer = answer.map_err(|error| match error {
            RequestError::TooLarge => {
                LogError("the ids exceed the server's max_payload".to_owned())
            }
            RequestError::NoAnswer(reason) => LogError(reason),
        })?;
        let ack: PublishAck = api::answer(&answer)??;
        match ack.stream == self.name {
            true => Ok(ack.seq),
            false => Err(LogError(format!(
                "the subject {} belongs to the stream {}",
                self.subject, ack.stream
            ))),
        }
    }
}

impl IdLog for JetStreamIdLog {
    fn prepare(&self) -> Answer<'_, Result<[u8; 16], LogError>> {
        Box::pin(async {
            let is_cluster = self.connection.check().await?;
            let names = (self.name.as_str(), self.subject.as_str());
            let wanted = id_setup::wanted(names, (self.count, self.window), is_cluster);
            id_setup::make(&self.connection, wanted).await
        })
    }

    fn publish(&self, ids: Vec<RequestId>, age: Duration) -> Answer<'_, Result<u64, LogError>> {
        Box::pin(async move { self.publish_ids(&ids, age).await })
    }

    fn read(&self, from: u64) -> Answer<'_, Result<Vec<StoredIds>, LogError>> {
        let ids = |message| ids_from_direct(&message);
        Box::pin(async move { read_batch(&self.connection, &self.name, from, 0, ids).await })
    }

    fn first(&self) -> Answer<'_, Result<u64, LogError>> {
        Box::pin(async {
            let state = setup::state(&self.connection, &self.name).await?;
            Ok(state.first.max(1))
        })
    }

    fn ids_max(&self) -> usize {
        let limit = self.connection.max_payload().saturating_sub(HEADER_ROOM);
        (limit / size_of::<RequestId>()).clamp(1, IDS_MAX)
    }
}
