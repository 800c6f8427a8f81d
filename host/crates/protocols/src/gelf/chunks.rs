//! Puts messages together whose parts come in datagrams of their own.
//!
//! Anybody can send the first part of a message and never the rest, so what is
//! kept is bounded: each message in time, and all of them in memory. Where memory
//! ends, the oldest message goes of the address that holds the most of it. So who
//! floods loses first, and others lose nothing.

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::datagram::{CHUNKS_MAX, Chunk};

/// How long the rest of a message is waited for, by GELF's specification.
const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// The most messages that are waited for. Finding whose message goes when memory
/// ends takes time in proportion.
const MESSAGES_MAX: usize = 4096;
/// What a message takes in addition to its parts, in bytes: its places in the
/// three tables, which grow by doubling.
const MESSAGE_BYTES: usize = 512;
/// What a part takes in addition to its payload, in bytes: its place in a list
/// that grows by doubling, and the bookkeeping of its memory.
const PART_BYTES: usize = 96;

/// Messages of which some parts have come.
#[derive(Debug)]
pub struct Chunks {
    limits: Limits,
    messages: HashMap<Key, Message>,
    /// The keys by the order in which the messages began.
    order: BTreeMap<u64, Key>,
    /// What each address holds, in bytes.
    held: HashMap<IpAddr, usize>,
    /// The sum of these.
    total: usize,
    /// How many messages began.
    began: u64,
    dropped: u64,
}

/// How much memory may be taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// By all messages together, in bytes.
    pub all: usize,
    /// By the payloads of one message, in bytes.
    pub message: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: SocketAddr,
    id: [u8; 8],
}

#[derive(Debug)]
struct Message {
    began: Instant,
    /// The place in the order.
    number: u64,
    count: u8,
    /// A bit for each part that has come.
    present: u128,
    /// Their places and payloads, as they came.
    parts: Vec<(u8, Box<[u8]>)>,
    /// The sum of the payloads.
    payloads: usize,
}

impl Chunks {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            messages: HashMap::new(),
            order: BTreeMap::new(),
            held: HashMap::new(),
            total: 0,
            began: 0,
            dropped: 0,
        }
    }

    /// Adds a part, and returns the message if it was the last one missing.
    /// Messages that have waited for too long are dropped first, and others as far
    /// as there is no memory for this part. A part that is there is ignored.
    ///
    /// `now` never goes back.
    ///
    /// # Errors
    /// The part does not fit to its message, or the message would be too large.
    /// Then this is dropped.
    pub fn add(
        &mut self,
        source: SocketAddr,
        chunk: Chunk<'_>,
        now: Instant,
    ) -> Result<Option<Bytes>, &'static str> {
        self.expire(now);
        let id = chunk.id;
        let key = Key { source, id };
        if let Some(message) = self.messages.get(&key) {
            if message.count != chunk.count {
                self.drop_message(key);
                return Err("the chunks of a message differ about their count");
            }
            if message.present & bit(chunk.index) != 0 {
                return Ok(None);
            }
            if message.payloads + chunk.payload.len() > self.limits.message {
                self.drop_message(key);
                return Err("the chunks of a message are too large together");
            }
        }
        self.make_room(key, PART_BYTES + chunk.payload.len())?;
        let message = self.message(key, chunk.count, now);
        let before = message.cost();
        message.present |= bit(chunk.index);
        message.payloads += chunk.payload.len();
        message.parts.push((chunk.index, chunk.payload.into()));
        let is_whole = message.parts.len() == usize::from(message.count);
        let added = message.cost() - before;
        self.hold(key, added);
        let whole = is_whole.then(|| self.remove(key)).flatten();
        Ok(whole.map(Message::joined))
    }

    /// Drops the messages that have waited for too long. Called when a part is
    /// added; only needed to free memory earlier.
    pub fn expire(&mut self, now: Instant) {
        while let Some((_, key)) = self.order.first_key_value() {
            let key = *key;
            let began = self.messages.get(&key).map(|message| message.began);
            if began.is_some_and(|began| now.duration_since(began) < WAIT_LIMIT) {
                return;
            }
            self.drop_message(key);
        }
    }

    /// How many messages were dropped before they were complete.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What the messages take, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.total
    }

    /// Drops messages until a part with this cost can be added.
    fn make_room(&mut self, key: Key, part: usize) -> Result<(), &'static str> {
        let is_new = !self.messages.contains_key(&key);
        let cost = if is_new { part + MESSAGE_BYTES } else { part };
        if cost > self.limits.all || part > self.limits.message + PART_BYTES {
            return Err("a chunk is too large");
        }
        while self.total + cost > self.limits.all || is_new && self.messages.len() >= MESSAGES_MAX {
            let address = key.source.ip();
            let own = self.held.get(&address).copied().unwrap_or_default() + cost;
            let most = self.held.iter().max_by_key(|(_, held)| **held);
            let address = match most {
                Some((other, held)) if *held > own => *other,
                _ => address,
            };
            let of_address = |key: &&Key| key.source.ip() == address;
            let oldest = self.order.values().find(of_address).copied();
            let Some(oldest) = oldest.or_else(|| self.order.values().next().copied()) else {
                return Err("there is no memory for a chunk");
            };
            self.drop_message(oldest);
            if oldest == key {
                return Err("there is no memory for the chunks of a message");
            }
        }
        Ok(())
    }

    /// The message of this key, which begins now if there is none.
    fn message(&mut self, key: Key, count: u8, now: Instant) -> &mut Message {
        let number = self.began;
        if !self.messages.contains_key(&key) {
            self.began += 1;
            self.order.insert(number, key);
            self.hold(key, MESSAGE_BYTES);
        }
        self.messages.entry(key).or_insert_with(|| Message {
            began: now,
            number,
            count,
            present: 0,
            parts: Vec::new(),
            payloads: 0,
        })
    }

    fn hold(&mut self, key: Key, bytes: usize) {
        *self.held.entry(key.source.ip()).or_default() += bytes;
        self.total += bytes;
    }

    fn drop_message(&mut self, key: Key) {
        self.dropped += u64::from(self.remove(key).is_some());
    }

    fn remove(&mut self, key: Key) -> Option<Message> {
        let message = self.messages.remove(&key)?;
        self.order.remove(&message.number);
        self.total -= message.cost();
        if let Entry::Occupied(mut held) = self.held.entry(key.source.ip()) {
            *held.get_mut() -= message.cost();
            if *held.get() == 0 {
                held.remove();
            }
        }
        Some(message)
    }
}

impl Message {
    /// What it takes in memory, in bytes.
    fn cost(&self) -> usize {
        MESSAGE_BYTES + self.parts.len() * PART_BYTES + self.payloads
    }

    fn joined(mut self) -> Bytes {
        self.parts.sort_unstable_by_key(|(index, _)| *index);
        let mut whole = Vec::with_capacity(self.payloads);
        for (_, payload) in self.parts {
            whole.extend_from_slice(&payload);
        }
        whole.into()
    }
}

/// The bit of a part, whose index is below 128.
const fn bit(index: u8) -> u128 {
    1 << (index % CHUNKS_MAX)
}
