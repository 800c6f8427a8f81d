//! Listeners over UDP. Nobody is answered, and nobody can be slowed down: what
//! finds no memory is dropped and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

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
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::syslog::decode::datagrams;
use sluice_types::clock::unix_nanos;

/// The longest datagram, in bytes.
const DATAGRAM_BYTES: usize = 64 << 10;
/// How many datagrams are delivered together, and about how many bytes.
const BATCH_DATAGRAMS: usize = 4096;
const BATCH_BYTES: usize = 256 << 10;
/// How many batches wait while one is delivered.
const BATCHES_WAITING: usize = 64;
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

/// Datagrams that are delivered together.
struct Received {
    bytes: BytesMut,
    lengths: Vec<usize>,
    charged: Reservation,
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
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING);
        let delivering = deliver_all(Arc::clone(&shared), waiting, stages.clone(), alive);
        tokio::spawn(delivering);
        let mut receiver = Receiver {
            chunks: (shared.protocol == Protocol::Gelf).then(|| Chunks::new(CHUNKS)),
            buffer: vec![0; DATAGRAM_BYTES],
            socket,
            shared,
            metrics,
        };
        loop {
            let received = tokio::select! {
                () = stopping(&mut stages) => break,
                received = receiver.receive() => received,
            };
            receiver.offer(received, &batches);
        }
        let last = receiver.receive_ready();
        receiver.offer(last, &batches);
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
    /// Waits for datagrams, and returns those that are there.
    async fn receive(&mut self) -> Received {
        if let Err(error) = self.socket.readable().await {
            tracing::warn!(%error, "could not receive datagrams");
            tokio::time::sleep(ERROR_WAIT).await;
        }
        self.receive_ready()
    }

    fn receive_ready(&mut self) -> Received {
        let mut received = Received {
            bytes: BytesMut::new(),
            lengths: Vec::new(),
            charged: self.shared.outlet.memory().reserve(),
        };
        for _ in 0..BATCH_DATAGRAMS {
            if received.bytes.len() >= BATCH_BYTES {
                break;
            }
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, source)) => self.keep(length, source, &mut received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An earlier datagram of this socket did not arrive.
                Err(_) => {}
            }
        }
        received
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
        if let Some(skipped) = self.shared.problems.passes() {
            tracing::warn!(why, skipped, "a datagram cannot be read");
        }
    }

    /// Hands datagrams over to be delivered, if there is room.
    fn offer(&self, received: Received, batches: &mpsc::Sender<Received>) {
        if received.lengths.is_empty() {
            return;
        }
        if let Err(error) = batches.try_send(received) {
            let lost = u64::try_from(error.into_inner().lengths.len()).unwrap_or(u64::MAX);
            self.metrics.dropped.inc_by(lost);
        }
    }
}

fn push(received: &mut Received, message: &[u8], metrics: &ListenerMetrics) {
    // The buffers grow by doubling.
    let cost = 2 * (message.len() + size_of::<usize>());
    if received.charged.spend(cost).is_err() {
        metrics.dropped.inc();
        return;
    }
    received.bytes.extend_from_slice(message);
    received.lengths.push(message.len());
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
    mut batches: mpsc::Receiver<Received>,
    mut stages: watch::Receiver<Stage>,
    _alive: mpsc::Sender<()>,
) {
    let all = async {
        while let Some(received) = batches.recv().await {
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
    let body = bytes.freeze();
    let decode = decoder(shared.protocol, lengths, shared.outlet.message_bytes());
    let (contents, reservation) = match shared.outlet.decode(&body, &decode).await {
        Ok(decoded) => decoded,
        Err(why) => return tracing::warn!(why, "datagrams cannot be decoded"),
    };
    let decoded = contents.records.decoded;
    shared.outlet.count_rejected(decoded.rejected.len());
    let parcel = Parcel {
        records: decoded.records,
        reservation,
        again: Again::Decoded(&decode, &body),
    };
    shared.outlet.deliver(parcel).await;
    drop(charged);
}

/// Decodes datagrams of these lengths.
fn decoder(protocol: Protocol, lengths: Vec<usize>, limit: usize) -> Arc<Decode> {
    let observed = unix_nanos();
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
