//! The node's own stdout.

use crate::Failure;

/// Writes all bytes to the node's stdout. Sinks need not flush: the host
/// acknowledges a record only after what was written has left the node.
///
/// Faster than [`std::io::stdout`], which looks for line feeds and flushes at each.
///
/// # Errors
/// The node's stdout is closed or full; worth another attempt.
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    write_all(bytes).map_err(|reason| Failure::retryable(format!("stdout: {reason}")))
}

/// Writes as much as the stream permits at a time, and waits for more permits.
#[cfg(target_family = "wasm")]
fn write_all(mut bytes: &[u8]) -> Result<(), wasip2::io::streams::StreamError> {
    thread_local! {
        static STDOUT: wasip2::io::streams::OutputStream = wasip2::cli::stdout::get_stdout();
    }
    STDOUT.with(|stream| {
        while !bytes.is_empty() {
            let permit = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
            if permit == 0 {
                stream.subscribe().block();
                continue;
            }
            let (now, later) = bytes.split_at(permit.min(bytes.len()));
            stream.write(now)?;
            bytes = later;
        }
        Ok(())
    })
}

#[cfg(not(target_family = "wasm"))]
fn write_all(bytes: &[u8]) -> Result<(), &'static str> {
    crate::testing::print(bytes)
}
