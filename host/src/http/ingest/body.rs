//! Reads a request's body, within its limits.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_ENCODING, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Version};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

use super::decoders::Decoders;
use super::pieces::{COPIED_BYTES, Pieces};
use crate::http::problem::Problem;
use sluice_protocols::encoding::Encoding;
use sluice_protocols::memory_budget::{MemoryBudget, Reservation, UNCHARGED_BYTES};
use sluice_protocols::meter::{Client, Meter};

/// Bodies of at least this many bytes, once unpacked, are decoded on the blocking
/// pool, so that they do not hold up other requests.
const OWN_THREAD_BYTES: usize = 256 << 10;
/// Compressed bodies that are, and become, no larger than this many bytes are
/// unpacked at once, so that they do not wait for the turns of larger ones. It is
/// less than [`OWN_THREAD_BYTES`], because many of these arrive in few bytes.
const SMALL_UNPACKED_BYTES: usize = 32 << 10;
/// How long the rest of a body is read for which there is no memory, before the
/// client is told.
const DISCARD_LIMIT: Duration = Duration::from_secs(1);

/// Reads bodies of at most `limit` bytes, both before and after unpacking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) memory: &'a Arc<MemoryBudget>,
    pub(super) decoders: &'a Decoders,
    pub(super) limit: usize,
}

/// A body as it came.
#[derive(Debug)]
pub(super) struct Received<'a> {
    bytes: Bytes,
    encoding: Option<Encoding>,
    /// What the bytes take.
    reservation: Reservation,
    reader: Reader<'a>,
}

impl<'a> Reader<'a> {
    /// A body that was read already, and whose memory is accounted for elsewhere.
    pub(super) fn of(self, bytes: Bytes, encoding: Option<Encoding>) -> Received<'a> {
        Received {
            bytes,
            encoding,
            reservation: self.memory.reserve(),
            reader: self,
        }
    }

    /// Reads a body as it is.
    ///
    /// # Errors
    /// The body is too large, came too slowly, broke off, or has an unknown
    /// encoding; or there is no memory for it now.
    pub(super) async fn receive(
        self,
        headers: &HeaderMap,
        body: Body,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Received<'a>, Problem> {
        let received = self.receive_as_it_is(headers, body, deadline).await?;
        Ok(received.encoded(encoding(headers)?))
    }

    /// The same, whatever its encoding is.
    ///
    /// # Errors
    /// The body is too large, came too slowly, or broke off; or there is no memory
    /// for it now.
    pub(super) async fn receive_as_it_is(
        self,
        headers: &HeaderMap,
        mut body: Body,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Received<'a>, Problem> {
        if announced(&body) > self.limit {
            if !expects_continue(headers) {
                discard(body, self.limit, deadline).await;
            }
            return Err(too_large(self.limit));
        }
        let mut reservation = self.memory.reserve();
        let received = tokio::select! {
            biased;
            collected = collect(&mut body, self.limit, &mut reservation) => collected,
            () = deadline => return Err(Problem::SlowBody),
        };
        if received == Err(Problem::Full) {
            drop(reservation);
            discard(body, self.limit, pin!(sleep(DISCARD_LIMIT))).await;
            return Err(Problem::Full);
        }
        Ok(Received {
            bytes: received?.ok_or_else(|| too_large(self.limit))?,
            encoding: None,
            reservation,
            reader: self,
        })
    }
}

