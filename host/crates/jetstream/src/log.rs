//! A log on a stream of JetStream.

use async_nats::{HeaderMap, Request, StatusCode};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::api::{self, Done, Get, Got, Nothing, PublishAck, Purge, Refusal, StreamInfo};
use crate::connection::{Connection, REQUEST_LIMIT, RequestError};
use crate::messages::{from_api, from_direct};
use crate::setup;
use sluice_delivery::{Answer, Log, LogError, LogState, Message, Published, Stored};

/// The condition on a publish.
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// Another message is the last one.
const WRONG_LAST_SEQUENCE: u32 = 10071;
/// There is no such message.
const NO_MESSAGE: u32 = 10037;
/// The most messages that are read at once.
const READ_MESSAGES: usize = 256;
/// The fewest bytes that are asked for.
const READ_BYTES_MIN: usize = 1 << 20;
/// What is left of a message's size for its headers.
const HEADER_ROOM: usize = 4 << 10;
/// The end of a batch of direct gets.
const END_OF_BATCH: u16 = 204;

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

    /// Reads from any of the servers that keep the stream.
    async fn read_batch(&self, from: u64, bytes: usize) -> Result<Vec<Stored>, LogError> {
        let client = self.connection.client().await?;
        let failed = |error: &dyn std::fmt::Display| LogError(error.to_string());
        let inbox = client.new_inbox();
        let mut answers = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| failed(&error))?;
        let get = Get {
            seq: Some(from),
            batch: Some(READ_MESSAGES),
            // At least one message fits.
            max_bytes: Some(bytes.max(READ_BYTES_MIN)),
            ..Get::default()
        };
        let get = serde_json::to_vec(&get).map_err(|error| failed(&error))?;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.name);
        client
            .publish_with_reply(subject, inbox, get.into())
            .await
            .map_err(|error| failed(&error))?;
        let mut messages = Vec::new();
        loop {
            let Ok(Some(answer)) = timeout(REQUEST_LIMIT, answers.next()).await else {
                // What came is in order.
                return match messages.is_empty() {
                    true => Err(LogError("NATS did not send messages in time".to_owned())),
                    false => Ok(messages),
                };
            };
            match answer.status {
                None | Some(StatusCode::OK) => {}
                Some(StatusCode::NOT_FOUND) => return Ok(messages),
                Some(status) if status.as_u16() == END_OF_BATCH => return Ok(messages),
                Some(StatusCode::NO_RESPONDERS) => {
                    return Err(LogError("no NATS server has the journal".to_owned()));
                }
                Some(status) => {
                    return Err(LogError(format!("NATS answers a read with {status}")));
                }
            }
            match from_direct(answer) {
                Some(message) => messages.push(message),
                None => return Ok(messages),
            }
        }
    }
}

impl Log for JetStreamLog {
    fn prepare(&self) -> Answer<'_, Result<(), LogError>> {
        Box::pin(async {
            let is_cluster = self.connection.check().await?;
            let wanted = setup::wanted(&self.name, &self.subject, self.limit, is_cluster);
            setup::make(&self.connection, &wanted).await
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
        Box::pin(self.read_batch(from, bytes))
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
        Box::pin(async {
            let subject = format!("STREAM.INFO.{}", self.name);
            let info: StreamInfo = self.connection.api(subject, &Nothing {}).await??;
            Ok(LogState {
                first: info.state.first_seq,
                last: info.state.last_seq,
                bytes: info.state.bytes,
            })
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

/// A text as a token of subjects and names of streams.
fn token(text: &str) -> String {
    let mut token = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => token.push(char::from(byte)),
            other => token.push_str(&format!("={other:02x}")),
        }
    }
    token
}
