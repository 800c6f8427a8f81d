//! Whether a command prints in color.

use std::io::{self, IsTerminal};

/// Whether stdout is a terminal that shows colors, and nobody asked for none. See
/// <https://no-color.org>.
pub(super) fn is_wanted() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}
