//! The way of a request of any standard protocol: its token, its body, the node
//! that takes it, and its answer.
//!
//! A node that does not lead relays the request, whatever `--follower` says:
//! these clients follow no redirect. While no leader is known or too much is
//! waiting, the request is parked, for as long as `--park` says. What is parked
//! is the body as it came, which is charged.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use tokio::time::{Sleep, sleep_until};

use super::asked::Asked;
use super::clock::Clock;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::relay::Relay;
use super::reply::{for_node, response};
use super::settling::Settling;
use super::trouble::Trouble;
use crate::http::ingest::body::{Received, announced, discard};
use crate::http::ingest::charge::Charge;
use crate::http::ingest::client::Sending;
use crate::http::ingest::counted::Counted;
use crate::http::ingest::forward::Relayed;
use crate::http::ingest::repeated::{Known, Sent};
use crate::http::ingest::request_span::RequestSpan;
use crate::http::ingest::service::{Ingest, Offer};
use crate::http::ingest::unread::Unread;
use crate::http::problem::Problem;
use crate::peer::relayed::AnswerHead;
use crate::rejects::Sender;
use crate::stream::{Route, Stream};
use sluice_delivery::{Intake, Producer};
use sluice_protocols::encoding::Encoding;
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::meter::Meter;
use sluice_types::clock::unix_nanos;
use sluice_types::documents::LeaderAddress;
use sluice_types::rejection::Rejection;

/// A request of a standard protocol at a node.
pub(super) struct Flow<'a> {
    pub(super) ingest: &'a Ingest,
    pub(super) stream: &'a Stream,
    pub(super) exchange: &'a Arc<dyn Exchange>,
    pub(super) asked: &'a Asked,
    pub(super) clock: Clock,
    pub(super) span: &'a RequestSpan,
    /// Who sends it, once that is known.
    pub(super) client: Sending,
    /// Relays to the leader; `None` for a request that was relayed already.
    pub(super) relay: Option<&'a Relay>,
}

/// What became of a request.
enum Ended {
    /// The leader has answered; `None` if the connection is to be closed.
    Relayed(Option<Response>),
    Here(Reply),
}

/// What became of an attempt to deliver here.
enum Attempt {
    Ended(Ended),
    /// Nothing was taken, for this reason.
    Again(String),
    /// Nothing was taken: so many records and bytes found no room.
    NoRoom(Arc<Intake>, (usize, usize)),
    /// Nothing was taken: the client must wait so long.
    Quota(Duration),
}

