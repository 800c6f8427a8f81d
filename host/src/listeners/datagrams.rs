//! Listeners over UDP. Nobody is answered, and nobody can be slowed down: what
//! finds no memory is dropped and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::backlog::{Backlog, Received};
use super::batch::{Contents, Decode};
use super::connection::Shared;
use super::outlet::{Again, Parcel};
use super::protocol::Protocol;
use super::stage::{Stage, cut, stopping};
use sluice_delivery::metrics::ListenerMetrics;
use sluice_protocols::decoded::Decoding;
use sluice_protocols::gelf::chunks::{Chunks, Limits};
use sluice_protocols::gelf::datagram::{Datagram, classify};
use sluice_protocols::gelf::message::{read_message, unpacked};
use sluice_protocols::syslog::decode::datagrams;
use sluice_types::clock::unix_nanos;

/// The longest datagram, in bytes.
const DATAGRAM_BYTES: usize = 64 << 10;
/// How many datagrams are received before others have a turn, and how often that
/// is done once the node stops.
const ROUND: usize = 4096;
const LAST_ROUNDS: usize = 64;
/// The most bytes that one datagram is unpacked to.
const UNPACKED_BYTES: usize = 1 << 20;
/// What is kept of GELF messages of which parts are missing.
const CHUNKS: Limits = Limits {
    all: 4 << 20,
    message: 1 << 20,
};
/// The wait after an error of the socket.
const ERROR_WAIT: Duration = Duration::from_millis(50);

/// One UDP socket.
pub(super) struct Datagrams {
    pub(super) socket: UdpSocket,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: ListenerMetrics,
    pub(super) stages: watch::Receiver<Stage>,
    pub(super) alive: mpsc::Sender<()>,
}

impl Datagrams {
    /// Receives until the node stops.
    pub(super) async fn run(self) {
        let Self {
            socket,
            shared,
            metrics,
            mut stages,
            alive,
        } = self;
        if shared.protocol == Protocol::Forward {
            return tokio::select! {
                () = send_back(&socket) => {}
                () = stopping(&mut stages) => {}
            };
        }
        let backlog = Arc::new(Backlog::default());
        let delivering = deliver_all(
            Arc::clone(&shared),
            Arc::clone(&backlog),
            stages.clone(),
            alive,
        );
        tokio::spawn(delivering);
        let mut receiver = Receiver {
            chunks: (shared.protocol == Protocol::Gelf).then(|| Chunks::new(CHUNKS)),
            buffer: vec![0; DATAGRAM_BYTES],
            socket,
            shared,
            metrics,
        };
        loop {
            tokio::select! {
                () = stopping(&mut stages) => break,
                () = receiver.receive(&backlog) => {}
            }
        }
        for _ in 0..LAST_ROUNDS {
            if receiver.receive_ready(&backlog) {
                break;
            }
        }
        backlog.close();
    }
}

/// Reads a socket.
struct Receiver {
    socket: UdpSocket,
    buffer: Vec<u8>,
    /// GELF messages that come in parts.
    chunks: Option<Chunks>,
    shared: Arc<Shared>,
    metrics: ListenerMetrics,
}

impl Receiver {
    /// Waits for datagrams, and keeps those that are there.
    async fn receive(&mut self, backlog: &Backlog) {
        if let Err(error) = self.socket.readable().await {
            tracing::warn!(%error, "could not receive datagrams");
            tokio::time::sleep(ERROR_WAIT).await;
        }
        self.receive_ready(backlog);
        // Others have a turn, however many come.
        tokio::task::yield_now().await;
    }

    /// Keeps datagrams that are there; false if there may be more.
    fn receive_ready(&mut self, backlog: &Backlog) -> bool {
        let mut received = Received::new(self.shared.outlet.unread());
        let mut is_drained = false;
        for _ in 0..ROUND {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, source)) => self.keep(length, source, &mut received),
                // None is there, or an earlier one of this socket did not arrive.
                Err(_) => {
                    is_drained = true;
                    break;
                }
            }
            if received.is_full() {
                break;
            }
        }
        let lost = backlog.add(received);
        self.metrics.dropped.inc_by(lost);
        is_drained
    }

    /// Adds a datagram, or the message that it completes.
    fn keep(&mut self, length: usize, source: SocketAddr, received: &mut Received) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        let Some(chunks) = &mut self.chunks else {
            return push(received, datagram, &self.metrics);
        };
        match classify(datagram) {
            Ok(Datagram::Message(message)) => push(received, message, &self.metrics),
            Ok(Datagram::Chunk(chunk)) => match chunks.add(source, chunk, Instant::now()) {
                Ok(Some(message)) => push(received, &message, &self.metrics),
                Ok(None) => {}
                Err(why) => self.refuse(why),
            },
            Err(why) => self.refuse(why),
        }
    }

    fn refuse(&self, why: &str) {
        self.shared.outlet.count_rejected(1);
        self.shared.warn("a datagram cannot be read", why);
    }
}

