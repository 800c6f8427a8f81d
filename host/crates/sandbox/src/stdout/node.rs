use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::buffer::Buffer;
use super::descriptor::Descriptor;
use super::instance::InstanceStdout;

/// The only way to write to the node's stdout.
#[derive(Clone, Debug)]
pub struct NodeStdout(Arc<Buffer>);

impl NodeStdout {
    /// Takes over a descriptor (fd 1 in a node) and starts the thread that
    /// writes to it. The thread ends once [`NodeStdout::close`] was called and
    /// everything is written.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let buffer = Arc::new(Buffer::new(Descriptor::new(descriptor)));
        let for_thread = Arc::clone(&buffer);
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || for_thread.run())?;
        Ok(Self(buffer))
    }

    /// Opens a stream for one instance.
    pub(crate) fn for_instance(&self) -> InstanceStdout {
        InstanceStdout::new(Arc::clone(&self.0))
    }

    /// Waits until everything is written, for at most `limit`. Returns whether
    /// it is.
    pub async fn drained(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.0.drained()).await.is_ok()
    }

    /// Lets the thread end once everything is written.
    pub fn close(&self) {
        self.0.close();
    }
}
