//! What a sink does when its destination fails: it must not confirm what was not
//! taken, and must go on when the destination is back.

use std::time::Duration;

use sluice_types::outcome::{Broken, Failure, WriteError};

use super::bench::Bench;
use super::early::{Early, found};
use super::report::Finding;
use crate::kit::destination::{Asked, Behaviour};
use crate::kit::workbench::KitError;

/// How long a slow destination takes for an answer.
const SLOW: Duration = Duration::from_millis(700);
/// How long a request may take to arrive, and how often that is looked at.
const ARRIVAL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);
const NOT_ASKED: &str =
    "the sink sent no request for this write; does its config use {destination}?";
/// What a busy destination asks to wait, in seconds.
const RETRY_AFTER: u32 = 3;

/// How a destination fails, and what is right then.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    check: &'static str,
    behaviour: Behaviour,
    wanted: Wanted,
}

/// What a sink should answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Retryable,
    /// `retryable`, not before the time that the destination asks for.
    Later,
    Permanent,
    /// `retryable`, or to be stopped by the node.
    GivesUp,
}

const fn refuses(status: u16, retry_after: Option<u32>) -> Behaviour {
    Behaviour::Refuses {
        status,
        retry_after,
    }
}

const TROUBLES: [Trouble; 6] = [
    Trouble {
        check: "the destination answers 500",
        behaviour: refuses(500, None),
        wanted: Wanted::Retryable,
    },
    Trouble {
        check: "the destination answers 503",
        behaviour: refuses(503, None),
        wanted: Wanted::Retryable,
    },
    Trouble {
        check: "the destination answers 429",
        behaviour: refuses(429, Some(RETRY_AFTER)),
        wanted: Wanted::Later,
    },
    Trouble {
        check: "the destination answers 400",
        behaviour: refuses(400, None),
        wanted: Wanted::Permanent,
    },
    Trouble {
        check: "the destination closes connections",
        behaviour: Behaviour::Closes,
        wanted: Wanted::Retryable,
    },
    Trouble {
        check: "the destination never answers",
        behaviour: Behaviour::Hangs,
        wanted: Wanted::GivesUp,
    },
];

pub(super) async fn checks(bench: &mut Bench<'_>) -> Result<Vec<Finding>, KitError> {
    if !bench.uses_destination {
        let detail = "no destination to fail: name it in --config as {destination}, as in \
                      '{\"url\":\"{destination}/logs\"}', if the sink sends over HTTP";
        return Ok(vec![Finding::skipped("a failing destination", detail)]);
    }
    let mut findings = vec![found(slow(bench).await)?];
    for trouble in TROUBLES {
        findings.push(found(one(bench, trouble).await)?);
    }
    bench.destination.behave(Behaviour::Takes);
    Ok(findings)
}

/// A write may not return before the destination has answered.
async fn slow(bench: &mut Bench<'_>) -> Result<Finding, Early> {
    const CHECK: &str = "the destination is slow";
    bench.destination.behave(Behaviour::Takes);
    let mut instance = bench.opened(CHECK).await?;
    bench.destination.behave(Behaviour::Slow(SLOW));
    let asked = bench.destination.asked();
    let batch = bench.samples.ordinary(10);
    let written = bench.write(&mut instance, &batch).await;
    let taken = bench.destination.asked().taken;
    if !arrives(bench, asked).await {
        return Ok(Finding::skipped(CHECK, NOT_ASKED));
    }
    Ok(match written.result {
        Ok(_) if taken > asked.taken => {
            let seconds = written.took.as_secs_f64();
            Finding::passed(CHECK, format!("write waits for the answer: {seconds:.1} s"))
        }
        Ok(_) => Finding::failed(
            CHECK,
            "write confirms its records before the destination has answered; they are lost if it \
             refuses them",
        ),
        Err(error) => Finding::failed(
            CHECK,
            format!(
                "it does not wait {} ms for an answer: {error}",
                SLOW.as_millis()
            ),
        ),
    })
}

