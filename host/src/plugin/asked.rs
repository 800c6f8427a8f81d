//! Which manifest is asked for, and by what.

use super::manifest::Manifest;
use sluice_consul::Seen;
use sluice_types::error_chain::chain;

/// What the manifest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The key, written at this index.
    Key(u64),
    /// `--plugin`, because the key is absent or empty.
    Flag,
    /// The disk, because Consul has not answered yet.
    Disk,
}

impl Origin {
    /// The index at which the key was written; 0 for other origins.
    pub(super) const fn index(self) -> u64 {
        match self {
            Self::Key(index) => index,
            Self::Flag | Self::Disk => 0,
        }
    }
}

/// The manifest that is asked for, or why it cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) origin: Origin,
    pub(super) manifest: Result<Manifest, String>,
}

impl Asked {
    /// What the key asks for; `None` if Consul has not answered yet.
    pub(super) fn by_key(seen: &Seen, flag: &Manifest) -> Option<Self> {
        let (index, read) = match seen {
            Seen::Unknown => return None,
            Seen::Absent => return Some(Self::by_flag(flag)),
            Seen::Present { index, value } => (*index, Manifest::from_value(value)),
        };
        let manifest = match read {
            Ok(Some(manifest)) => Ok(manifest),
            Ok(None) => return Some(Self::by_flag(flag)),
            Err(error) => Err(chain(&error)),
        };
        Some(Self {
            origin: Origin::Key(index),
            manifest,
        })
    }

    pub(super) fn by_flag(flag: &Manifest) -> Self {
        Self {
            origin: Origin::Flag,
            manifest: Ok(flag.clone()),
        }
    }

    /// What ran last, while Consul has not answered.
    pub(super) fn by_disk(last_good: &Manifest) -> Self {
        Self {
            origin: Origin::Disk,
            manifest: Ok(last_good.clone()),
        }
    }
}
