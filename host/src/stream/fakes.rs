//! Sinks that do what a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::plugin::{Candidate, Manifest};
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, BoxFuture, Sink, SinkInstance};

/// What the sinks of a test have done, in order.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// How a call into a fake sink ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Ok,
    Retryable,
    Permanent,
    Fenced,
    Traps,
    /// It does not return.
    Hangs,
    Panics,
}

impl Reply {
    async fn result(self) -> Result<(), WriteError> {
        let reason = "no".to_owned();
        match self {
            Self::Ok => return Ok(()),
            Self::Hangs => std::future::pending().await,
            Self::Panics => panic!("as the test says"),
            Self::Traps => return Err(Broken::Trapped(reason).into()),
            Self::Retryable => Err(Failure::Retryable {
                reason,
                after: None,
            }),
            Self::Permanent => Err(Failure::Permanent(reason)),
            Self::Fenced => Err(Failure::Fenced(reason)),
        }
        .map_err(WriteError::from)
    }
}

/// A sink that logs each call to it as `<name> <call>`.
#[derive(Clone, Debug)]
pub(super) struct FakeSink {
    identity: Identity,
    log: Log,
    /// The replies to the next calls of `open`; the last one repeats.
    opens: Arc<Mutex<VecDeque<Reply>>>,
    /// The same for `write`.
    writes: Arc<Mutex<VecDeque<Reply>>>,
}

impl FakeSink {
    pub(super) fn new(name: &str, log: &Log) -> Self {
        Self {
            identity: Identity {
                source: name.to_owned(),
                sha256: name.to_owned(),
            },
            log: Arc::clone(log),
            opens: Arc::new(Mutex::new([Reply::Ok].into())),
            writes: Arc::new(Mutex::new([Reply::Ok].into())),
        }
    }

    pub(super) fn opens(self, replies: impl Into<VecDeque<Reply>>) -> Self {
        *self.opens.lock().unwrap() = replies.into();
        self
    }

    pub(super) fn writes(self, replies: impl Into<VecDeque<Reply>>) -> Self {
        *self.writes.lock().unwrap() = replies.into();
        self
    }

    pub(super) fn candidate(self) -> Arc<Candidate> {
        let manifest = Manifest::of("builtin:stdout".parse().unwrap());
        Arc::new(Candidate::new(manifest, Arc::new(self)))
    }

    fn log(&self, call: &str) {
        let line = format!("{} {call}", self.identity.source);
        self.log.lock().unwrap().push(line);
    }
}

fn next(replies: &Mutex<VecDeque<Reply>>) -> Reply {
    let mut replies = replies.lock().unwrap();
    match replies.len() {
        1 => replies[0],
        _ => replies.pop_front().unwrap(),
    }
}

impl Sink for FakeSink {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
        self.log("open");
        let reply = next(&self.opens);
        Box::pin(async move {
            reply.result().await?;
            Ok(Box::new(self.clone()) as Box<dyn SinkInstance>)
        })
    }
}

impl SinkInstance for FakeSink {
    fn write<'a>(
        &'a mut self,
        attempt: Attempt,
        batch: &'a Records,
        _compute: Duration,
    ) -> BoxFuture<'a, Result<Vec<Refusal>, WriteError>> {
        let bodies: Vec<&str> = batch.iter().map(|record| &*record.body).collect();
        self.log(&format!("write {} #{}", bodies.join(" "), attempt.number));
        let reply = next(&self.writes);
        Box::pin(async move {
            reply.result().await?;
            Ok(Vec::new())
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), WriteError>> {
        self.log("close");
        Box::pin(async { Ok(()) })
    }
}
