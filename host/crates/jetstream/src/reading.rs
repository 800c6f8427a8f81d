//! Reading many messages at once.

use async_nats::{Message, StatusCode};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::api::Get;
use crate::connection::{Connection, REQUEST_LIMIT};
use sluice_delivery::LogError;

/// The most messages that are read at once.
const READ_MESSAGES: usize = 256;
/// The fewest bytes that are asked for.
const READ_BYTES_MIN: usize = 1 << 20;
/// The end of a batch of direct gets.
const END_OF_BATCH: u16 = 204;

/// Reads messages from this sequence on, from any of the servers that keep the stream.
pub(crate) async fn read_batch<T>(
    connection: &Connection,
    name: &str,
    from: u64,
    bytes: usize,
    message: impl Fn(Message) -> Option<T>,
) -> Result<Vec<T>, LogError> {
    let client = connection.client().await?;
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
    let subject = format!("$JS.API.DIRECT.GET.{name}");
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
        match message(answer) {
            Some(message) => messages.push(message),
            None => return Ok(messages),
        }
    }
}
