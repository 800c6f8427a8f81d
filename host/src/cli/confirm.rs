//! Questions before something that cannot be undone lightly.

use std::io::{self, BufRead, IsTerminal, Write};

/// Asks on the terminal whether to go on, and returns the answer. Where nobody can
/// answer, as in a script, the command itself is the answer.
///
/// # Errors
/// The terminal cannot be read or written.
pub(super) fn confirmed(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