/// Whether a request has arrived since, or arrives within a moment: a sink that
/// does not wait for it may be faster.
async fn arrives(bench: &Bench<'_>, before: Asked) -> bool {
    let arrived = async {
        while bench.destination.asked().requests == before.requests {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(ARRIVAL, arrived).await.is_ok()
}

async fn one(bench: &mut Bench<'_>, trouble: Trouble) -> Result<Finding, Early> {
    let check = trouble.check;
    bench.destination.behave(Behaviour::Takes);
    let mut instance = bench.opened(check).await?;
    bench.destination.behave(trouble.behaviour);
    let asked = bench.destination.asked();
    let batch = bench.samples.ordinary(10);
    let written = bench.write(&mut instance, &batch).await;
    let was_asked = arrives(bench, asked).await;
    bench.destination.behave(Behaviour::Takes);
    if !was_asked {
        return Ok(Finding::skipped(check, NOT_ASKED));
    }
    let failure = match written.result {
        Ok(refusals) if refusals.len() < batch.len() => {
            let confirmed = batch.len() - refusals.len();
            return Ok(Finding::failed(
                check,
                format!(
                    "{confirmed} of {} records are confirmed, and the destination has taken none",
                    batch.len()
                ),
            ));
        }
        Ok(refusals) => match refusals.into_iter().next() {
            Some(refusal) => WriteError::Failed(refusal.failure),
            None => return Ok(Finding::skipped(check, "there was nothing to refuse")),
        },
        Err(error) => error,
    };
    let judgement = judged(trouble, &failure);
    if matches!(failure, WriteError::Broken(_)) {
        return Ok(judgement);
    }
    // The destination is back: the same instance must be able to go on.
    let again = bench.offer(&mut instance, &batch, 2).await;
    let (_, lost) = bench.marks()?.seen(&batch, &[]);
    Ok(match again.result {
        Ok(refusals) if refusals.is_empty() && lost == 0 => judgement,
        Ok(_) => Finding::failed(check, "afterwards, it does not send the records again"),
        Err(error) => Finding::failed(
            check,
            format!("the destination is back, and the sink does not go on: {error}"),
        ),
    })
}

fn judged(trouble: Trouble, failure: &WriteError) -> Finding {
    let check = trouble.check;
    let enough = Duration::from_secs(RETRY_AFTER.into());
    match (trouble.wanted, failure) {
        (Wanted::GivesUp, WriteError::Broken(Broken::Stuck(after))) => Finding::noted(
            check,
            format!(
                "the node stops it after {} s; give its requests a shorter time of their own",
                after.as_secs_f64()
            ),
        ),
        (_, WriteError::Broken(broken)) => Finding::failed(check, broken.to_string()),
        (Wanted::Permanent, WriteError::Failed(Failure::Permanent(reason))) => {
            Finding::passed(check, format!("permanent: {reason}"))
        }
        (Wanted::Permanent, WriteError::Failed(failure)) => Finding::noted(
            check,
            format!("it will try again for ever: {failure}; answer permanent what cannot succeed"),
        ),
        (_, WriteError::Failed(Failure::Permanent(reason))) => Finding::failed(
            check,
            format!(
                "permanent: {reason}; the records are lost, while the destination is only busy"
            ),
        ),
        (_, WriteError::Failed(Failure::Fenced(reason))) => Finding::failed(
            check,
            format!("fenced: {reason}; no other leader is at work"),
        ),
        (Wanted::Later, WriteError::Failed(Failure::Retryable { reason, after })) => {
            match after.is_some_and(|after| Duration::from(after) >= enough) {
                true => {
                    Finding::passed(check, format!("retryable, after {RETRY_AFTER} s: {reason}"))
                }
                false => Finding::noted(
                    check,
                    format!(
                        "retryable: {reason}; Retry-After says {RETRY_AFTER} s, say so in after-ms"
                    ),
                ),
            }
        }
        (_, WriteError::Failed(Failure::Retryable { reason, .. })) => {
            Finding::passed(check, format!("retryable: {reason}"))
        }
    }
}
