//! A check that ends before its end.

use super::report::Finding;
use crate::kit::workbench::KitError;

/// Why a check ends early.
#[derive(Debug)]
pub(super) enum Early {
    /// The check itself cannot go on.
    Kit(KitError),
    /// What is found already is enough.
    Found(Finding),
}

impl From<KitError> for Early {
    fn from(error: KitError) -> Self {
        Self::Kit(error)
    }
}

impl From<Finding> for Early {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// What a check found, whenever it ended.
///
/// # Errors
/// The check itself could not go on.
pub(super) fn found(ended: Result<Finding, Early>) -> Result<Finding, KitError> {
    match ended {
        Ok(finding) | Err(Early::Found(finding)) => Ok(finding),
        Err(Early::Kit(error)) => Err(error),
    }
}
