//! `Message: 1`, `Message: 2`, …: one after the other, none skipped.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, sleep};

use crate::args::NumberedArgs;
use crate::leader::{Journal, Leader, SetupError, authorization};

/// Waits between attempts at the same message.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);
/// Redirects that are followed for one attempt.
const HOPS: usize = 3;

/// How an attempt ended.
enum Attempt {
    Acknowledged {
        epoch: String,
    },
    /// It will never be taken.
    Refused(String),
    /// Try again.
    Failed(String),
}

struct Producer {
    http: reqwest::Client,
    leader: Leader,
    journal: Journal,
    authorization: Option<String>,
    /// Of this run: message ids are unique to it.
    run: String,
    /// Where the last attempt went well.
    url: Option<String>,
}

pub(crate) async fn run(args: NumberedArgs) -> Result<ExitCode, Box<dyn Error>> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(1))
        .timeout(args.timeout)
        .build()
        .map_err(SetupError::Http)?;
    let mut producer = Producer {
        http,
        leader: Leader::new(&args.destination)?,
        journal: Journal::open(&args.destination)?,
        authorization: authorization(&args.destination)?,
        run: format!("{:016x}", rand::random::<u64>()),
        url: None,
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut ticks = tokio::time::interval(args.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut acknowledged, mut unacknowledged) = (0_u64, 0_u64);
    let mut number = args.from;
    let end = args.count.map(|count| args.from.saturating_add(count));
    while end.is_none_or(|end| number < end) {
        tokio::select! {
            _ = ticks.tick() => {}
            () = ended(&mut interrupt, &mut terminate) => break,
        }
        let sent = tokio::select! {
            sent = producer.send(number) => sent,
            () = ended(&mut interrupt, &mut terminate) => {
                println!("message {number}: not acknowledged before the end");
                unacknowledged += 1;
                break;
            }
        };
        match sent {
            true => {
                producer.journal.acknowledged(number, number)?;
                producer.journal.flush()?;
                acknowledged += 1;
            }
            false => unacknowledged += 1,
        }
        number += 1;
    }
    println!("{acknowledged} acknowledged, {unacknowledged} not");
    let complete = unacknowledged == 0 && end.is_none_or(|end| number >= end);
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn ended(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

impl Producer {
    /// Tries until the message is acknowledged; false if it is refused for good.
    async fn send(&mut self, number: u64) -> bool {
        let started = Instant::now();
        let mut backoff = FIRST_BACKOFF;
        let mut said = String::new();
        loop {
            match self.attempt(number).await {
                Attempt::Acknowledged { epoch } => {
                    let millis = started.elapsed().as_secs_f64() * 1e3;
                    let url = self.url.as_deref().unwrap_or_default();
                    println!(
                        "message {number}: acknowledged by {url}, epoch {epoch}, after {millis:.1} ms"
                    );
                    return true;
                }
                Attempt::Refused(reason) => {
                    println!("message {number}: refused for good: {reason}");
                    return false;
                }
                Attempt::Failed(reason) => {
                    // The leader may be another by now.
                    self.url = None;
                    if said != reason {
                        println!("message {number}: {reason}; trying again");
                        said = reason;
                    }
                    sleep(backoff.mul_f64(rand::random_range(0.5..=1.0))).await;
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
            }
        }
    }

    async fn attempt(&mut self, number: u64) -> Attempt {
        let mut url = match self.url.take() {
            Some(url) => url,
            None => match self.leader.find().await {
                Ok(url) => url,
                Err(reason) => return Attempt::Failed(reason),
            },
        };
        for _ in 0..HOPS {
            let (status, answer, location) = match self.post(&url, number).await {
                Ok(answer) => answer,
                Err(error) if error.is_connect() => {
                    return Attempt::Failed(format!("{url} can not be reached"));
                }
                Err(error) => {
                    return Attempt::Failed(format!(
                        "{url} gave no answer: {}",
                        crate::chain(&error)
                    ));
                }
            };
            match status {
                StatusCode::OK => {
                    self.url = Some(url);
                    return Attempt::Acknowledged { epoch: answer.0 };
                }
                StatusCode::TEMPORARY_REDIRECT => match location {
                    Some(location) => url = location,
                    None => return Attempt::Failed(format!("{url} redirects to nowhere")),
                },
                StatusCode::BAD_REQUEST if answer.1 == "Not Leader" => {
                    return Attempt::Failed(format!("{url} is not the leader"));
                }
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                    return Attempt::Failed(format!("{url} answered {status}: {}", answer.1));
                }
                status if status.is_server_error() => {
                    return Attempt::Failed(format!("{url} answered {status}: {}", answer.1));
                }
                status => return Attempt::Refused(format!("{status}: {}", answer.1)),
            }
        }
        Attempt::Failed(format!("{url} redirects in a circle"))
    }

    /// Posts once; gives status, (epoch, body), and the node to go to instead.
    async fn post(
        &self,
        url: &str,
        number: u64,
    ) -> Result<(StatusCode, (String, String), Option<String>), reqwest::Error> {
        let mut request = self
            .http
            .post(format!("{url}/api/v1/log"))
            .header("content-type", "text/plain")
            .header("sluice-message-id", format!("{}-{number}", self.run))
            .body(format!("Message: {number}"));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await?;
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let (status, epoch, location) = (
            answer.status(),
            header("sluice-epoch").unwrap_or_default(),
            header("location"),
        );
        let location = location.and_then(|l| l.strip_suffix("/api/v1/log").map(str::to_owned));
        let body = answer.text().await?.trim().to_owned();
        Ok((status, (epoch, body), location))
    }
}
