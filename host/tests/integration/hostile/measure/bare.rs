//! A server that only answers: a wait for it is a wait for the machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// It ends when it is dropped.
#[derive(Debug)]
pub(super) struct BareServer {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl BareServer {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                for stream in listener.incoming().flatten() {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    answer(stream);
                }
            }
        });
        Self {
            address,
            is_over,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// The heads of the probes arrive as a whole. A client that has gone is left
/// alone.
fn answer(mut stream: TcpStream) {
    if stream.read(&mut [0; 1024]).is_ok() {
        drop(stream.write_all(ANSWER));
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            drop(thread.join());
        }
    }
}
