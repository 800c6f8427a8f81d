//! Making the log of ids, or checking the one that is there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::StreamConfig;
use crate::connection::Connection;
use crate::setup::{self, REPLICAS};
use sluice_delivery::LogError;

/// Where the secret is that ids are made with, as 32 hexadecimal digits. The node
/// that makes the stream chooses it, and it never changes.
const KEY: &str = "sluice-id-key";
/// What an id takes, and as much again for those that are stored a second time.
const BYTES_PER_ID: u64 = 32;
/// What a message takes besides its ids, of which there is about one each second.
const BYTES_PER_MESSAGE: u64 = 1024;
const BYTES_MIN: u64 = 64 << 10;

/// What a log of so many ids should be like.
pub(crate) fn wanted(
    (name, subject): (&str, &str),
    (count, window): (usize, Duration),
    is_cluster: bool,
) -> StreamConfig {
    let ids = u64::try_from(count).unwrap_or(u64::MAX);
    let bytes = ids
        .saturating_mul(BYTES_PER_ID)
        .saturating_add(window.as_secs().saturating_mul(BYTES_PER_MESSAGE))
        .saturating_add(BYTES_MIN);
    StreamConfig {
        name: name.to_owned(),
        description: "the ids of requests to a stream of Sluice; do not publish to it".to_owned(),
        subjects: vec![subject.to_owned()],
        retention: "limits".to_owned(),
        storage: "file".to_owned(),
        discard: "old".to_owned(),
        num_replicas: if is_cluster { REPLICAS } else { 1 },
        max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        max_msgs: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        max_age: i64::try_from(window.as_nanos()).unwrap_or(i64::MAX),
        max_consumers: -1,
        deny_delete: true,
        deny_purge: true,
        allow_rollup_hdrs: false,
        allow_direct: true,
        metadata: BTreeMap::new(),
    }
}

/// Makes the log of ids, and returns the key.
pub(crate) async fn make(
    connection: &Connection,
    mut wanted: StreamConfig,
) -> Result<[u8; 16], LogError> {
    // Only for a log that does not exist yet.
    wanted.metadata.insert(KEY.to_owned(), new_key());
    let found = setup::make(connection, &wanted).await?;
    let text = found.config.metadata.get(KEY);
    text.and_then(|text| key(text)).ok_or_else(|| {
        let name = &wanted.name;
        LogError(format!(
            "the stream {name} has no {KEY} in its metadata: Sluice did not make it; remove it"
        ))
    })
}

fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn key(text: &str) -> Option<[u8; 16]> {
    let is_whole = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = u128::from_str_radix(text, 16).ok().filter(|_| is_whole)?;
    Some(key.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let text = new_key();
        let key = key(&text).unwrap();
        assert_eq!(format!("{:032x}", u128::from_be_bytes(key)), text);
        for wrong in ["", "0", &format!("+{}", &text[1..]), &format!("{text}0")] {
            assert_eq!(super::key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_message_with_ids_fits() {
        let window = Duration::from_secs(1);
        for count in [1, 1000, 100_000] {
            let wanted = wanted(("name", "subject"), (count, window), true);
            assert!(wanted.max_bytes as usize > 16 * count + 4096);
        }
    }
}
