//! `systemd-journal-upload`: a request of any length, which is settled piece by
//! piece as it arrives.
//!
//! Any answer but a success ends this client, and any answer at all before the end
//! of the request is too soon. While a piece finds no room, the rest is not read;
//! if that takes too long, the connection is closed without an answer, and the
//! client sends everything again since the last answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::asked::Asked;
use super::clock::Clock;
use super::context::Standard;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::flow::Flow;
use super::found::Found;
use super::gathered::{Arrived, Gathered, PAUSE};
use super::reply::response;
use super::trouble::Trouble;
use crate::http::ingest::client::Sending;
use crate::http::ingest::request_span::RequestSpan;
use crate::stream::Stream;
use sluice_delivery::Producer;
use sluice_protocols::answer::{Answer, Verdict};
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::journald;
use sluice_protocols::journald::framer::{Framer, Part};
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::meter::Meter;
use sluice_protocols::rejected::Rejections;
use sluice_protocols::tokens::Protocol;

/// How much is gathered before it is delivered, while more arrives.
const PIECE_BYTES: usize = 256 << 10;
/// The most entries that are delivered at a time.
const PIECE_ENTRIES: usize = 256;
/// How long a piece may find no room, and how long nothing may arrive, before the
/// connection is closed. The client's unit has a watchdog of 3 min.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether the client may send on.
const QUOTA_POLL: Duration = Duration::from_secs(1);
/// The wait before a piece is offered again.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// A piece of an upload.
#[derive(Debug)]
struct Entries;

/// Why an upload ends before its body.
enum Stop {
    /// Any answer would be wrong.
    Close,
    Answer(Response),
}

/// An upload at a node.
struct Upload<'a> {
    standard: &'a Standard,
    stream: &'a Stream,
    asked: &'a Asked,
    exchange: Arc<dyn Exchange>,
}

fn is_upload(asked: &Asked) -> bool {
    asked.method == "POST" && asked.path == "/upload"
}

pub(super) fn find(asked: &Asked) -> Option<Found> {
    is_upload(asked).then_some(Found::Upload)
}

/// A piece that another node relays.
pub(super) fn find_piece(asked: &Asked) -> Option<Found> {
    is_upload(asked).then(|| Found::exchange(Entries))
}

/// Takes an upload. `None` if its connection is to be closed without an answer.
pub(super) async fn take(
    standard: &Standard,
    stream: &Stream,
    asked: &Asked,
    body: Body,
) -> Option<Response> {
    let upload = Upload {
        standard,
        stream,
        asked,
        exchange: Arc::new(Entries),
    };
    if let Err(trouble) = upload.client() {
        let none = RequestSpan::default();
        return upload.flow(None, &none).refusal(trouble);
    }
    if asked.headers.contains_key("content-encoding") {
        let reason = "an upload cannot be compressed";
        return upload.answer(&Verdict::Unsupported(reason));
    }
    match upload.settle_all(body).await {
        Ok(()) => upload.answer(&Verdict::Settled {
            total: 0,
            rejections: &Rejections::default(),
        }),
        Err(Stop::Close) => None,
        Err(Stop::Answer(answer)) => Some(answer),
    }
}

