//! What a node tells of itself for a bug report, apart from what its routes show in any
//! case; and how secrets are kept out of it.

mod config;
mod recent_log;
mod redaction;
mod secret_files;
mod setting;

pub(crate) use config::DiagnosticsConfig;
pub(crate) use recent_log::{RecentLines, RecentLog};
pub(crate) use redaction::Redaction;
pub(crate) use secret_files::known_secrets;
pub(crate) use setting::{Setting, environment};