fn push(received: &mut Received, message: &[u8], metrics: &ListenerMetrics) {
    if !received.push(message) {
        metrics.dropped.inc();
    }
}

/// Sends the heartbeats of Forward back.
async fn send_back(socket: &UdpSocket) {
    // A heartbeat has one byte.
    let mut heartbeat = [0; 16];
    loop {
        match socket.recv_from(&mut heartbeat).await {
            Ok((length, source)) => {
                let bytes = heartbeat.get(..length).unwrap_or_default();
                drop(socket.try_send_to(bytes, source));
            }
            Err(error) => {
                tracing::debug!(%error, "could not receive a heartbeat");
                tokio::time::sleep(ERROR_WAIT).await;
            }
        }
    }
}

/// Delivers one batch after the other, until the socket is closed or the node
/// ends.
async fn deliver_all(
    shared: Arc<Shared>,
    backlog: Arc<Backlog>,
    mut stages: watch::Receiver<Stage>,
    _alive: mpsc::Sender<()>,
) {
    let all = async {
        while let Some(received) = backlog.next().await {
            deliver(&shared, received).await;
        }
    };
    tokio::select! {
        () = all => {}
        () = cut(&mut stages) => {}
    }
}

async fn deliver(shared: &Shared, received: Received) {
    let Received {
        bytes,
        lengths,
        charged,
    } = received;
    // What cannot be decoded together, for lack of memory, is halved.
    let mut pending = vec![(bytes.freeze(), lengths)];
    while let Some((body, mut lengths)) = pending.pop() {
        let decode = decoder(shared.protocol, lengths.clone());
        match shared.outlet.decode(&body, &decode).await {
            Ok((contents, reservation)) => {
                let decoded = contents.records.decoded;
                shared.outlet.count_rejected(decoded.rejected.len());
                let parcel = Parcel {
                    records: decoded.records,
                    reservation,
                    again: Again::Decoded(&decode, &body),
                };
                shared.outlet.deliver(parcel).await;
            }
            Err(_) if lengths.len() > 1 => {
                let later = lengths.split_off(lengths.len() / 2);
                let middle: usize = lengths.iter().sum();
                pending.push((body.slice(middle..), later));
                pending.push((body.slice(..middle), lengths));
            }
            Err(why) => {
                shared.outlet.count_rejected(1);
                shared.warn("a datagram cannot be decoded", &why);
            }
        }
    }
    drop(charged);
}

/// Decodes datagrams of these lengths.
fn decoder(protocol: Protocol, lengths: Vec<usize>) -> Arc<Decode> {
    let (observed, limit) = (unix_nanos(), UNPACKED_BYTES);
    match protocol {
        Protocol::Gelf => Arc::new(move |body, meter| {
            let mut decoding = Decoding::new(meter, usize::MAX);
            for message in split(body, &lengths) {
                match unpacked(&message, limit, decoding.meter()) {
                    Ok(Some(message)) => read_message(&message, observed, &mut decoding),
                    Ok(None) => decoding.add(|_| Err(format!("more than {limit} bytes unpacked"))),
                    Err(error) => decoding.add(|_| Err(error.to_string())),
                }
            }
            Ok(Contents::from(decoding.finish(body.len())))
        }),
        _ => Arc::new(move |body, meter| {
            let messages: Vec<_> = split(body, &lengths).collect();
            let decoded = datagrams(&messages, observed, usize::MAX, meter);
            Ok(Contents::from(decoded))
        }),
    }
}

fn split<'a>(body: &'a Bytes, lengths: &'a [usize]) -> impl Iterator<Item = Bytes> + 'a {
    lengths.iter().scan(0, |start, length| {
        let from = *start;
        *start += length;
        Some(body.slice(from..*start))
    })
}
