//! The id under which a client asks for an acknowledgement.

use bytes::Bytes;
use sluice_types::record::Text;

use crate::meter::Meter;

/// The most bytes of an id. Clients in use send 24, or 25 with a line feed.
pub(super) const CHUNK_BYTES_MAX: usize = 256;

/// A client's id for a message. It is the same in every attempt to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    id: Bytes,
    /// Whether it came as binary rather than as text.
    is_binary: bool,
}

impl Chunk {
    /// Copies an id of at most [`CHUNK_BYTES_MAX`] bytes.
    pub(super) fn new(id: &[u8], is_binary: bool) -> Self {
        let id = Bytes::copy_from_slice(id);
        Self { id, is_binary }
    }

    /// The id as it came. It need not be text.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// What tells the client that it can forget the message.
    #[must_use]
    pub fn ack(&self) -> Vec<u8> {
        let mut ack = b"\x81\xa3ack".to_vec();
        let length = self.id.len();
        match (u8::try_from(length), self.is_binary) {
            (Ok(length @ ..32), false) => ack.push(0xa0 | length),
            (Ok(length), false) => ack.extend([0xd9, length]),
            (Ok(length), true) => ack.extend([0xc4, length]),
            (Err(_), _) => {
                // No id is longer than two bytes can say.
                let length = u16::try_from(length).unwrap_or(u16::MAX);
                ack.push(if self.is_binary { 0xc5 } else { 0xda });
                ack.extend(length.to_be_bytes());
            }
        }
        ack.extend_from_slice(&self.id);
        ack
    }

    /// What the keys of the message's records begin with; `None` if the id is
    /// empty. An id that is not text is written in hexadecimal digits.
    pub(super) fn key_prefix(&self) -> Option<String> {
        // Fluentd's ends with a line feed.
        let id = self.id.trim_ascii();
        let text = std::str::from_utf8(id).map_or_else(|_| hex::encode(id), str::to_owned);
        (!text.is_empty()).then_some(text)
    }
}

/// The key of a message's record with this index; `None` if there is no memory
/// for it.
pub(super) fn key(prefix: &str, index: usize, meter: &mut Meter) -> Option<Text> {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(index);
    let length = prefix.len() + 1 + digits.len();
    meter.charge(length).then(|| {
        let mut key = String::with_capacity(length);
        key.push_str(prefix);
        key.push(':');
        key.push_str(digits);
        Text::from(key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    #[test]
    fn the_ack_is_the_map_that_clients_compare() {
        // As captured.
        let chunk = Chunk::new(b"h3ABawAAAAAiZxt/MZeAGA==", false);
        assert_eq!(chunk.ack(), b"\x81\xa3ack\xb8h3ABawAAAAAiZxt/MZeAGA==");
    }

    #[test]
    fn an_id_comes_back_as_it_was_whatever_it_is() {
        for length in [0, 1, 31, 32, 255, 256] {
            for is_binary in [false, true] {
                let id = vec![0xff; length];
                let ack = Chunk::new(&id, is_binary).ack();
                let read = rmpv::decode::read_value(&mut &*ack).unwrap();
                let [(name, value)] = &read.as_map().unwrap()[..] else {
                    panic!("{read}")
                };
                assert_eq!(name.as_str(), Some("ack"));
                let is_text = matches!(value, rmpv::Value::String(_));
                assert_eq!(is_text, !is_binary);
                assert_eq!(value.as_slice(), Some(&*id));
            }
        }
    }

    #[test]
    fn keys_are_the_id_and_the_index() {
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let mut of = |id: &[u8]| {
            let prefix = Chunk::new(id, false).key_prefix()?;
            key(&prefix, 17, &mut meter).map(|key| key.to_string())
        };
        assert_eq!(of(b"ab+/==\n").as_deref(), Some("ab+/==:17"));
        assert_eq!(of(b"\xff\x00\x01").as_deref(), Some("ff0001:17"));
        assert_eq!(of(b""), None);
        assert_eq!(meter.charged(), 18);
    }
}
