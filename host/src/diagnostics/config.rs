//! What a node needs to tell of itself.

use std::path::PathBuf;

use super::recent_log::RecentLog;
use super::setting::Setting;

/// What a node needs to tell of itself for a bug report.
#[derive(Debug, Default)]
pub(crate) struct DiagnosticsConfig {
    /// The settings in effect.
    pub(crate) settings: Vec<Setting>,
    /// The log of this process.
    pub(crate) log: RecentLog,
    /// Files with secrets, whose contents are shown nowhere.
    pub(crate) secret_files: Vec<PathBuf>,
}
