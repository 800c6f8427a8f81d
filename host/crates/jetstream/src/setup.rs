//! Making the log, or checking the one that is there.

use crate::api::{Nothing, StreamConfig, StreamInfo};
use crate::connection::{Connection, is_new_enough};
use sluice_delivery::LogError;

/// A stream with this name exists with other settings.
pub(crate) const OTHER_SETTINGS: u32 = 10058;
/// How many servers keep a message where they form a cluster.
pub(crate) const REPLICAS: u32 = 3;
/// Room for barriers and checkpoints beyond the journal's own limit: this share of it,
/// and at least so much.
const RESERVE_SHARE: u64 = 16;
const RESERVE_MIN: u64 = 16 << 20;
/// Where a server says which version last set the stream up.
const VERSION_KEY: &str = "_nats.ver";

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

/// Makes the log. Of one that exists, only the limit is changed.
pub(crate) async fn make(connection: &Connection, wanted: &StreamConfig) -> Result<(), LogError> {
    let name = &wanted.name;
    let create = format!("STREAM.CREATE.{name}");
    let info: StreamInfo = match connection.api(create, wanted).await? {
        Ok(info) => info,
        Err(refusal) if refusal.err_code == OTHER_SETTINGS => {
            let info = format!("STREAM.INFO.{name}");
            connection.api(info, &Nothing {}).await??
        }
        Err(refusal) => return Err(refusal.into()),
    };
    check_version(&info)?;
    check_settings(
        StreamConfig {
            max_bytes: wanted.max_bytes,
            ..info.config.clone()
        },
        wanted,
    )?;
    if info.config.max_bytes != wanted.max_bytes {
        let update = format!("STREAM.UPDATE.{name}");
        let StreamInfo { .. } = connection.api(update, wanted).await??;
    }
    Ok(())
}

/// Whether the version that last set the stream up keeps what it acknowledges.
pub(crate) fn check_version(info: &StreamInfo) -> Result<(), LogError> {
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
pub(crate) fn check_settings(found: StreamConfig, wanted: &StreamConfig) -> Result<(), LogError> {
    let found = StreamConfig {
        description: wanted.description.clone(),
        metadata: wanted.metadata.clone(),
        ..found
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
