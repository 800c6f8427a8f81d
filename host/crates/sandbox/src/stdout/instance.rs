use std::io;
use std::sync::Arc;

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::OutputStream;

use super::buffer::{Account, Buffer};
use super::stream::Stream;

/// The stdout of one instance.
#[derive(Clone, Debug)]
pub(crate) struct InstanceStdout(Arc<Account>);

impl InstanceStdout {
    pub(super) fn new(buffer: Arc<Buffer>) -> Self {
        Self(Arc::new(Account::open(buffer)))
    }

    /// Forgets the error of an earlier call.
    pub(crate) fn begin(&self) {
        self.0.forget_error();
    }

    /// Waits until everything that the instance wrote has reached the
    /// descriptor.
    pub(crate) async fn flushed(&self) -> io::Result<()> {
        self.0.flushed().await
    }
}

impl IsTerminal for InstanceStdout {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for InstanceStdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 uses this form, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Stream::new(Arc::clone(&self.0)))
    }
}
