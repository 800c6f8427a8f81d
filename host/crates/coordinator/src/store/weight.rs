//! How much memory the state takes, and how much it may take.
//!
//! Weights are in bytes: the lengths of all texts, and a constant for each thing
//! that covers its fields, its place in the tables and its copy for the disk.

use super::check::{Check, NewCheck};
use super::entry::Entry;
use super::service::NewService;
use super::session::Session;

const MIB: usize = 1024 * 1024;

/// The most that everything together may take.
pub(super) const STORE_MAX: usize =
    KEYS_MAX + KEYS_RESERVED + SESSIONS_MAX + CATALOG_MAX + DELETIONS_MAX;
/// The most that keys may take, their values included.
pub(super) const KEYS_MAX: usize = 48 * MIB;
/// What keys may take beyond that if they are written under a session, so that
/// a leader can go on after others have filled the store.
pub(super) const KEYS_RESERVED: usize = 4 * MIB;
pub(super) const SESSIONS_MAX: usize = 4 * MIB;
/// Of services and checks.
pub(super) const CATALOG_MAX: usize = 4 * MIB;
/// Of the keys whose deletion is remembered. Beyond it the oldest are forgotten.
pub(super) const DELETIONS_MAX: usize = 4 * MIB;
/// The most that the results of one transaction may take.
pub const RESULTS_MAX: usize = STORE_MAX;
/// Of the keys with a lock delay. Further delays are left out; they are no
/// guarantee.
pub(super) const DELAYS_MAX: usize = MIB;

const PER_KEY: usize = 512;
const PER_DELETION: usize = 128;
const PER_SESSION: usize = 512;
const PER_SERVICE: usize = 512;
/// The definition of the check and its two outputs, which have bounds of their
/// own, included.
const PER_CHECK: usize = 16 * 1024;
const PER_TEXT: usize = 32;

pub(super) fn of_key(key: &str, value_length: usize) -> usize {
    PER_KEY + key.len() + value_length
}

pub(super) fn of_entry(key: &str, entry: &Entry) -> usize {
    of_key(key, entry.value.len())
}

pub(super) fn of_deletion(key: &str) -> usize {
    PER_DELETION + key.len()
}

pub(super) fn of_session(session: &Session) -> usize {
    let checks = session.check_ids().map(|id| PER_TEXT + id.len());
    let services = session.service_checks.iter().flatten();
    let namespaces = services.map(|check| PER_TEXT + check.namespace.len());
    let texts = [&session.name, &session.ttl_text].map(String::len);
    PER_SESSION + checks.chain(namespaces).chain(texts).sum::<usize>()
}

pub(super) fn of_service(service: &NewService) -> usize {
    let meta = service.meta.iter();
    let meta = meta.map(|(name, value)| 2 * PER_TEXT + name.len() + value.len());
    let texts = [&service.id, &service.name, &service.address].map(String::len);
    PER_SERVICE + of_tags(&service.tags) + meta.chain(texts).sum::<usize>()
}

/// A check holds a copy of its service's id, name and tags.
pub(super) fn of_new_check(service: &NewService, check: &NewCheck) -> usize {
    let texts = [
        &check.id,
        &check.name,
        &check.notes,
        &service.id,
        &service.name,
    ];
    PER_CHECK + of_tags(&service.tags) + texts.map(String::len).iter().sum::<usize>()
}

pub(super) fn of_check(check: &Check) -> usize {
    let texts = [&check.id, &check.name, &check.notes].map(String::len);
    let owner = check
        .service
        .as_ref()
        .map_or(0, |(id, name, tags)| id.len() + name.len() + of_tags(tags));
    PER_CHECK + owner + texts.iter().sum::<usize>()
}

/// What a check takes in an answer, its outputs as they are.
pub(super) fn of_shown_check(check: &Check) -> usize {
    of_check(check) - PER_CHECK + PER_SERVICE + check.output.len() + check.latest_output.len()
}

/// The sum, or the first part of it that is more than `most`.
pub(super) fn sum_up_to(most: usize, weights: &mut impl Iterator<Item = usize>) -> usize {
    let sum = weights.try_fold(0, |sum, weight| match sum > most {
        true => Err(sum),
        false => Ok(sum + weight),
    });
    sum.unwrap_or_else(|part| part)
}

fn of_tags(tags: &[String]) -> usize {
    tags.iter().map(|tag| PER_TEXT + tag.len()).sum()
}
