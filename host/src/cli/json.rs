//! JSON on stdout.

use serde::Serialize;
use sluice_types::readable;

/// Prints a value on one line, with nothing in it that a terminal obeys.
///
/// # Errors
/// The value has no JSON form.
pub(super) fn print(value: &impl Serialize) -> serde_json::Result<()> {
    println!("{}", readable::json(&serde_json::to_string(value)?));
    Ok(())
}

/// Prints a value for people, with nothing in it that a terminal obeys.
///
/// # Errors
/// The value has no JSON form.
pub(super) fn print_pretty(value: &impl Serialize) -> serde_json::Result<()> {
    println!("{}", readable::json(&serde_json::to_string_pretty(value)?));
    Ok(())
}