impl Upload<'_> {
    /// The way of one piece of this client, which begins now.
    fn flow<'a>(&'a self, client: Sending, span: &'a RequestSpan) -> Flow<'a> {
        let ingest = &*self.standard.ingest;
        Flow {
            ingest,
            stream: self.stream,
            exchange: &self.exchange,
            asked: self.asked,
            clock: Clock::start(self.standard.park, ingest.limits.request),
            span,
            client,
            relay: Some(&self.standard.relay),
        }
    }

    /// The client as it is known now. An upload may last longer than its token.
    fn client(&self) -> Result<Sending, Trouble> {
        let none = RequestSpan::default();
        self.flow(None, &none).find_client()
    }

    /// Reads on only when the client has sent less than its quota.
    async fn wait_for_quota(&self, client: &Sending) -> Result<(), Stop> {
        let until = Instant::now() + PATIENCE;
        while let Some(client) = client
            && let wait = client.quota().wait()
            && !wait.is_zero()
        {
            if Instant::now() >= until || self.stream.is_stopping() {
                return Err(Stop::Close);
            }
            sleep(wait.min(QUOTA_POLL)).await;
        }
        Ok(())
    }

    fn answer(&self, verdict: &Verdict<'_>) -> Option<Response> {
        let answer: Answer = journald::answer(verdict);
        response(answer.into(), self.standard.ingest.memory())
    }

    /// Reads the body, and settles all of it.
    async fn settle_all(&self, mut body: Body) -> Result<(), Stop> {
        let ingest = &*self.standard.ingest;
        let mut framer = Framer::new(ingest.limits.body, PIECE_ENTRIES);
        let mut gathered = Gathered::new(ingest.memory());
        let mut silence = Duration::ZERO;
        loop {
            let client = self.client().map_err(|trouble| self.refused(trouble))?;
            self.wait_for_quota(&client).await?;
            let arrived = gathered.receive(&mut body, PATIENCE).await;
            match arrived.ok_or(Stop::Close)? {
                Arrived::More => {
                    silence = Duration::ZERO;
                    if gathered.bytes().len() < PIECE_BYTES {
                        continue;
                    }
                }
                Arrived::Nothing => silence += PAUSE,
                Arrived::End => break,
            }
            self.settle_whole(&mut framer, &mut gathered).await?;
            if silence >= PATIENCE || self.stream.is_stopping() {
                return Err(Stop::Close);
            }
        }
        self.settle_whole(&mut framer, &mut gathered).await?;
        match framer.finish(gathered.bytes()) {
            Ok(Part::Entries(bytes)) => self.settle(gathered.take(bytes)).await,
            Ok(_) => Ok(()),
            Err(error) => Err(self.malformed(&error)),
        }
    }

    /// Settles the whole entries of what was gathered.
    async fn settle_whole(&self, framer: &mut Framer, all: &mut Gathered) -> Result<(), Stop> {
        loop {
            match framer.next(all.bytes()).map_err(|e| self.malformed(&e))? {
                Part::Entries(bytes) => self.settle(all.take(bytes)).await?,
                Part::TooLarge(bytes) => {
                    let (entry, _charged) = all.take(bytes);
                    let reason = framer.too_large();
                    tracing::warn!(reason, "an entry of a journal was not taken");
                    let none = RequestSpan::default();
                    let flow = self.flow(None, &none);
                    let rejects = &flow.stream.rejects;
                    rejects.keep_record(flow.sender(), &reason, &entry);
                    flow.counted().rejected(1);
                }
                Part::Rest(bytes) => drop(all.take(bytes)),
                Part::Incomplete => return Ok(()),
            }
        }
    }

    /// Offers entries until they are settled. Those whose outcome is unknown are
    /// offered again, too: otherwise the client would send them again, with
    /// everything before.
    async fn settle(&self, (entries, _charged): (Bytes, Reservation)) -> Result<(), Stop> {
        let ingest = &*self.standard.ingest;
        let until = Instant::now() + PATIENCE;
        loop {
            if self.stream.is_stopping() {
                return Err(Stop::Close);
            }
            let client = self.client().map_err(|trouble| self.refused(trouble))?;
            let stream = &self.stream.name;
            let span = ingest.span(self.asked.asking(self.exchange.protocol(), stream));
            let flow = self.flow(client, &span);
            let answer = flow.of_part(entries.clone()).await;
            span.end(answer.as_ref().map(Response::status));
            let answer = answer.ok_or(Stop::Close)?;
            match answer.status() {
                status if status.is_success() => return Ok(()),
                status if !status.is_server_error() => return Err(Stop::Answer(answer)),
                _ if Instant::now() >= until => return Err(Stop::Close),
                _ => sleep(RETRY_WAIT).await,
            }
        }
    }

    fn refused(&self, trouble: Trouble) -> Stop {
        let none = RequestSpan::default();
        let answer = self.flow(None, &none).refusal(trouble);
        answer.map_or(Stop::Close, Stop::Answer)
    }

    fn malformed(&self, error: &DecodeError) -> Stop {
        let answer = self.answer(&Verdict::Malformed(&error.to_string()));
        answer.map_or(Stop::Close, Stop::Answer)
    }
}

impl Exchange for Entries {
    fn protocol(&self) -> Protocol {
        Protocol::Journald
    }

    fn producer(&self) -> Producer {
        Producer::CannotBeTold
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let decoded = journald::decode::entries(body, terms.observed, terms.most, meter);
        decoded.map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        journald::answer(&verdict).into()
    }
}
