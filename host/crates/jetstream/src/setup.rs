//! Making the log, or checking the one that is there.

use crate::api::{Nothing, Refusal, StreamConfig, StreamInfo};
use crate::connection::{Connection, is_new_enough};
use sluice_delivery::{LogError, LogState};

/// A stream with this name exists with other settings.
const OTHER_SETTINGS: u32 = 10058;
/// There is no such stream.
const NO_STREAM: u32 = 10059;
/// How many servers keep a message where they form a cluster.
pub(crate) const REPLICAS: u32 = 3;
/// Room for barriers and checkpoints beyond the journal's own limit: this share of it,
/// and at least so much.
const RESERVE_SHARE: u64 = 16;
const RESERVE_MIN: u64 = 16 << 20;
/// Where a server says which version last set the stream up.
const VERSION_KEY: &str = "_nats.ver";
/// How the names begin of what servers write into metadata.
const SERVER_KEYS: &str = "_nats.";

/// What a log should be like.
pub(crate) fn wanted(name: &str, subject: &str, limit: u64, is_cluster: bool) -> StreamConfig {
    let reserve = (limit / RESERVE_SHARE).max(RESERVE_MIN);
    StreamConfig {
        name: name.to_owned(),
        description: "the journal of a stream of Sluice; do not publish to it".to_owned(),
        subjects: vec![subject.to_owned()],
        retention: "limits".to_owned(),
        storage: "file".to_owned(),
        discard: "new".to_owned(),
        num_replicas: if is_cluster { REPLICAS } else { 1 },
        max_bytes: i64::try_from(limit.saturating_add(reserve)).unwrap_or(i64::MAX),
        max_msgs: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        max_age: 0,
        max_consumers: -1,
        deny_delete: true,
        deny_purge: false,
        allow_rollup_hdrs: false,
        allow_direct: true,
        metadata: std::collections::BTreeMap::new(),
    }
}

/// Makes a stream, and returns it as it was found. Of one that exists, only the limits
/// are changed.
pub(crate) async fn make(
    connection: &Connection,
    wanted: &StreamConfig,
) -> Result<StreamInfo, LogError> {
    let name = &wanted.name;
    let found = match info(connection, name).await? {
        Some(found) => found,
        None => {
            let create = format!("STREAM.CREATE.{name}");
            let created: Result<StreamInfo, Refusal> = connection.api(create, wanted).await?;
            match created {
                Ok(_) => {}
                // Another node was faster.
                Err(refusal) if refusal.err_code == OTHER_SETTINGS => {}
                Err(refusal) => return Err(refusal.into()),
            }
            // If another node made it, what that one chose counts.
            let made = info(connection, name).await?;
            made.ok_or_else(|| LogError(format!("the stream {name} does not exist yet")))?
        }
    };
    check_version(&found)?;
    let expected = StreamConfig {
        max_bytes: wanted.max_bytes,
        max_age: if_limited(wanted.max_age).unwrap_or(found.config.max_age),
        ..found.config.clone()
    };
    check_settings(&expected, wanted)?;
    if (found.config.max_bytes, found.config.max_age) != (wanted.max_bytes, wanted.max_age) {
        let mut config = wanted.clone();
        let of_server = |key: &str| key.starts_with(SERVER_KEYS);
        config.metadata.clone_from(&found.config.metadata);
        config.metadata.retain(|key, _| !of_server(key));
        let update = format!("STREAM.UPDATE.{name}");
        let StreamInfo { .. } = connection.api(update, &config).await??;
    }
    Ok(found)
}

/// An age limit; a stream whose messages should stay must never have had one.
fn if_limited(max_age: i64) -> Option<i64> {
    (max_age > 0).then_some(max_age)
}

/// The stream with this name, if it exists.
pub(crate) async fn info(
    connection: &Connection,
    name: &str,
) -> Result<Option<StreamInfo>, LogError> {
    let subject = format!("STREAM.INFO.{name}");
    let info: Result<StreamInfo, Refusal> = connection.api(subject, &Nothing {}).await?;
    match info {
        Ok(info) => Ok(Some(info)),
        Err(refusal) if refusal.err_code == NO_STREAM => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// What a stream holds.
pub(crate) async fn state(connection: &Connection, name: &str) -> Result<LogState, LogError> {
    let info = info(connection, name).await?;
    let StreamInfo { state, .. } =
        info.ok_or_else(|| LogError(format!("the stream {name} does not exist")))?;
    Ok(LogState {
        first: state.first_seq,
        last: state.last_seq,
        bytes: state.bytes,
    })
}

/// Whether the version that last set the stream up keeps what it acknowledges.
fn check_version(info: &StreamInfo) -> Result<(), LogError> {
    let version = info.config.metadata.get(VERSION_KEY);
    match version.filter(|version| !is_new_enough(version)) {
        None => Ok(()),
        Some(version) => Err(LogError(format!(
            "nats-server {version} keeps the stream {}, and it is too old",
            info.config.name
        ))),
    }
}

/// Whether the stream is as it should be, but for what it says to people.
fn check_settings(found: &StreamConfig, wanted: &StreamConfig) -> Result<(), LogError> {
    let found = StreamConfig {
        description: wanted.description.clone(),
        metadata: wanted.metadata.clone(),
        ..found.clone()
    };
    match found == *wanted {
        true => Ok(()),
        false => Err(LogError(format!(
            "the stream {} exists with other settings than the journal needs: {}",
            wanted.name,
            difference(&found, wanted)
        ))),
    }
}

/// What differs, for people.
fn difference(found: &StreamConfig, wanted: &StreamConfig) -> String {
    let fields = |config: &StreamConfig| {
        let value = serde_json::to_value(config).unwrap_or_default();
        value.as_object().cloned().unwrap_or_default()
    };
    let (found, wanted) = (fields(found), fields(wanted));
    let texts = wanted.iter().filter_map(|(name, wanted)| {
        let found = found.get(name)?;
        (found != wanted).then(|| format!("{name} is {found} instead of {wanted}"))
    });
    texts.collect::<Vec<_>>().join(", ")
}
