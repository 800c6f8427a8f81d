//! Which sinks went live, and which have failed; and what was live before.

use std::collections::HashSet;

use super::manifest::Manifest;
use sluice_consul::{Client, Error};
use sluice_types::documents::{HistoryDocument, PluginEvent};

/// The changes of a stream with their numbers, the oldest first. `prefix` is that of
/// their keys.
///
/// # Errors
/// Consul gives no usable answer.
pub(crate) async fn read(
    client: &Client,
    prefix: &str,
) -> Result<Vec<(u64, HistoryDocument)>, Error> {
    let entries = client.list(prefix, None).await?.value;
    let entries = entries.iter().filter_map(|entry| {
        let number = entry.key.strip_prefix(prefix)?.parse().ok()?;
        Some((number, serde_json::from_slice(&entry.value).ok()?))
    });
    let mut history: Vec<_> = entries.collect();
    history.sort_by_key(|(number, _)| *number);
    Ok(history)
}

/// The latest manifest that was live, has not failed since, can be read, and is not
/// the one that is asked for; if the key asks for nothing, not the one that is live.
pub(crate) fn before(
    history: Vec<HistoryDocument>,
    asked: Option<&Manifest>,
) -> Option<(HistoryDocument, Manifest)> {
    let mut failed = HashSet::new();
    let mut current = asked.cloned();
    for entry in history.into_iter().rev() {
        if entry.event == PluginEvent::Failed {
            failed.insert((entry.sha256, entry.index));
            continue;
        }
        let is_failed = failed.contains(&(entry.sha256.clone(), entry.index));
        let Ok(manifest) = entry.manifest.parse::<Manifest>() else {
            continue;
        };
        let current = current.get_or_insert_with(|| manifest.clone());
        if *current != manifest && !is_failed {
            return Some((entry, manifest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: PluginEvent, manifest: &str, index: u64) -> HistoryDocument {
        HistoryDocument {
            event,
            at: "then".to_owned(),
            sha256: "ab".to_owned(),
            manifest: manifest.to_owned(),
            index,
            node: "a".to_owned(),
            epoch: 3,
            reason: String::new(),
        }
    }

    /// `index` is when it was asked for.
    fn live(name: &str, index: u64) -> HistoryDocument {
        entry(PluginEvent::Live, &format!("file:///{name}.wasm"), index)
    }

    fn failed(name: &str, index: u64) -> HistoryDocument {
        entry(PluginEvent::Failed, &format!("file:///{name}.wasm"), index)
    }

    /// The name of what was live before.
    fn found(history: &[HistoryDocument], asked: Option<&str>) -> Option<String> {
        let asked = asked.map(|name| format!("file:///{name}.wasm").parse().unwrap());
        let (found, _) = before(history.to_vec(), asked.as_ref())?;
        let name = found.manifest.strip_prefix("file:///")?;
        Some(name.strip_suffix(".wasm")?.to_owned())
    }

    #[test]
    fn the_latest_other_manifest_is_found() {
        let history = [live("two", 1), live("one", 2), live("two", 3)];
        assert_eq!(found(&history, Some("one")).as_deref(), Some("two"));
        assert_eq!(found(&history, Some("two")).as_deref(), Some("one"));
        assert_eq!(found(&history, None).as_deref(), Some("one"));
        assert_eq!(found(&[live("one", 1)], Some("one")), None);
        let unreadable = [entry(PluginEvent::Live, "later:x", 1)];
        assert_eq!(found(&unreadable, Some("one")), None);
    }

    #[test]
    fn what_has_failed_is_not_led_back_to() {
        let (one, two) = (live("one", 1), live("two", 2));
        let bad = [live("bad", 3), failed("bad", 3)];
        let history = [&[one, two.clone()], &bad[..], &[two]].concat();
        assert_eq!(found(&history, Some("bad")).as_deref(), Some("two"));
        assert_eq!(found(&history, Some("two")).as_deref(), Some("one"));
        let later = [live("one", 4), live("bad", 5), live("two", 6)];
        let mended = [&bad[..], &later[..]].concat();
        assert_eq!(found(&mended, Some("two")).as_deref(), Some("bad"));
    }
}
