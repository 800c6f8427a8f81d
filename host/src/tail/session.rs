//! What one client watches, from its request to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::event::{END, EndEvent, LEADER, LeaderEvent};
use super::places::{Full, Places};
use super::sse;
use super::upstream::{FromLeader, Upstream};
use super::view::View;
use crate::peer::{LeaderClient, TailRequest};
use crate::stream::{Route, Stream as LogStream};

/// How often a client hears something, so that one that is gone is noticed.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// What all sessions of a node work with.
#[derive(Debug)]
pub(crate) struct SessionParts {
    /// The node's name.
    pub(crate) node: String,
    pub(crate) leaders: Arc<LeaderClient>,
    pub(crate) places: Places,
}

/// What one client watches. Dropping it ends that.
pub(crate) struct Session {
    parts: Arc<SessionParts>,
    /// The stream's name.
    stream: String,
    request: TailRequest,
    /// Who leads.
    route: watch::Receiver<Route>,
    view: View,
    /// While another node leads.
    upstream: Option<Upstream>,
    /// What the client knows of the leader.
    told: Option<LeaderEvent>,
    /// When it is to hear something.
    heartbeat: Instant,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

/// What comes first.
enum News {
    Route,
    NodeEnds,
    Upstream(FromLeader),
    Seen(Bytes),
    Silence,
}

impl Session {
    /// Begins to watch the stream.
    ///
    /// # Errors
    /// Too many watch already.
    pub(crate) fn begin(
        parts: &Arc<SessionParts>,
        stream: &LogStream,
        request: TailRequest,
    ) -> Result<Self, Full> {
        let place = parts.places.take(request.follow)?;
        let mut route = stream.route.clone();
        route.mark_changed();
        Ok(Self {
            view: View::new(&stream.tail, &request),
            parts: Arc::clone(parts),
            stream: stream.name.clone(),
            request,
            route,
            upstream: None,
            told: None,
            // At once, so that the client knows that it is heard.
            heartbeat: Instant::now(),
            is_over: false,
            _place: place,
        })
    }

    /// The events, in parts.
    pub(crate) fn events(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut session| async {
            let part = session.next().await?;
            Some((part, session))
        })
    }

    /// The next events; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.is_over {
            let events = match self.news().await {
                News::Route => self.turned(),
                News::NodeEnds => self.ended(),
                News::Upstream(news) => self.heard(news),
                News::Seen(events) => Some(events),
                News::Silence => Some(Bytes::from_static(sse::COMMENT.as_bytes())),
            };
            if let Some(events) = events.filter(|events| !events.is_empty()) {
                self.heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
                return Some(events);
            }
        }
        None
    }

    async fn news(&mut self) -> News {
        let upstream = async {
            match &mut self.upstream {
                Some(upstream) => upstream.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            turned = self.route.changed() => match turned {
                Ok(()) => News::Route,
                Err(_) => News::NodeEnds,
            },
            news = upstream => News::Upstream(news),
            events = self.view.next() => News::Seen(events),
            () = sleep_until(self.heartbeat) => News::Silence,
        }
    }

    /// Another node leads, or none, or the node ends.
    fn turned(&mut self) -> Option<Bytes> {
        let route = self.route.borrow_and_update().clone();
        match route {
            Route::Stopping => self.ended(),
            Route::Local(_) => {
                self.upstream = None;
                let leader = Some(self.parts.node.clone());
                self.tell(leader, None)
            }
            Route::Leader(leader) if self.request.follow => {
                let known = self.upstream.as_ref().map(|upstream| &upstream.leader);
                if known != Some(&leader) {
                    let leaders = &self.parts.leaders;
                    let to = (&leader, self.stream.as_str());
                    self.upstream = Some(Upstream::new(leaders, to, &self.request));
                }
                None
            }
            Route::Leader(_) => {
                self.is_over = true;
                None
            }
            Route::Unknown => {
                self.upstream = None;
                self.tell(None, None)
            }
        }
    }

    fn heard(&mut self, news: FromLeader) -> Option<Bytes> {
        let leader = self.upstream.as_ref();
        let leader = leader.map(|upstream| upstream.leader.node.clone());
        match news {
            FromLeader::Begins => self.tell(leader, None),
            FromLeader::Events(events) => Some(events),
            FromLeader::Fails(error) => self.tell(leader, Some(error)),
        }
    }

    /// Tells the client whose records it sees, if that is news. Another node knows
    /// whom it asks.
    fn tell(&mut self, leader: Option<String>, error: Option<String>) -> Option<Bytes> {
        let event = LeaderEvent { leader, error };
        if !self.request.follow || self.told.as_ref() == Some(&event) {
            return None;
        }
        let mut events = Vec::new();
        sse::push(&mut events, LEADER, &event);
        self.told = Some(event);
        Some(events.into())
    }

    fn ended(&mut self) -> Option<Bytes> {
        self.is_over = true;
        if !self.request.follow {
            return None;
        }
        let reason = "this node is stopping";
        let mut events = Vec::new();
        sse::push(&mut events, END, &EndEvent { reason });
        Some(events.into())
    }
}
