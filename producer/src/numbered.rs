//! Sends `Message: 1`, `Message: 2` and so on, in order and without gaps.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, sleep};

use crate::args::NumberedArgs;
use crate::error_chain::chain;
use crate::journal::Journal;
use crate::leader::{Leader, authorization};
use crate::setup_error::SetupError;

/// The first pause between attempts to send the same message. It doubles with
/// each attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
/// The longest pause between attempts.
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// How many nodes one attempt asks, following redirects.
const MAX_HOPS: usize = 3;

const ROUTE: &str = "/api/v1/log";

/// The parts of a node's answer.
struct Answer {
    status: StatusCode,
    epoch: String,
    /// Whether the same message was acknowledged before.
    is_duplicate: bool,
    body: String,
    /// The URL of the node to ask instead, without a path.
    redirect: Option<String>,
}

enum Attempt {
    Acknowledged {
        epoch: String,
        is_duplicate: bool,
    },
    /// Sending again does not help.
    Refused(String),
    /// Sending again can help.
    Failed(String),
}

struct Producer {
    http: reqwest::Client,
    leader: Leader,
    journal: Journal,
    authorization: Option<String>,
    /// Random text that makes the message ids of this run unique.
    run: String,
    /// The node that acknowledged the last message.
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
            () = stopped(&mut interrupt, &mut terminate) => break,
        }
        let sent = tokio::select! {
            sent = producer.send(number) => sent,
            () = stopped(&mut interrupt, &mut terminate) => {
                println!("message {number}: not acknowledged before the producer stopped");
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

/// Waits for SIGINT or SIGTERM.
async fn stopped(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

impl Producer {
    /// Tries until the message is acknowledged. Returns false if it is refused
    /// for good.
    async fn send(&mut self, number: u64) -> bool {
        let started = Instant::now();
        let mut backoff = FIRST_BACKOFF;
        let mut last_reason = String::new();
        loop {
            match self.attempt(number).await {
                Attempt::Acknowledged {
                    epoch,
                    is_duplicate,
                } => {
                    let millis = started.elapsed().as_secs_f64() * 1e3;
                    let url = self.url.as_deref().unwrap_or_default();
                    let repeat = match is_duplicate {
                        true => ", a repeat of what was taken before",
                        false => "",
                    };
                    println!(
                        "message {number}: acknowledged by {url}, epoch {epoch}, after {millis:.1} ms{repeat}"
                    );
                    return true;
                }
                Attempt::Refused(reason) => {
                    println!("message {number}: refused for good: {reason}");
                    return false;
                }
                Attempt::Failed(reason) => {
                    // Another node may lead by now.
                    self.url = None;
                    if last_reason != reason {
                        println!("message {number}: {reason}; trying again");
                        last_reason = reason;
                    }
                    sleep(backoff.mul_f64(rand::random_range(0.5..=1.0))).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
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
        for _ in 0..MAX_HOPS {
            let answer = match self.post(&url, number).await {
                Ok(answer) => answer,
                Err(error) if error.is_connect() => {
                    return Attempt::Failed(format!("{url} cannot be reached"));
                }
                Err(error) => {
                    return Attempt::Failed(format!("{url} gave no answer: {}", chain(&error)));
                }
            };
            match answer.status {
                StatusCode::OK => {
                    self.url = Some(url);
                    return Attempt::Acknowledged {
                        epoch: answer.epoch,
                        is_duplicate: answer.is_duplicate,
                    };
                }
                StatusCode::TEMPORARY_REDIRECT => match answer.redirect {
                    Some(redirect) => url = redirect,
                    None => return Attempt::Failed(format!("{url} redirects to nowhere")),
                },
                StatusCode::BAD_REQUEST if answer.body == "Not Leader" => {
                    return Attempt::Failed(format!("{url} is not the leader"));
                }
                status
                    if status == StatusCode::REQUEST_TIMEOUT
                        || status == StatusCode::TOO_MANY_REQUESTS
                        || status.is_server_error() =>
                {
                    return Attempt::Failed(format!("{url} answered {status}: {}", answer.body));
                }
                status => return Attempt::Refused(format!("{status}: {}", answer.body)),
            }
        }
        Attempt::Failed(format!("{url} redirects in a circle"))
    }

    async fn post(&self, url: &str, number: u64) -> reqwest::Result<Answer> {
        let mut request = self
            .http
            .post(format!("{url}{ROUTE}"))
            .header("content-type", "text/plain")
            .header("sluice-message-id", format!("{}-{number}", self.run))
            .body(format!("Message: {number}"));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await?;
        let header = |name: &str| {
            let value = answer.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (epoch, location) = (header("sluice-epoch"), header("location"));
        let is_duplicate = header("sluice-duplicate").is_some_and(|value| value == "true");
        Ok(Answer {
            status: answer.status(),
            epoch: epoch.unwrap_or_default(),
            is_duplicate,
            redirect: location.and_then(|url| Some(url.strip_suffix(ROUTE)?.to_owned())),
            body: answer.text().await?.trim().to_owned(),
        })
    }
}
