//! A thread of its own for what a stream does while this node leads it.
//!
//! While a sink computes, its thread does nothing else for up to a tick of the sandbox
//! (10 ms), and a sink may compute all the time. The system then shares the processors
//! between the streams.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// What ends the name of the thread, of which Linux keeps 15 bytes.
const SHOWN: usize = 8;

/// Runs a future on a thread of its own, and waits for it. It goes on if this future is
/// dropped.
///
/// # Errors
/// There is no other thread, or the future has panicked.
pub(super) async fn run<T: Send + 'static>(
    stream: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended_in, ended) = oneshot::channel();
    let shown: String = stream.chars().take(SHOWN).collect();
    thread::Builder::new()
        .name(format!("stream {shown}"))
        .spawn(move || {
            let result = runtime.block_on(work);
            // Nobody may wait any more.
            drop(ended_in.send(result));
        })?;
    ended
        .await
        .map_err(|_| io::Error::other("the thread of the stream has panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_runs_elsewhere_to_its_end() {
        let here = thread::current().id();
        let (there_in, there) = oneshot::channel();
        let work = async move {
            tokio::task::yield_now().await;
            there_in.send(thread::current().id()).unwrap();
            7
        };
        assert_eq!(run("audit", work).await.unwrap(), 7);
        assert_ne!(there.await.unwrap(), here);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let ended = run("audit", async { panic!("as the test wants") }).await;
        assert!(ended.unwrap_err().to_string().contains("panicked"));
    }
}
