//! Listeners over UDP. Nobody is answered, and nobody can be slowed down: what
//! finds no memory is dropped and counted.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::backlog::{Backlog, Datagram, Received};
use super::batch::{Contents, Decode, RefusedDatagram};
use super::parcel::{Again, Parcel};
use super::protocol::Protocol;
use super::shared::Shared;
use super::stage::{Stage, cut, stopping};
use crate::rejects::Sender;
use sluice_delivery::metrics::{ListenerMetrics, RecordsOutcome};
use sluice_protocols::decoded::Decoding;
use sluice_protocols::gelf::chunks::{Chunks, Limits};
use sluice_protocols::gelf::datagram::{self, classify};
use sluice_protocols::gelf::message::{read_message, unpacked};
use sluice_protocols::meter::Meter;
use sluice_protocols::rejected::{EXAMPLES_MAX, Example, Rejected, head};
use sluice_protocols::syslog::decode::datagrams as syslog;
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
/// What a rejected datagram takes that can be shown, in bytes, besides its excerpt:
/// with its client's count, in buffers that grow by doubling.
const REFUSED_BYTES: usize = 4 * size_of::<RefusedDatagram>();
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
            return push(received, datagram, source, &self.metrics);
        };
        match classify(datagram) {
            Ok(datagram::Datagram::Message(message)) => {
                push(received, message, source, &self.metrics)
            }
            Ok(datagram::Datagram::Chunk(chunk)) => match chunks.add(source, chunk, Instant::now())
            {
                Ok(Some(message)) => push(received, &message, source, &self.metrics),
                Ok(None) => {}
                Err(why) => self.refuse(why, source, datagram),
            },
            Err(why) => self.refuse(why, source, datagram),
        }
    }

    fn refuse(&self, why: &str, source: SocketAddr, datagram: &[u8]) {
        self.shared.refuse(why, source.ip(), datagram);
        self.shared.warn("a datagram cannot be read", why);
    }
}

fn push(received: &mut Received, message: &[u8], source: SocketAddr, metrics: &ListenerMetrics) {
    if !received.push(message, source.ip()) {
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
        datagrams,
        charged,
        since,
    } = received;
    // What cannot be decoded together, for lack of memory, is halved.
    let mut pending = vec![(bytes.freeze(), datagrams)];
    while let Some((body, mut datagrams)) = pending.pop() {
        let decode = decoder(shared.protocol, datagrams.clone());
        match shared.outlet.decode(&body, &decode).await {
            Ok((contents, reservation)) => {
                let (decoded, refused) = (contents.records.decoded, contents.refused);
                let rejected = decoded.rejected.len();
                shared.count(RecordsOutcome::Rejected, rejected);
                shared.refuse_some(&decoded.rejected, &refused);
                let parcel = Parcel {
                    ids: Vec::new(),
                    whose: shared.whose(&None),
                    records: decoded.records,
                    reservation,
                    again: Again::Decoded(&decode, &body),
                };
                shared.outlet.deliver(parcel).await;
                shared.acknowledged(since.elapsed());
            }
            Err(_) if datagrams.len() > 1 => {
                let later = datagrams.split_off(datagrams.len() / 2);
                let middle: usize = datagrams.iter().map(|datagram| datagram.length).sum();
                pending.push((body.slice(middle..), later));
                pending.push((body.slice(..middle), datagrams));
            }
            Err(problem) => {
                let why = problem.text();
                if let Some(Datagram { client, .. }) = datagrams.first() {
                    shared.refuse(&why, *client, &body);
                }
                shared.warn("a datagram cannot be decoded", &why);
            }
        }
    }
    drop(charged);
}

impl Shared {
    /// Keeps a datagram that was rejected.
    fn refuse(&self, why: &str, client: IpAddr, datagram: &[u8]) {
        self.count(RecordsOutcome::Rejected, 1);
        self.reject(|rejects| rejects.keep_record(self.sender(client), why, datagram));
    }

