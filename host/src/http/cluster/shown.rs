//! Errors as the page shows them.

use sluice_types::error_chain::chain;
use sluice_types::excerpt::excerpt;

/// The most characters of an error that is shown.
const ERROR_CHARS: usize = 500;

/// An error with its causes, for people.
pub(super) fn shown(error: &dyn std::error::Error) -> String {
    excerpt(&chain(error).to_string(), ERROR_CHARS).into_owned()
}
