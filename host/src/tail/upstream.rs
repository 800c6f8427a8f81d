//! What passes on the leader, for a client of another node.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{sleep, timeout};

use super::sse::Splitter;
use crate::peer::{LeaderClient, Subscription, TailRequest, Target};
use sluice_types::backoff::Backoff;
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

/// The time for a leader to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A leader that sends nothing for this long is gone: it sends something every
/// [`HEARTBEAT_INTERVAL`](super::session::HEARTBEAT_INTERVAL).
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// The pauses between attempts to reach the leader.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What a leader is asked.
pub(super) struct Upstream {
    /// Whom it is about.
    pub(super) leader: LeaderAddress,
    news: Pin<Box<dyn Stream<Item = FromLeader> + Send>>,
}

/// What becomes of that.
pub(super) enum FromLeader {
    /// What passes comes from now on.
    Begins,
    /// Whole events.
    Events(Bytes),
    /// Nothing comes for now, for this reason.
    Fails(String),
}

struct State {
    leaders: Arc<LeaderClient>,
    stream: String,
    leader: LeaderAddress,
    request: TailRequest,
    subscription: Option<(Subscription, Splitter)>,
    backoff: Backoff,
    /// Whether the last attempt failed.
    has_failed: bool,
}

impl Upstream {
    /// Subscribes at this leader of a stream when it is first polled, and again when that
    /// breaks off, until it is dropped.
    pub(super) fn new(
        leaders: &Arc<LeaderClient>,
        (leader, stream): (&LeaderAddress, &str),
        request: &TailRequest,
    ) -> Self {
        let state = State {
            leaders: Arc::clone(leaders),
            stream: stream.to_owned(),
            leader: leader.clone(),
            request: TailRequest {
                follow: false,
                ..request.clone()
            },
            subscription: None,
            backoff: Backoff::new(RETRY_MIN, RETRY_MAX),
            has_failed: false,
        };
        let news = stream::unfold(state, |mut state| async {
            let news = state.next().await;
            Some((news, state))
        });
        Self {
            leader: leader.clone(),
            news: Box::pin(news),
        }
    }

    /// What comes next. Can be cancelled.
    pub(super) async fn next(&mut self) -> FromLeader {
        match self.news.next().await {
            Some(news) => news,
            // It has no end.
            None => std::future::pending().await,
        }
    }
}

impl State {
    async fn next(&mut self) -> FromLeader {
        let news = match &mut self.subscription {
            None => self.subscribe().await,
            Some(_) => self.read().await,
        };
        news.unwrap_or_else(|why| {
            self.subscription = None;
            self.has_failed = true;
            FromLeader::Fails(why)
        })
    }

    async fn subscribe(&mut self) -> Result<FromLeader, String> {
        if std::mem::take(&mut self.has_failed) {
            sleep(self.backoff.next(None)).await;
        }
        let (client, name) = self.leaders.reach(&self.leader)?;
        let client = client.of_stream(&self.stream);
        let target = Target {
            node: &name,
            address: &self.leader.address,
        };
        let answer = timeout(ANSWER_LIMIT, client.tail(target, &self.request)).await;
        let answer = answer.map_err(|_| "it did not answer in time".to_owned())?;
        let subscription = answer.map_err(|error| chain(&error).to_string())?;
        self.subscription = Some((subscription, Splitter::default()));
        Ok(FromLeader::Begins)
    }

    async fn read(&mut self) -> Result<FromLeader, String> {
        let Some((subscription, splitter)) = &mut self.subscription else {
            return Err("there is no subscription".to_owned());
        };
        let part = timeout(SILENCE_LIMIT, subscription.next()).await;
        let part = part.map_err(|_| "it fell silent".to_owned())?;
        let part = part.map_err(|error| chain(&error).to_string())?;
        let part = part.ok_or_else(|| "it has ended the subscription".to_owned())?;
        self.backoff.reset();
        let whole = splitter.push(&part);
        let whole = whole.map_err(|_| "what it sends is unreadable".to_owned())?;
        Ok(FromLeader::Events(whole.into()))
    }
}
