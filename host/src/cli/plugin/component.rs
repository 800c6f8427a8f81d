//! A component that is read from this machine.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use super::error::PluginCommandError;
use crate::plugin::MAX_COMPONENT_BYTES;

/// Reads a component that is not too large to be loaded.
///
/// # Errors
/// The file cannot be read, or is too large.
pub(super) fn read(file: &Path) -> Result<Bytes, PluginCommandError> {
    let failed = |cause| PluginCommandError::Component {
        file: file.to_owned(),
        cause,
    };
    let mut component = Vec::new();
    let open = File::open(file).map_err(failed)?;
    let mut most = open.take(MAX_COMPONENT_BYTES + 1);
    most.read_to_end(&mut component).map_err(failed)?;
    if u64::try_from(component.len()).is_ok_and(|size| size > MAX_COMPONENT_BYTES) {
        return Err(PluginCommandError::TooLarge(file.to_owned()));
    }
    Ok(component.into())
}
