//! Sends `Message: 1`, `Message: 2`, …, each until it is acknowledged, as
//! `sluice-producer` does.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, sleep};

use super::event::{Acknowledgement, Event};
use super::phase::{LAST_MESSAGE_TIMEOUT, Phase, reached};
use super::screen::{Label, Screen};
use super::tally::{MESSAGE, in_words};
use crate::cli::cluster::leader;
use sluice_consul::Client;
use sluice_types::backoff::Backoff;
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

/// Bounds on the pause between attempts to send a message.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(200);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Producer {
    pub(super) http: reqwest::Client,
    pub(super) consul: Client,
    pub(super) leader_key: String,
    pub(super) interval: Duration,
    /// The prefix of message ids, unique to this demo.
    pub(super) run: String,
    pub(super) screen: Screen,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Why an attempt failed.
enum AttemptError {
    /// Another attempt may succeed.
    Temporary(String),
    /// The message will never be accepted.
    Permanent(String),
}

impl Producer {
    /// The HTTP client of a producer.
    pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ATTEMPT_TIMEOUT)
            .build()
    }

    /// Sends one message after another until the demo ends.
    pub(super) async fn run(self) {
        let mut ticks = tokio::time::interval(self.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending = self.phase.clone();
        // The node that acknowledged the last message.
        let mut leader = None;
        for number in 1.. {
            tokio::select! {
                biased;
                () = reached(&mut ending, Phase::LastMessage) => break,
                _ = ticks.tick() => {}
            }
            let acknowledged = tokio::select! {
                acknowledged = self.send(number, &mut leader) => acknowledged,
                () = self.out_of_time() => {
                    self.say(&format!("{MESSAGE}{number} was not acknowledged before the end")).await;
                    None
                }
            };
            let event = match acknowledged {
                Some(acknowledgement) => Event::Acknowledged(acknowledgement),
                None => Event::Unacknowledged(number),
            };
            self.emit(event).await;
        }
        self.emit(Event::ProducerStopped).await;
    }

    /// Returns when the demo ends and the last message has had its time.
    async fn out_of_time(&self) {
        let mut phase = self.phase.clone();
        reached(&mut phase, Phase::LastMessage).await;
        tokio::select! {
            () = sleep(LAST_MESSAGE_TIMEOUT) => {}
            () = reached(&mut phase, Phase::Stop) => {}
        }
    }

    /// Tries until the message is acknowledged; `None` if it is refused
    /// permanently.
    async fn send(
        &self,
        number: u64,
        leader: &mut Option<LeaderAddress>,
    ) -> Option<Acknowledgement> {
        let started = Instant::now();
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        let mut last_reason = String::new();
        loop {
            match self.attempt(number, leader).await {
                Ok(epoch) => {
                    let node = leader.as_ref().map(|l| l.node.clone()).unwrap_or_default();
                    let took = started.elapsed();
                    let words = in_words(took);
                    self.say(&format!(
                        "{MESSAGE}{number} acknowledged by {node} (epoch {epoch}) in {words}"
                    ))
                    .await;
                    return Some(Acknowledgement {
                        number,
                        node,
                        epoch,
                        took,
                    });
                }
                Err(AttemptError::Permanent(reason)) => {
                    self.say(&format!("{MESSAGE}{number} refused permanently: {reason}"))
                        .await;
                    return None;
                }
                Err(AttemptError::Temporary(reason)) => {
                    // Another node may lead by now.
                    *leader = None;
                    if last_reason != reason {
                        self.say(&format!("{MESSAGE}{number}: {reason}; trying again"))
                            .await;
                        last_reason = reason;
                    }
                    sleep(backoff.next(None)).await;
                }
            }
        }
    }

    /// Sends the message once, and returns the epoch of the acknowledgement.
    async fn attempt(
        &self,
        number: u64,
        leader: &mut Option<LeaderAddress>,
    ) -> Result<String, AttemptError> {
        let leader = match leader {
            Some(leader) => leader,
            None => leader.insert(self.find().await.map_err(AttemptError::Temporary)?),
        };
        let LeaderAddress { node, address } = leader;
        let posted = self.post(address, number).await;
        let (status, headers, body) = posted.map_err(|error| {
            AttemptError::Temporary(match error.is_connect() {
                true => format!("{node} cannot be reached"),
                false => format!("{node} gave no answer"),
            })
        })?;
        let answer = format!("{node} answered {status}: {}", body.trim());
        match status {
            StatusCode::OK => {
                let epoch = headers.get("sluice-epoch").and_then(|e| e.to_str().ok());
                Ok(epoch.unwrap_or("?").to_owned())
            }
            StatusCode::TEMPORARY_REDIRECT => {
                Err(AttemptError::Temporary(format!("{node} no longer leads")))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(AttemptError::Temporary(answer))
            }
            status if status.is_server_error() => Err(AttemptError::Temporary(answer)),
            _ => Err(AttemptError::Permanent(answer)),
        }
    }

    async fn post(
        &self,
        address: &str,
        number: u64,
    ) -> Result<(StatusCode, HeaderMap, String), reqwest::Error> {
        let request = self
            .http
            .post(format!("http://{address}/api/v1/log"))
            .header("content-type", "text/plain")
            .header("sluice-message-id", format!("{}-{number}", self.run))
            .body(format!("{MESSAGE}{number}"));
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.text().await?))
    }

    /// The leader by the lock's key.
    async fn find(&self) -> Result<LeaderAddress, String> {
        leader(&self.consul, &self.leader_key)
            .await
            .map_err(|error| format!("the coordinator does not answer: {}", chain(&error)))?
            .ok_or_else(|| "no node leads".to_owned())
    }

    async fn say(&self, text: &str) {
        self.screen.say(&Label::producer(), text).await;
    }

    async fn emit(&self, event: Event) {
        // Without its supervisor the demo is over.
        let _ended = self.events.send(event).await;
    }
}
