//! Storing one message: publishing it until it is known what its place holds.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::envelope::Kind;
use super::group::Placed;
use super::log::{LogError, Message, Published, Stored};
use super::writer::{Fenced, Writer};

/// The time between attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// The same after an answer that was stale.
const STALE_INTERVAL: Duration = Duration::from_millis(20);
/// How long the log may seem to end before this term's last message, until that
/// is taken for a loss rather than for a stale answer.
const LOSS_LIMIT: Duration = Duration::from_secs(30);
/// The time between questions whether the log still exists, while nothing is stored.
const GONE_INTERVAL: Duration = Duration::from_secs(5);

/// What lies where a message was to be stored.
enum Found {
    /// The message of this term with this number.
    Own(u64),
    /// Another owner's.
    Other(String),
    /// Nothing that this server knows of.
    Nothing,
}

impl Writer {
    /// Publishes the message on top of the last one of this term, until it is
    /// known what is stored there.
    pub(super) async fn place(&mut self, message: &Message) -> Result<Placed, Fenced> {
        let log = std::sync::Arc::clone(&self.shared.log);
        let mut went_back: Option<Instant> = None;
        let mut may_be_stored = false;
        let mut asked = Instant::now();
        loop {
            let published = self.acknowledging(log.publish(message.clone())).await;
            match published {
                Published::Stored(sequence) if sequence == message.after + 1 => {
                    return Ok(Placed::Number(message.envelope.number));
                }
                Published::Stored(sequence) => {
                    return Err(Fenced(format!(
                        "a message for place {} of the log was stored as {sequence}",
                        message.after + 1
                    )));
                }
                // Should a copy be stored all the same, the next message for this
                // place finds it.
                Published::Full(reason) => return Ok(Placed::NoRoom(reason)),
                Published::Impossible(reason) if !may_be_stored => {
                    return Ok(Placed::Impossible(reason));
                }
                Published::Unknown(reason) => {
                    may_be_stored = true;
                    self.trouble(&reason);
                    if asked.elapsed() >= GONE_INTERVAL {
                        if self.acknowledging(log.is_gone()).await {
                            return Err(Fenced("the log was deleted".to_owned()));
                        }
                        asked = Instant::now();
                    }
                    self.acknowledging(sleep(RETRY_INTERVAL)).await;
                }
                Published::Refused | Published::Impossible(_) => {
                    match self.found(message, &mut went_back).await {
                        Ok(Found::Own(number)) => return Ok(Placed::Number(number)),
                        Ok(Found::Other(reason)) => return Err(Fenced(reason)),
                        Ok(Found::Nothing) => {}
                        Err(LogError(reason)) => self.trouble(&reason),
                    }
                    self.acknowledging(sleep(STALE_INTERVAL)).await;
                }
            }
        }
    }

    /// Looks at the place of a message.
    async fn found(
        &mut self,
        message: &Message,
        went_back: &mut Option<Instant>,
    ) -> Result<Found, LogError> {
        let log = std::sync::Arc::clone(&self.shared.log);
        if let Some(stored) = self.acknowledging(log.get(message.after + 1)).await? {
            return Ok(self.whose(&stored));
        }
        // It may be removed already.
        let last = self.acknowledging(log.last()).await?;
        let end = last.as_ref().map_or(0, |last| last.sequence);
        if end > message.after
            && let Some(last) = last
        {
            return Ok(self.whose(&last));
        }
        if end < message.after && message.envelope.kind != Kind::Barrier {
            let since = *went_back.get_or_insert_with(Instant::now);
            if since.elapsed() >= LOSS_LIMIT {
                return Ok(Found::Other(format!(
                    "the log has lost messages: it ends at {end}, and {} was stored",
                    message.after
                )));
            }
        }
        Ok(Found::Nothing)
    }

    fn whose(&self, stored: &Stored) -> Found {
        match stored.envelope {
            Some(envelope) if envelope.term == self.term => Found::Own(envelope.number),
            Some(envelope) => Found::Other(format!(
                "message {} of the log belongs to epoch {}",
                stored.sequence, envelope.term.epoch
            )),
            None => Found::Other(format!(
                "message {} of the log was not written by this version of Sluice",
                stored.sequence
            )),
        }
    }
}
