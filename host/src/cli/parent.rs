//! Processes that end with the one that started them.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

/// This process would not end with its parent.
#[derive(Debug, Error)]
pub(super) enum ParentError {
    #[error("end together with the process {0}: it is not the one that started this")]
    Other(u32),
    #[error("ask to end together with the process {parent}")]
    Ask {
        parent: u32,
        #[source]
        cause: io::Error,
    },
}

/// Has the system kill this process when its parent is gone, or the thread of the
/// parent that started it.
pub(super) fn end_with(parent: u32) -> Result<(), ParentError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| ParentError::Ask {
        parent,
        cause: errno.into(),
    })?;
    // It may have ended before that.
    let now = getppid().and_then(|pid| u32::try_from(pid.as_raw_pid()).ok());
    if now == Some(parent) {
        Ok(())
    } else {
        Err(ParentError::Other(parent))
    }
}