    /// The same for the rejected ones of a batch, of which some can be shown.
    fn refuse_some(&self, rejected: &Rejected, refused: &[RefusedDatagram]) {
        let examples = refused.iter().map(|refused| {
            let reason = rejected.reason(refused.rejection);
            let example = Example {
                reason: reason.unwrap_or("it cannot be decoded, like many before it"),
                excerpt: &refused.excerpt,
            };
            (self.sender(refused.client), example)
        });
        self.reject(|rejects| rejects.keep_some(rejected.len(), examples));
    }

    const fn sender(&self, client: IpAddr) -> Sender {
        Sender {
            protocol: self.protocol.name(),
            client: Some(client),
        }
    }
}

/// Decodes these datagrams.
fn decoder(protocol: Protocol, datagrams: Vec<Datagram>) -> Arc<Decode> {
    let (observed, limit) = (unix_nanos(), UNPACKED_BYTES);
    match protocol {
        Protocol::Gelf => Arc::new(move |body, meter| {
            let mut decoding = Decoding::new(meter, usize::MAX);
            let mut refused = RefusedDatagrams::default();
            for (message, datagram) in split(body, &datagrams).zip(&datagrams) {
                let rejection = decoding.rejected();
                let unpacked = unpacked(&message, limit, decoding.meter());
                match &unpacked {
                    Ok(Some(message)) => read_message(message, observed, &mut decoding),
                    Ok(None) => {
                        let reason = format!("more than {limit} bytes unpacked");
                        decoding.add(&message, |_| Err(reason));
                    }
                    Err(error) => decoding.add(&message, |_| Err(error.to_string())),
                }
                if decoding.rejected() > rejection {
                    let source = unpacked.ok().flatten().unwrap_or(message);
                    refused.add(datagram.client, rejection, &source, decoding.meter());
                }
            }
            let mut contents = Contents::from(decoding.finish(body.len()));
            contents.refused = refused.all;
            Ok(contents)
        }),
        _ => Arc::new(move |body, meter| {
            let messages: Vec<_> = split(body, &datagrams).collect();
            let decoded = syslog(&messages, observed, usize::MAX, meter);
            Ok(Contents::from(decoded))
        }),
    }
}

/// Those of a batch that can be shown. However many one client sends, they leave
/// room for those of others.
#[derive(Default)]
struct RefusedDatagrams {
    all: Vec<RefusedDatagram>,
    by_client: HashMap<IpAddr, usize>,
}

impl RefusedDatagrams {
    fn add(&mut self, client: IpAddr, rejection: usize, source: &[u8], meter: &mut Meter) {
        let own = self.by_client.entry(client).or_default();
        let excerpt = head(source);
        if *own < EXAMPLES_MAX && meter.charge(REFUSED_BYTES + excerpt.len()) {
            *own += 1;
            self.all.push(RefusedDatagram {
                client,
                rejection,
                excerpt: excerpt.to_vec(),
            });
        }
    }
}

fn split<'a>(body: &'a Bytes, datagrams: &'a [Datagram]) -> impl Iterator<Item = Bytes> + 'a {
    datagrams.iter().scan(0, |start, datagram| {
        let from = *start;
        *start += datagram.length;
        Some(body.slice(from..*start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocols::memory_budget::MemoryBudget;
    use sluice_protocols::meter::Client;

    #[test]
    fn a_flood_leaves_room_to_the_rejects_of_others_in_its_batch() {
        let [loud, quiet] = [1, 2].map(|host| IpAddr::from([192, 0, 2, host]));
        let sent = [(loud, "x"); 2000].into_iter().chain([(quiet, "mine")]);
        let (mut body, mut all) = (String::new(), Vec::new());
        for (client, text) in sent {
            body.push_str(text);
            all.push(Datagram {
                length: text.len(),
                client,
            });
        }
        let decode = decoder(Protocol::Gelf, all);
        let meter = Meter::new(MemoryBudget::new(1 << 24).reserve(), Client::default());
        let decoded = meter.measure(|meter| decode(&body.into(), meter));
        let (contents, _) = decoded.unwrap();
        assert_eq!(contents.records.decoded.rejected.len(), 2001);
        let (last, others) = contents.refused.split_last().unwrap();
        assert_eq!((last.client, &last.excerpt[..]), (quiet, &b"mine"[..]));
        assert_eq!(others.len(), EXAMPLES_MAX);
        assert!(others.iter().all(|refused| refused.client == loud));
    }
}
