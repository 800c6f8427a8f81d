//! What sinks print in tests.

use std::cell::RefCell;

thread_local! {
    /// What was printed, or `None` once stdout is closed.
    static PRINTED: RefCell<Option<Vec<u8>>> = const { RefCell::new(Some(Vec::new())) };
}

/// What sinks have written with [`crate::stdout::write`] in this thread since the
/// last call.
#[must_use]
pub fn printed() -> String {
    let printed = PRINTED.replace(Some(Vec::new())).unwrap_or_default();
    String::from_utf8_lossy(&printed).into_owned()
}

/// Makes writing to stdout fail in this thread, until [`printed`] is called.
pub fn close_stdout() {
    PRINTED.set(None);
}

pub(crate) fn print(bytes: &[u8]) -> Result<(), &'static str> {
    PRINTED.with_borrow_mut(|printed| match printed {
        Some(printed) => {
            printed.extend_from_slice(bytes);
            Ok(())
        }
        None => Err("closed"),
    })
}
