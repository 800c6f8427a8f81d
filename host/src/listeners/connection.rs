//! One connection of a listener, from its first byte to its end.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::batch::{Batch, Contents};
use super::named::Turns;
use super::outlet::Outlet;
use super::parcel::{Again, Parcel};
use super::session::{BATCH_BYTES, Session, SessionLimits};
use super::sessions::session;
use super::shared::Shared;
use super::socket::Socket;
use super::stage::{Stage, stopping};
use super::unread::Unread;
use crate::http::Problem;
use crate::http::ingest::Sending;
use crate::rejects::{Rejects, Sender};
use sluice_delivery::metrics::RecordsOutcome;
use sluice_protocols::decoded::Decoded;
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::rejected::head;
use sluice_types::record::LogRecord;

/// How long the rest of a message is waited for, from its first byte on. What has
/// come of it takes memory.
const REST_WAIT: Duration = Duration::from_secs(60);
/// How long a client may take nothing of its answer.
const WRITE_WAIT: Duration = Duration::from_secs(10);
/// How long more is waited for when the node stops, each time and in all: what a
/// client has sent is lost with its connection.
const LAST_SILENCE: Duration = Duration::from_millis(50);
const LAST_READ: Duration = Duration::from_millis(500);
/// What a message with an id takes while it is under way, in bytes, besides its
/// records.
const TURN_BYTES: usize = 1 << 10;
/// How often it is looked whether a client may send on.
const QUOTA_POLL: Duration = Duration::from_secs(1);
/// How often kept records are looked at.
const KEPT_POLL: Duration = Duration::from_secs(1);
/// How long it is tried to deliver what a client sends again if it gets no answer.
/// Then the connection is closed, so that it finds another node.
const SENDER_PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub(super) struct Connection {
    shared: Arc<Shared>,
    socket: Socket,
    client: Sending,
    address: Option<IpAddr>,
    session: Box<dyn Session>,
    unread: Unread,
    /// Since when there is a part of a message.
    begun: Option<Instant>,
    /// Since when the node is stopping.
    stopped: Option<Instant>,
    stages: watch::Receiver<Stage>,
}