impl Received<'_> {
    /// The body, unpacked if it is compressed, with the memory that it takes.
    ///
    /// # Errors
    /// It is too large or not in its encoding; or there was no memory or no time
    /// for it.
    pub(super) async fn unpacked(
        self,
        deadline: Pin<&mut Sleep>,
    ) -> Result<(Bytes, Reservation), Problem> {
        match self.encoding {
            None => Ok((self.bytes, self.reservation)),
            Some(_) => self.decode(deadline, |body, _| Ok(body)).await,
        }
    }

    /// The same in this encoding.
    fn encoded(self, encoding: Option<Encoding>) -> Self {
        Self { encoding, ..self }
    }

    /// The body as it came.
    pub(super) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Unpacks and decodes what the body holds, as [`Self::decode`] does, and keeps
    /// the body.
    ///
    /// # Errors
    /// Those of [`Self::decode`].
    pub(super) async fn decode_content<T: Send + 'static>(
        &self,
        (bytes, encoding): (Bytes, Option<Encoding>),
        deadline: Pin<&mut Sleep>,
        decode: impl FnOnce(Bytes, &mut Meter) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(T, Reservation), Problem> {
        let copy = Received {
            bytes,
            encoding,
            reservation: self.reader.memory.reserve(),
            reader: self.reader,
        };
        copy.decode(deadline, decode).await
    }

    /// Unpacks the body if it is compressed, and decodes it, both in one turn
    /// unless it is small: what waits for its turn is not unpacked yet. What the
    /// decoder charges is added to what the body takes.
    ///
    /// # Errors
    /// Those of the decoder; or the body is too large or not in its encoding; or
    /// there was no memory or no time for it.
    pub(super) async fn decode<T: Send + 'static>(
        self,
        deadline: Pin<&mut Sleep>,
        decode: impl FnOnce(Bytes, &mut Meter) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(T, Reservation), Problem> {
        let (bytes, reservation) = (self.bytes, self.reservation);
        let Reader {
            memory,
            decoders,
            limit,
        } = self.reader;
        match self.encoding {
            None if bytes.len() < OWN_THREAD_BYTES => {
                let meter = Meter::new(reservation, Client::default());
                meter.measure(|meter| decode(bytes, meter))
            }
            None => {
                let work = |meter: &mut Meter| decode(bytes, meter);
                decoders.run(reservation, deadline, work).await
            }
            Some(encoding) => {
                let small = unpack_small(&bytes, encoding, memory)?;
                if let Some((unpacked, own)) = small.filter(|(body, _)| body.len() <= limit) {
                    drop((bytes, reservation));
                    let meter = Meter::new(own, Client::default());
                    return meter.measure(|meter| decode(unpacked, meter));
                }
                let work = move |meter: &mut Meter| {
                    let unpacked = encoding.unpack(&bytes, limit, meter);
                    drop((bytes, reservation));
                    decode(unpacked?.ok_or_else(|| too_large(limit))?, meter)
                };
                decoders.run(memory.reserve(), deadline, work).await
            }
        }
    }
}

/// Unpacks a body that is small, and stays so; `None` for any other.
fn unpack_small(
    packed: &[u8],
    encoding: Encoding,
    memory: &Arc<MemoryBudget>,
) -> Result<Option<(Bytes, Reservation)>, Problem> {
    if packed.len() > SMALL_UNPACKED_BYTES {
        return Ok(None);
    }
    let meter = Meter::new(memory.reserve(), Client::default());
    let unpacked = meter.measure(|meter| encoding.unpack(packed, SMALL_UNPACKED_BYTES, meter));
    let (unpacked, reservation) = unpacked?;
    Ok(unpacked.map(|unpacked| (unpacked, reservation)))
}

fn too_large(limit: usize) -> Problem {
    Problem::TooLarge(format!(
        "the body is larger than {limit} bytes; send it in smaller parts, or raise --max-body"
    ))
}

/// How a body with these headers is compressed.
///
/// # Errors
/// In a way that is unknown here.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Problem> {
    let encoding = headers.get(CONTENT_ENCODING);
    let encoding = encoding.map_or(Ok(None), |name| Encoding::of(name.as_bytes()));
    encoding.map_err(Problem::from)
}

/// How many bytes the head of a request says that its body has; 0 if it does not.
pub(super) fn announced(body: &Body) -> usize {
    usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)
}

/// Whether an answer without reading the body is what the client hopes for, or is usual:
/// over HTTP/2, a request ends by itself.
pub(super) fn may_leave_body(head: &Parts) -> bool {
    head.version == Version::HTTP_2 || expects_continue(&head.headers)
}

/// Whether the client waits for `100 Continue` before it sends the body. Then
/// an answer without reading the body is what it hopes for.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(EXPECT)
        .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads and discards a body of up to `limit` bytes. To many clients, an answer
/// that comes while they still send looks like a broken connection.
pub(super) async fn discard(mut body: Body, limit: usize, deadline: Pin<&mut Sleep>) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > limit {
                return;
            }
        }
    };
    // The answer is the same whether it ended, broke off or ran out of time.
    tokio::select! {
        () = reading => {}
        () = deadline => {}
    }
}

