use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::buffer::{Account, Permit};

/// A guest's handle on its stdout.
pub(super) struct Stream {
    account: Arc<Account>,
    /// The guest asked for a flush. It gets no permit until the flush is done.
    flushing: bool,
}

impl Stream {
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self {
            account,
            flushing: false,
        }
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.account.write(bytes) {
            return Err(StreamError::trap(
                "wrote more to stdout than it was permitted",
            ));
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.flushing = true;
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.account.permit(self.flushing) {
            Permit::Closed => Err(StreamError::Closed),
            Permit::Failed(kind) => {
                self.flushing = false;
                let error = io::Error::from(kind);
                Err(StreamError::LastOperationFailed(error.into()))
            }
            Permit::Flushing => Ok(0),
            Permit::Bytes(free) => {
                self.flushing = false;
                self.account.grant(free);
                Ok(free)
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {
        self.account.ready(self.flushing).await;
    }
}
