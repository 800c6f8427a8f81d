//! The JSON of keys and sessions, with Consul's fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::store::{Behavior, Entry, ServiceCheck, Session};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyShape<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    /// In base64; null if it is empty or not requested.
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> KeyShape<'a> {
    pub(super) fn new(key: &'a str, entry: &'a Entry) -> Self {
        let value = (!entry.value.is_empty()).then(|| STANDARD.encode(&entry.value));
        Self {
            value,
            ..Self::without_value(key, entry)
        }
    }

    pub(super) fn without_value(key: &'a str, entry: &'a Entry) -> Self {
        Self {
            lock_index: entry.lock_index,
            key,
            flags: entry.flags,
            value: None,
            session: entry.session.as_deref(),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SessionShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    /// In nanoseconds.
    lock_delay: u128,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: &'a Option<Vec<String>>,
    service_checks: Option<Vec<ServiceCheckShape<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: &'a Option<Vec<String>>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'a str,
}

impl<'a> SessionShape<'a> {
    pub(super) fn new(node: &'a str, session: &'a Session) -> Self {
        let shape = |checks: &'a Vec<ServiceCheck>| {
            let shapes = checks.iter().map(|check| ServiceCheckShape {
                id: &check.id,
                namespace: &check.namespace,
            });
            shapes.collect()
        };
        Self {
            id: &session.id,
            name: &session.name,
            node,
            lock_delay: session.lock_delay.as_nanos(),
            behavior: match session.behavior {
                Behavior::Release => "release",
                Behavior::Delete => "delete",
            },
            ttl: &session.ttl_text,
            node_checks: &session.node_checks,
            service_checks: session.service_checks.as_ref().map(shape),
            checks: &session.checks,
            create_index: session.create_index,
            modify_index: session.create_index,
        }
    }
}