/// The whole body, or `None` if it is larger than the limit.
async fn collect(
    body: &mut Body,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Option<Bytes>, Problem> {
    let mut pieces = Pieces::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::Malformed(format!("the body broke off: {error}; send it again"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - pieces.len() {
            return Ok(None);
        }
        // Most messages come in one piece.
        if pieces.len() == 0 && data.len() <= COPIED_BYTES && body.is_end_stream() {
            if data.len() > UNCHARGED_BYTES {
                reservation.spend(data.len())?;
            }
            return Ok(Some(Bytes::copy_from_slice(&data)));
        }
        pieces.push(data, reservation)?;
    }
    Ok(Some(pieces.join(reservation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    async fn read(
        memory: &Arc<MemoryBudget>,
        encoding: &'static str,
        body: impl Into<Body>,
    ) -> Result<(Bytes, Reservation), Problem> {
        let decoders = Decoders::new();
        let reader = Reader {
            memory,
            decoders: &decoders,
            limit: 1 << 20,
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        let mut deadline = pin!(sleep(Duration::from_secs(60)));
        let received = reader.receive(&headers, body.into(), deadline.as_mut());
        received.await?.unpacked(deadline).await
    }

    #[tokio::test]
    async fn a_body_is_charged_for_what_it_takes_once_unpacked() {
        let memory = MemoryBudget::new(1 << 20);
        let text = vec![b'x'; 700_000];
        let packed = zstd::encode_all(&*text, 1).unwrap();
        for (encoding, body) in [("identity", text.clone()), ("zstd", packed)] {
            let (read, reservation) = read(&memory, encoding, body).await.unwrap();
            assert_eq!(read, text);
            assert_eq!(reservation.spent(), text.len(), "{encoding}");
        }
        let mut all = memory.reserve();
        assert!(all.spend(1 << 20).is_ok());
    }

    #[tokio::test]
    async fn a_compressed_body_is_refused_when_others_have_the_memory() {
        let memory = MemoryBudget::new(1 << 20);
        let mut other = memory.reserve();
        other.spend(500_000).unwrap();
        let packed = zstd::encode_all(&*vec![b'x'; 700_000], 1).unwrap();
        let refused = read(&memory, "zstd", packed).await.unwrap_err();
        assert_eq!(refused, Problem::Full);
    }

    #[tokio::test]
    async fn a_small_compressed_body_waits_for_no_turn() {
        let memory = MemoryBudget::new(1 << 20);
        let decoders = Decoders::without_turns();
        for (length, limit, is_read) in [
            (100, 1 << 20, true),
            (SMALL_UNPACKED_BYTES, 1 << 20, true),
            (SMALL_UNPACKED_BYTES + 1, 1 << 20, false),
            (100, 99, false),
        ] {
            let body = Received {
                bytes: zstd::encode_all(&*vec![b'x'; length], 1).unwrap().into(),
                encoding: Some(Encoding::Zstd),
                reservation: memory.reserve(),
                reader: Reader {
                    memory: &memory,
                    decoders: &decoders,
                    limit,
                },
            };
            let deadline = pin!(sleep(Duration::from_millis(1)));
            let read = body.unpacked(deadline).await;
            assert_eq!(
                read.map(|(body, _)| body.len()).ok(),
                is_read.then_some(length)
            );
        }
    }

    #[tokio::test]
    async fn a_body_for_which_there_is_no_memory_is_read_to_its_end() {
        const PIECES: usize = 16;
        let memory = MemoryBudget::new(1 << 20);
        let mut other = memory.reserve();
        other.spend(1 << 20).unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let pieces = (0..PIECES).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(vec![b'x'; 64 << 10])
        });
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let refused = read(&memory, "", body).await.unwrap_err();
        assert_eq!(refused, Problem::Full);
        assert_eq!(taken.load(Ordering::Relaxed), PIECES);
    }

    #[tokio::test]
    async fn a_short_body_costs_nothing() {
        let memory = MemoryBudget::new(0);
        let read = read(&memory, "", vec![b'x'; UNCHARGED_BYTES]).await;
        assert_eq!(read.unwrap().0.len(), UNCHARGED_BYTES);
    }
}
