//! A thread of its own for what a stream does while this node leads it.
//!
//! While a sink computes, its thread does nothing else for up to a tick of the sandbox
//! (10 ms), and a sink may compute all the time. The system then shares the processors
//! between the streams.

use std::io;
use std::pin::Pin;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// What ends the name of the thread, of which Linux keeps 15 bytes.
const SHOWN: usize = 8;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread of its own, which waits for work.
pub(super) struct OwnThread {
    work: oneshot::Sender<Work>,
}

impl OwnThread {
    /// Starts a thread for this stream.
    ///
    /// # Errors
    /// There is no other thread, or there are no file descriptors for its runtime.
    pub(super) fn start(stream: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (work_in, work) = oneshot::channel::<Work>();
        let shown: String = stream.chars().take(SHOWN).collect();
        thread::Builder::new()
            .name(format!("stream {shown}"))
            .spawn(move || {
                if let Ok(work) = runtime.block_on(work) {
                    runtime.block_on(work);
                }
            })?;
        Ok(Self { work: work_in })
    }

    /// Runs a future there, and waits for it. It goes on if this future is dropped.
    ///
    /// # Errors
    /// The future has panicked.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let (ended_in, ended) = oneshot::channel();
        let work = async move {
            // Nobody may wait any more.
            drop(ended_in.send(work.await));
        };
        // The thread waits for it.
        drop(self.work.send(Box::pin(work)));
        ended
            .await
            .map_err(|_| io::Error::other("the thread of the stream has panicked"))
    }
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
        let thread = OwnThread::start("audit").unwrap();
        assert_eq!(thread.run(work).await.unwrap(), 7);
        assert_ne!(there.await.unwrap(), here);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let thread = OwnThread::start("audit").unwrap();
        let ended = thread.run(async { panic!("as the test wants") }).await;
        assert!(ended.unwrap_err().to_string().contains("panicked"));
    }
}
