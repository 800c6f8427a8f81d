//! A receiver of traces that only counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::common::Fallible;

/// It runs until the benchmark ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Receiver {
    pub(crate) fn start() -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        thread::spawn({
            let bytes = Arc::clone(&bytes);
            move || {
                for connection in listener.incoming().flatten() {
                    let bytes = Arc::clone(&bytes);
                    thread::spawn(move || {
                        if let Err(error) = serve(connection, &bytes) {
                            eprintln!("the receiver of traces: {error}");
                        }
                    });
                }
            }
        });
        Ok(Self { address, bytes })
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How much has been received so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Answers requests with a `content-length` until the client closes.
fn serve(connection: TcpStream, bytes: &AtomicU64) -> Fallible<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        bytes.fetch_add(u64::try_from(length)?, Ordering::Relaxed);
        writer.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
        )?;
    }
}
