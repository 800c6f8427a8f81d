//! A log on a stream of JetStream.

use async_nats::{HeaderMap, Request};

use crate::api::{self, Done, Get, Got, PublishAck, Purge, Refusal};
use crate::connection::{Connection, RequestError};
use crate::messages::{from_api, from_direct};
use crate::names::token;
use crate::reading::read_batch;
use crate::setup;
use sluice_delivery::{Answer, Log, LogError, LogState, Message, Published, Stored};

/// The condition on a publish.
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
pub(crate) const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// Another message is the last one.
const WRONG_LAST_SEQUENCE: u32 = 10071;
/// There is no such message.
const NO_MESSAGE: u32 = 10037;
/// What is left of a message's size for its headers.
pub(crate) const HEADER_ROOM: usize = 4 << 10;

/// The log of one stream.
#[derive(Clone, Debug)]
pub struct JetStreamLog {
    connection: Connection,
    name: String,
    subject: String,
    limit: u64,
}

impl JetStreamLog {
    /// The log of a cluster's stream. It may become so many bytes large.
    #[must_use]
    pub fn new(connection: Connection, cluster: &str, stream: &str, limit: u64) -> Self {
        let cluster = token(cluster);
        Self {
            connection,
            name: format!("sluice_{cluster}_{stream}"),
            subject: format!("sluice.{cluster}.journal.{stream}"),
            limit,
        }
    }

    /// The name of the stream of JetStream.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn got(&self, get: Get<'_>) -> Result<Option<Stored>, LogError> {
        let subject = format!("STREAM.MSG.GET.{}", self.name);
        let got: Result<Got, Refusal> = self.connection.api(subject, &get).await?;
        match got {
            Ok(got) => from_api(&got.message).map(Some),
            Err(refusal) if refusal.err_code == NO_MESSAGE => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn publish_message(&self, message: Message) -> Published {
        let mut headers = HeaderMap::new();
        for (name, value) in message.envelope.headers() {
            headers.insert(name, value);
        }
        headers.insert(EXPECTED_STREAM, self.name.as_str());
        headers.insert(EXPECTED_LAST_SEQUENCE, message.after.to_string());
        let request = Request::new().payload(message.payload).headers(headers);
        let answer = match self.connection.request(self.subject.clone(), request).await {
            Ok(answer) => answer,
            Err(RequestError::TooLarge) => {
                return Published::Impossible("it exceeds the server's max_payload".to_owned());
            }
            Err(RequestError::NoAnswer(reason)) => return Published::Unknown(reason),
        };
        match api::answer::<PublishAck>(&answer) {
            Ok(Ok(ack)) if ack.stream == self.name => Published::Stored(ack.seq),
            Ok(Ok(ack)) => Published::Unknown(format!(
                "the subject {} belongs to the stream {}",
                self.subject, ack.stream
            )),
            Ok(Err(refusal)) => refused(refusal),
            Err(LogError(reason)) => Published::Unknown(reason),
        }
    }
}

impl Log for JetStreamLog {
    fn prepare(&self) -> Answer<'_, Result<(), LogError>> {
        Box::pin(async {
            let is_cluster = self.connection.check().await?;
            let wanted = setup::wanted(&self.name, &self.subject, self.limit, is_cluster);
            setup::make(&self.connection, &wanted).await.map(drop)
        })
    }

    fn publish(&self, message: Message) -> Answer<'_, Published> {
        Box::pin(self.publish_message(message))
    }

    fn get(&self, sequence: u64) -> Answer<'_, Result<Option<Stored>, LogError>> {
        Box::pin(self.got(Get {
            seq: Some(sequence),
            ..Get::default()
        }))
    }

    fn last(&self) -> Answer<'_, Result<Option<Stored>, LogError>> {
        Box::pin(self.got(Get {
            last_by_subj: Some(&self.subject),
            ..Get::default()
        }))
    }

    fn read(&self, from: u64, bytes: usize) -> Answer<'_, Result<Vec<Stored>, LogError>> {
        Box::pin(read_batch(
            &self.connection,
            &self.name,
            from,
            bytes,
            from_direct,
        ))
    }

    fn purge(&self, below: u64) -> Answer<'_, Result<(), LogError>> {
        Box::pin(async move {
            // 0 removes everything, and so did 1 on older servers.
            if below < 2 {
                return Ok(());
            }
            let subject = format!("STREAM.PURGE.{}", self.name);
            let Done {} = self
                .connection
                .api(subject, &Purge { seq: below })
                .await??;
            Ok(())
        })
    }

    fn state(&self) -> Answer<'_, Result<LogState, LogError>> {
        Box::pin(setup::state(&self.connection, &self.name))
    }

    fn is_gone(&self) -> Answer<'_, bool> {
        Box::pin(async {
            let info = setup::info(&self.connection, &self.name).await;
            matches!(info, Ok(None))
        })
    }

    fn payload_limit(&self) -> usize {
        self.connection.max_payload().saturating_sub(HEADER_ROOM)
    }
}

/// What a refusal of a publish means.
fn refused(refusal: Refusal) -> Published {
    let reason = LogError::from(refusal.clone()).0;
    match refusal.err_code {
        WRONG_LAST_SEQUENCE => Published::Refused,
        // The account's limits, insufficient resources, storage, the stream's limit.
        10002 | 10023 | 10047 | 10077 => Published::Full(reason),
        // The message or its headers are too large.
        10054 | 10097 => Published::Impossible(reason),
        _ => Published::Unknown(reason),
    }
}