impl Flow<'_> {
    /// Takes the request of a client. `None` if its connection is to be closed
    /// without an answer.
    pub(super) async fn of_client(mut self, body: Body) -> Option<Response> {
        let ended = self.admit_and_settle(body).await;
        self.answer(ended)
    }

    async fn admit_and_settle(&mut self, body: Body) -> Result<Ended, Trouble> {
        let mut deadline = pin!(sleep_until(self.clock.end));
        let limit = self.ingest.limits.body;
        match self.find_client() {
            Ok(client) => self.client = client,
            Err(trouble) => {
                if !self.asked.may_leave_body {
                    discard(body, limit, deadline).await;
                }
                return Err(trouble);
            }
        }
        let charge = match self.let_in(announced(&body)).await {
            Ok(charge) => charge,
            Err(problem) => {
                if !self.asked.may_leave_body {
                    discard(body, limit, deadline).await;
                }
                return Err(problem.into());
            }
        };
        let reader = self.ingest.reader(limit);
        let received = reader
            .receive_as_it_is(&self.asked.headers, body, deadline.as_mut())
            .await?;
        self.settle(received, Some(charge), deadline).await
    }

    /// Takes a part of a client's request, whose memory is accounted for elsewhere.
    /// `None` if the connection is to be closed without an answer.
    pub(super) async fn of_part(&self, part: Bytes) -> Option<Response> {
        let deadline = pin!(sleep_until(self.clock.end));
        let received = self.ingest.reader(self.ingest.limits.body).of(part, None);
        self.answer(self.settle(received, None, deadline).await)
    }

    /// The answer to a client whose request cannot be settled.
    pub(super) fn refusal(&self, trouble: Trouble) -> Option<Response> {
        self.answer(Err(trouble))
    }

    fn answer(&self, ended: Result<Ended, Trouble>) -> Option<Response> {
        match ended {
            Ok(Ended::Relayed(answer)) => answer,
            Ok(Ended::Here(reply)) => response(reply, self.ingest.memory()),
            Err(trouble) => {
                self.audit_quota(&trouble);
                let response = response(self.refuse(&trouble), self.ingest.memory());
                response.map(|response| trouble.close(response))
            }
        }
    }

    /// Takes a request that another node relayed. It is answered at once if nothing is
    /// taken: that node waits, and not this one, which holds the request, too.
    pub(super) async fn of_node(&self, received: Received<'_>) -> (AnswerHead, Vec<u8>) {
        let deadline = pin!(sleep_until(self.clock.end));
        match self.settle(received, None, deadline).await {
            Ok(Ended::Here(reply)) => for_node(reply),
            Ok(Ended::Relayed(_)) | Err(Trouble::NotLeader) => (AnswerHead::NotLeader, Vec::new()),
            Err(Trouble::Problem(Problem::Quota(wait))) => (AnswerHead::quota(wait), Vec::new()),
            Err(trouble) => for_node(self.refuse(&trouble)),
        }
    }

    /// Waits for a node that takes the request, and for its outcome, and counts that.
    /// `charge` is what it has taken of its client's quota already.
    async fn settle(
        &self,
        received: Received<'_>,
        charge: Option<Charge>,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Ended, Trouble> {
        let mut offered = 0;
        let settling = self.settle_all(received, charge, &mut offered, deadline);
        settling.await.inspect_err(|trouble| match trouble {
            // The node that relayed it sends it again.
            Trouble::Problem(Problem::Quota(_)) if self.relay.is_none() => {}
            Trouble::Problem(problem) => self.counted().failed(offered, problem),
            _ => {}
        })
    }

    /// Counts what becomes of its records.
    pub(super) fn counted(&self) -> Counted<'_> {
        let (protocol, headers) = (self.exchange.protocol(), &self.asked.headers);
        Counted::new(self.stream, protocol, headers, self.clock.begun, self.span)
    }

    /// Offers the records until they are settled. `offered` is how many they are,
    /// once that is known.
    async fn settle_all(
        &self,
        received: Received<'_>,
        mut charge: Option<Charge>,
        offered: &mut usize,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Ended, Trouble> {
        let bytes = received.bytes().len();
        let packing = self.exchange.packing();
        let content = packing.content(self.asked, received.bytes());
        let content = content.map_err(Problem::from)?;
        let mut route = self.stream.route.clone();
        loop {
            let now = route.borrow_and_update().clone();
            let attempt = match now {
                Route::Local(intake) => {
                    let body = (&received, &content);
                    let taking = (&intake, charge.take());
                    let delivering = self.deliver_here(body, taking, offered, deadline.as_mut());
                    delivering.await?
                }
                // The node that relayed it waits for the next leader.
                _ if self.relay.is_none() => return Err(Trouble::NotLeader),
                Route::Leader(leader) => self.relay(&leader, received.bytes()).await?,
                Route::Unknown => Attempt::Again("no leader is known at the moment".to_owned()),
                Route::Stopping => return Err(Problem::Stopping.into()),
            };
            match attempt {
                Attempt::Ended(ended) => return Ok(ended),
                Attempt::Again(why) => self.park(&mut route, why).await?,
                Attempt::Quota(wait) => self.park_for_quota(wait, bytes, &mut route).await?,
                Attempt::NoRoom(intake, size) => {
                    self.wait_for_room(&intake, size, &mut route).await?;
                }
            }
        }
    }

    /// Delivers here what is within the client's quota. `charge` is what was taken of it
    /// already.
    async fn deliver_here(
        &self,
        body: (&Received<'_>, &(Bytes, Option<Encoding>)),
        (intake, charge): (&Arc<Intake>, Option<Charge>),
        offered: &mut usize,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Attempt, Trouble> {
        let begin = || Charge::begin(&self.client, body.0.bytes().len());
        match charge.map_or_else(begin, Ok) {
            Ok(charge) => {
                self.deliver(body, (intake, charge), offered, deadline)
                    .await
            }
            Err(wait) => Ok(Attempt::Quota(wait)),
        }
    }

    /// Sends the request to the leader.
    async fn relay(&self, leader: &LeaderAddress, body: &Bytes) -> Result<Attempt, Trouble> {
        let Some(relay) = self.relay else {
            return Err(Trouble::NotLeader);
        };
        let name = self.client.as_ref().map(|client| client.name());
        let asked = (self.asked, name, self.span.context());
        let memory = self.ingest.memory();
        let relaying = relay.send(
            (leader, &self.stream.name),
            asked,
            body,
            &self.clock,
            memory,
        );
        Ok(match relaying.await? {
            Relayed::Answer(answer) => {
                self.span.relayed_to(&leader.node);
                Attempt::Ended(Ended::Relayed(answer))
            }
            Relayed::NotTaken(why) => Attempt::Again(why),
            Relayed::Unsupported => Attempt::Again("the leader is of another version".to_owned()),
            Relayed::Quota(wait) => {
                if let Some(client) = &self.client {
                    client.quota().hold(wait);
                }
                Attempt::Quota(wait)
            }
        })
    }

    /// Who sent the request.
    pub(super) fn sender(&self) -> Sender {
        Sender {
            protocol: self.exchange.protocol().name(),
            client: self.asked.client,
        }
    }

    /// Decodes what the body holds. What cannot be read at all is kept for operators.
    async fn decode(
        &self,
        received: &Received<'_>,
        content: &(Bytes, Option<Encoding>),
        deadline: Pin<&mut Sleep>,
    ) -> Result<(Parsed, Reservation), Problem> {
        let terms = Terms {
            observed: unix_nanos(),
            most: self.ingest.limits.records,
        };
        let (exchange, unread) = (Arc::clone(self.exchange), Unread::default());
        let remembers = unread.clone();
        let decode = move |body: Bytes, meter: &mut Meter| {
            exchange.decode(&body, terms, meter).map_err(|error| {
                remembers.remember(&body);
                error.into()
            })
        };
        let decoding = received.decode_content(content.clone(), deadline, decode);
        let packed = received.bytes();
        decoding.await.inspect_err(|problem| {
            unread.keep(problem, self.sender(), packed, &self.stream.rejects);
        })
    }

    /// Decodes what the body holds, and offers the records here.
    async fn deliver(
        &self,
        (received, content): (&Received<'_>, &(Bytes, Option<Encoding>)),
        (intake, charge): (&Arc<Intake>, Charge),
        offered: &mut usize,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Attempt, Trouble> {
        let decoding = self.decode(received, content, deadline.as_mut());
        let (parsed, mut reservation) = decoding.await?;
        let hides_refusals = parsed.hides_refusals;
        let (records, mut settled) = Settling::begin(parsed);
        *offered = settled.total();
        // This stays charged until there is an answer.
        let answer = settled.answer_bytes(&**self.exchange);
        reservation.spend(answer).map_err(Problem::from)?;
        let mut for_answer = reservation.split(settled.bytes() + answer);
        let size = (
            records.len(),
            records.iter().map(|record| record.size()).sum(),
        );
        let producer = match hides_refusals {
            true => Producer::CannotBeTold,
            false => self.exchange.producer(),
        };
        if !records.is_empty() {
            let offer = Offer {
                stream: self.stream,
                intake,
                producer,
                charge,
                trace: self.span.context().cloned(),
                ids: Vec::new(),
                records,
                reservation,
            };
            match self.deliver_once(received, offer, deadline).await {
                Ok(Some(rejected)) => settled.by_sink = rejected,
                Ok(None) => settled.is_repeated = true,
                Err(Problem::Full) => return Ok(Attempt::NoRoom(Arc::clone(intake), size)),
                Err(Problem::Quota(wait)) => return Ok(Attempt::Quota(wait)),
                Err(Problem::Unavailable(_)) if !self.clock.left().0.is_zero() => {
                    return Ok(Attempt::Again("the leader changes".to_owned()));
                }
                Err(problem) => return Err(problem.into()),
            }
        }
        let is_lost = |rejection: &Rejection| !rejection.is_kept;
        if producer == Producer::CannotBeTold && settled.by_sink.iter().any(is_lost) {
            let reason = "a record that the sink refused could not be kept as a dead letter";
            return Err(Problem::Unknown(reason.to_owned()).into());
        }
        match settled.is_repeated {
            true => self.counted().duplicate(settled.total()),
            false => self.counted().settled(settled.total(), settled.rejected()),
        }
        let rejects = &self.stream.rejects;
        rejects.keep(self.sender(), settled.by_decoder());
        let reply = settled.answer(&**self.exchange, &mut for_answer);
        Ok(Attempt::Ended(Ended::Here(reply)))
    }

    /// Delivers the records unless the same request was acknowledged before. Returns
    /// what the sink refused; `None` if it was.
    async fn deliver_once(
        &self,
        received: &Received<'_>,
        offer: Offer<'_>,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Option<Vec<Rejection>>, Problem> {
        let sent = Sent {
            client: self.asked.client,
            place: (&self.stream.name, &self.asked.path),
            id: self.exchange.id().map(str::as_bytes),
            body: received.bytes().clone(),
        };
        let known = sent.known(self.ingest.once(), offer.intake, deadline.as_mut());
        match known.await? {
            Known::Acknowledged => Ok(None),
            Known::New(delivery) => {
                let delivered = sent.deliver(self.ingest, offer, deadline, delivery);
                Ok(Some(delivered.await?.rejected))
            }
        }
    }
}
