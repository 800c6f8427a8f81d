//! A client of syslog over TCP, which is told nothing: it sends as fast as the
//! connection takes it.

use std::io::{self, Write};
use std::net::TcpStream;

use crate::node::SYSLOG;
use crate::progress::{PATIENCE, Progress};

pub(crate) struct Syslog {
    /// Whole messages.
    block: Vec<u8>,
}

impl Syslog {
    pub(crate) const fn new(block: Vec<u8>) -> Self {
        Self { block }
    }

    pub(crate) fn run(&self, progress: &Progress) -> io::Result<()> {
        let mut stream = TcpStream::connect(SYSLOG)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        while !progress.is_over() {
            stream.write_all(&self.block)?;
            progress.sent();
        }
        Ok(())
    }
}
