//! `Message: 1`, `Message: 2`, …, each sent until it is acknowledged: what
//! `sluice-producer` does, without that program.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, sleep};

use super::Event;
use super::phase::{LAST_MESSAGE, Phase, reached};
use super::screen::{Label, Screen};
use super::tally::{MESSAGE, in_words};
use crate::cli::cluster::leader;
use sluice_consul::Client;
use sluice_types::backoff::Backoff;
use sluice_types::error_chain::chain;
use sluice_types::leader::LeaderAddress;

/// Waits between attempts at the same message.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(200);
/// The most that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A message is safe.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    pub(super) number: u64,
    pub(super) node: String,
    pub(super) epoch: String,
    pub(super) took: Duration,
}

pub(super) struct Producer {
    pub(super) http: reqwest::Client,
    pub(super) consul: Client,
    pub(super) leader_key: String,
    pub(super) interval: Duration,
    /// Of this run: message ids are unique to it.
    pub(super) run: String,
    pub(super) screen: Screen,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Why an attempt failed.
enum Failed {
    /// Try again.
    ForNow(String),
    /// It will never be taken.
    ForGood(String),
}

impl Producer {
    /// An HTTP client for it.
    pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ATTEMPT)
            .build()
    }

    /// Sends one message after the other until the demo ends.
    pub(super) async fn run(self) {
        let mut ticks = tokio::time::interval(self.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending = self.phase.clone();
        // Where the last attempt went well.
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
            self.tell(event).await;
        }
        self.tell(Event::LastMessage).await;
    }

    /// The demo ends, and has waited long enough for the message under way.
    async fn out_of_time(&self) {
        let mut phase = self.phase.clone();
        reached(&mut phase, Phase::LastMessage).await;
        tokio::select! {
            () = sleep(LAST_MESSAGE) => {}
            () = reached(&mut phase, Phase::Stop) => {}
        }
    }

    /// Tries until the message is acknowledged; `None` if it is refused for
    /// good.
    async fn send(
        &self,
        number: u64,
        leader: &mut Option<LeaderAddress>,
    ) -> Option<Acknowledgement> {
        let started = Instant::now();
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        let mut said = String::new();
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
                Err(Failed::ForGood(reason)) => {
                    self.say(&format!("{MESSAGE}{number} refused for good: {reason}"))
                        .await;
                    return None;
                }
                Err(Failed::ForNow(reason)) => {
                    // The leader may be another by now.
                    *leader = None;
                    if said != reason {
                        self.say(&format!("{MESSAGE}{number}: {reason}; trying again"))
                            .await;
                        said = reason;
                    }
                    sleep(backoff.next(None)).await;
                }
            }
        }
    }

    /// Posts once; gives the epoch of the acknowledgement.
    async fn attempt(
        &self,
        number: u64,
        leader: &mut Option<LeaderAddress>,
    ) -> Result<String, Failed> {
        let leader = match leader {
            Some(leader) => leader,
            None => leader.insert(self.find().await.map_err(Failed::ForNow)?),
        };
        let LeaderAddress { node, address } = leader;
        let posted = self.post(address, number).await;
        let (status, headers, body) = posted.map_err(|error| {
            Failed::ForNow(match error.is_connect() {
                true => format!("{node} can not be reached"),
                false => format!("{node} gave no answer"),
            })
        })?;
        let said = format!("{node} answered {status}: {}", body.trim());
        match status {
            StatusCode::OK => {
                let epoch = headers.get("sluice-epoch").and_then(|e| e.to_str().ok());
                Ok(epoch.unwrap_or("?").to_owned())
            }
            StatusCode::TEMPORARY_REDIRECT => {
                Err(Failed::ForNow(format!("{node} does not lead any more")))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(Failed::ForNow(said))
            }
            status if status.is_server_error() => Err(Failed::ForNow(said)),
            _ => Err(Failed::ForGood(said)),
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

    /// Who leads, by the key: only while it is held.
    async fn find(&self) -> Result<LeaderAddress, String> {
        leader(&self.consul, &self.leader_key)
            .await
            .map_err(|error| format!("the coordinator does not answer: {}", chain(&error)))?
            .ok_or_else(|| "no node leads".to_owned())
    }

    async fn say(&self, said: &str) {
        self.screen.say(&Label::producer(), said).await;
    }

    async fn tell(&self, event: Event) {
        // Who does not listen any more ends the demo at once.
        let _ended = self.events.send(event).await;
    }
}