/// Why a connection ends.
enum End {
    /// The client closed it, or said that it would.
    Client,
    /// The node stops.
    Stopping,
    /// Something is wrong with what the client sends, which begins so. Without a
    /// beginning, something else was.
    Fault(String, Option<Vec<u8>>),
    /// It was not delivered in time.
    NotDelivered,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Client
    }
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        socket: Socket,
        (client, address): (Sending, Option<IpAddr>),
        stages: watch::Receiver<Stage>,
    ) -> Self {
        let memory = shared.outlet.memory();
        let limits = SessionLimits {
            message: shared.outlet.message_bytes(),
        };
        Self {
            session: session(shared.protocol, limits, memory.reserve()),
            unread: Unread::new(shared.outlet.unread()),
            begun: None,
            stopped: None,
            shared,
            socket,
            client,
            address,
            stages,
        }
    }

    /// Serves the client until it or this node ends the connection.
    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        // What it keeps was promised to nobody, and is all there will be.
        let (left, charged) = self.session.release(true);
        // This is large, and seldom.
        let delivering = Box::pin(deliver_kept(&self.shared, &self.client, left, charged));
        drop(timeout(SENDER_PATIENCE, delivering).await);
        if let End::Fault(why, source) = &end {
            self.shared.warn("closing a client's connection", why);
            if let Some(source) = source {
                let keep = |rejects: &Rejects| rejects.keep_unreadable(self.sender(), why, source);
                self.shared.reject(keep);
            }
        }
        let farewell = match end {
            End::Client => &b""[..],
            _ => self.session.farewell(),
        };
        let closing = async {
            self.socket.write(farewell).await?;
            self.socket.shutdown().await
        };
        // The client may have gone.
        drop(timeout(WRITE_WAIT, closing).await);
    }

    async fn serve(&mut self) -> End {
        loop {
            let next = self.session.next(self.unread.bytes(), self.unread.is_end());
            match next {
                Err(why) => return self.fault(why),
                // What is delivered takes much room, which is given back before
                // the next wait.
                Ok(Some(batch)) => match Box::pin(self.take(batch)).await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                Ok(None) if self.unread.is_end() => return End::Client,
                Ok(None) => match self.read().await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
            }
        }
    }

    /// Waits for more to be read.
    async fn read(&mut self) -> Result<(), End> {
        // A longer message is read in steps that double, so that little has to be
        // copied when it is taken.
        let enough = BATCH_BYTES.max(2 * self.unread.bytes().len());
        self.begun = match self.unread.bytes().is_empty() {
            true => None,
            false => Some(self.begun.unwrap_or_else(Instant::now)),
        };
        let rest_by = self.begun.map(|begun| begun + REST_WAIT);
        if *self.stages.borrow() != Stage::Serving {
            return self.read_last(enough).await;
        }
        let keeps = self.session.keeps_records();
        let mut stages = self.stages.clone();
        let quota = self.client.as_ref().map(|client| client.quota().wait());
        if let Some(wait) = quota.filter(|wait| !wait.is_zero()) {
            // What the client sends waits where it is, and it is not late.
            self.begun = self.begun.map(|_| Instant::now());
            drop(timeout(wait.min(QUOTA_POLL), stopping(&mut stages)).await);
            return Ok(());
        }
        tokio::select! {
            () = self.unread.fill(&mut self.socket, enough) => return Ok(()),
            () = stopping(&mut stages) => return Ok(()),
            () = sleep(KEPT_POLL), if keeps => {}
            () = sleep_until(rest_by.unwrap_or_else(Instant::now)), if rest_by.is_some() => {
                let seconds = REST_WAIT.as_secs();
                return Err(self.fault(format!(
                    "the rest of a message did not come within {seconds} s"
                )));
            }
        }
        let (kept, charged) = self.session.release(false);
        Box::pin(deliver_kept(&self.shared, &self.client, kept, charged)).await;
        Ok(())
    }

    /// Reads what the client had sent before the node began to stop.
    async fn read_last(&mut self, enough: usize) -> Result<(), End> {
        let stopped = *self.stopped.get_or_insert_with(Instant::now);
        let silence =
            LAST_SILENCE.min((stopped + LAST_READ).saturating_duration_since(Instant::now()));
        let filling = self.unread.fill(&mut self.socket, enough);
        let filled = timeout(silence, filling).await;
        filled.map_err(|_| End::Stopping)
    }

    /// Delivers a batch, and answers it.
    async fn take(&mut self, batch: Batch) -> Result<(), End> {
        let Batch {
            bytes,
            decode,
            fault,
        } = batch;
        let renewed = self.shared.renewed(&self.client, self.address);
        self.client = renewed.map_err(|refusal| End::Fault(refusal.to_string(), None))?;
        let (body, _charged) = self.unread.take(bytes);
        self.begun = None;
        let begun = Instant::now();
        let outlet = Arc::clone(&self.shared.outlet);
        let decoded = outlet.decode(&body, &decode).await;
        let fault_of_all = |problem: Problem| {
            let source = problem.is_of_body().then(|| head(&body).to_vec());
            End::Fault(problem.text().into_owned(), source)
        };
        let (mut contents, reservation) = decoded.map_err(fault_of_all)?;
        let mut held = outlet.memory().reserve();
        held.force(contents.named.len() * TURN_BYTES);
        let sent = contents.records.decoded.records.len();
        let (shared, client) = (Arc::clone(&self.shared), self.address);
        let mut turns = begin_turns(&shared, client, &body, &mut contents).await?;
        let repeated = sent.saturating_sub(contents.records.decoded.records.len());
        shared.count(RecordsOutcome::Duplicate, repeated);
        let had_pieces = contents.records.has_pieces || self.session.keeps_records();
        let (decoded, kept) = self.session.pass(&mut contents);
        let Decoded { records, rejected } = decoded;
        shared.reject(|rejects| rejects.keep(self.sender(), &rejected));
        shared.count(RecordsOutcome::Rejected, rejected.len());
        if let Some(why) = rejected.first_reason() {
            shared.warn("a message cannot be decoded", why);
        }
        let again = match had_pieces || turns.has_repeats {
            true => copy(&records, &mut held),
            false => Again::Decoded(&decode, &body),
        };
        let parcel = Parcel {
            whose: shared.whose(&self.client),
            ids: std::mem::take(&mut turns.ids),
            records,
            reservation,
            again,
        };
        deliver(&outlet, parcel, contents.asks_ack).await?;
        drop(kept);
        let settling = timeout(SENDER_PATIENCE, turns.settle());
        if settling.await != Ok(true) {
            return Err(End::NotDelivered);
        }
        shared.acknowledged(begun.elapsed());
        self.answer(contents).await?;
        fault.map_or(Ok(()), |why| Err(self.fault(why)))
    }

    fn sender(&self) -> Sender {
        Sender {
            protocol: self.shared.protocol.name(),
            client: self.address,
        }
    }

    /// Something is wrong with what is not read yet.
    fn fault(&self, why: String) -> End {
        End::Fault(why, Some(head(self.unread.bytes()).to_vec()))
    }

    async fn answer(&mut self, contents: Contents) -> Result<(), End> {
        if !contents.answer.is_empty() {
            let writing = self.socket.write(&contents.answer);
            let written = timeout(WRITE_WAIT, writing).await;
            written.map_err(|_| End::Client)??;
        }
        match contents.is_last {
            false => Ok(()),
            // The answer was a farewell.
            true => Err(End::Client),
        }
    }
}

/// Takes out of a batch what was sent before. Only messages with ids wait until it is
/// known what earlier leaders took.
async fn begin_turns(
    shared: &Shared,
    client: Option<IpAddr>,
    body: &Bytes,
    contents: &mut Contents,
) -> Result<Turns, End> {
    let outlet = &shared.outlet;
    let recalled = match contents.named.is_empty() {
        true => None,
        false => timeout(SENDER_PATIENCE, outlet.recalled())
            .await
            .map_err(|_| End::NotDelivered)?,
    };
    Ok(Turns::begin(
        (outlet.once(), recalled.as_deref()),
        (client, outlet.stream_name()),
        shared.protocol,
        body,
        contents,
    ))
}

/// A copy of the records, to be offered again.
fn copy(records: &[LogRecord], held: &mut Reservation) -> Again<'static> {
    let bytes: usize = records.iter().map(LogRecord::size).sum();
    held.force(held.spent() + bytes);
    Again::Kept(records.to_vec())
}

/// Delivers the records. What the client will send again is given up when it takes
/// too long.
async fn deliver(outlet: &Outlet, parcel: Parcel<'_>, is_sent_again: bool) -> Result<(), End> {
    let delivering = outlet.deliver(parcel);
    match is_sent_again {
        false => delivering.await,
        true => {
            let delivered = timeout(SENDER_PATIENCE, delivering).await;
            delivered.map_err(|_| End::NotDelivered)?;
        }
    }
    Ok(())
}

/// Delivers what a session kept of earlier batches.
async fn deliver_kept(
    shared: &Shared,
    client: &Sending,
    kept: Decoded,
    charged: Option<Reservation>,
) {
    let outlet = &shared.outlet;
    if kept.records.is_empty() {
        return;
    }
    let mut held = outlet.memory().reserve();
    let parcel = Parcel {
        whose: shared.whose(client),
        again: copy(&kept.records, &mut held),
        ids: Vec::new(),
        records: kept.records,
        reservation: charged.unwrap_or_else(|| outlet.memory().reserve()),
    };
    outlet.deliver(parcel).await;
}
