//! A file descriptor that is written with or without waiting.

use std::io::{self, IoSlice, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;
use rustix::io::{Errno, ReadWriteFlags};

use super::chunk::Chunk;

/// How far a chunk got.
pub(super) struct Carried {
    /// How many of its bytes were written.
    pub(super) written: usize,
    /// The instance whose line is unfinished now.
    pub(super) unfinished: Option<u64>,
    pub(super) result: io::Result<()>,
}

#[derive(Debug)]
pub(super) struct Descriptor {
    fd: OwnedFd,
    is_file: bool,
    /// Whether `pwritev2` with `RWF_NOWAIT` works on it, as far as is known.
    knows_nowait: AtomicBool,
}

impl Descriptor {
    pub(super) fn new(fd: OwnedFd) -> Self {
        let mode = rustix::fs::fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let is_file = matches!(mode, Ok(FileType::RegularFile));
        // Pipes, sockets and /dev/null support it; for others the first write tells. Terminals are
        // excluded because people can stop their output at any time.
        let is_terminal = fd.is_terminal();
        Self {
            fd,
            is_file,
            knows_nowait: AtomicBool::new(!is_file && !is_terminal),
        }
    }

    /// Whether a write can avoid waiting: a file takes bytes into the page
    /// cache, and a pipe or socket says when it is full.
    pub(super) fn may_be_quick(&self) -> bool {
        self.is_file || self.knows_nowait.load(Ordering::Relaxed)
    }

    /// Writes a chunk, and ends another instance's unfinished line first. Where
    /// a write has to wait, it waits or, without `wait`, stops.
    pub(super) fn carry(&self, chunk: &Chunk, unfinished: Option<u64>, wait: bool) -> Carried {
        let mut carried = Carried {
            written: 0,
            unfinished,
            result: Ok(()),
        };
        let ends_line =
            unfinished.is_some_and(|instance| (instance == chunk.instance) == chunk.last);
        if ends_line {
            match self.write(b"\n", wait) {
                Ok(0) => return carried,
                Ok(_) => carried.unfinished = None,
                Err(error) => {
                    carried.result = Err(error);
                    return carried;
                }
            }
        }
        while let Some(rest) = chunk.bytes.get(carried.written..)
            && !rest.is_empty()
        {
            match self.write(rest, wait) {
                Ok(0) => break,
                Ok(count) => {
                    carried.written += count;
                    let last = rest.get(count.saturating_sub(1));
                    carried.unfinished = (last != Some(&b'\n')).then_some(chunk.instance);
                }
                Err(error) => {
                    carried.result = Err(error);
                    break;
                }
            }
        }
        carried
    }

    /// Writes once. Returns 0 if that has to wait and `wait` is false.
    fn write(&self, bytes: &[u8], wait: bool) -> io::Result<usize> {
        loop {
            let written = if wait || self.is_file {
                rustix::io::write(&self.fd, bytes)
            } else {
                let slices = [IoSlice::new(bytes)];
                // This offset means the descriptor's current position.
                rustix::io::pwritev2(&self.fd, &slices, u64::MAX, ReadWriteFlags::NOWAIT)
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => return Ok(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !wait => return Ok(0),
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE) if !wait => {
                    self.knows_nowait.store(false, Ordering::Relaxed);
                    return Ok(0);
                }
                // A process that shares the descriptor has made it non-blocking.
                Err(Errno::AGAIN) => {
                    let fd = self.fd.as_fd();
                    match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::net::UnixStream;

    fn chunk(len: usize) -> Chunk {
        Chunk {
            instance: 0,
            bytes: vec![b'x'; len].into(),
            last: false,
        }
    }

    fn null() -> OwnedFd {
        let null = File::options().write(true).open("/dev/null");
        null.unwrap().into()
    }

    #[test]
    fn pipes_and_sockets_take_what_fits_without_waiting() {
        let (_reader, pipe) = io::pipe().unwrap();
        let (_peer, socket) = UnixStream::pair().unwrap();
        for fd in [OwnedFd::from(pipe), socket.into()] {
            let descriptor = Descriptor::new(fd);
            let carried = descriptor.carry(&chunk(8 << 20), None, false);
            assert!(carried.result.is_ok());
            assert!((1..8 << 20).contains(&carried.written));
            assert_eq!(descriptor.carry(&chunk(1), None, false).written, 0);
            assert!(descriptor.may_be_quick(), "also after it was full");
        }
    }

    #[test]
    fn dev_null_takes_all_at_once() {
        let descriptor = Descriptor::new(null());
        assert_eq!(descriptor.carry(&chunk(9), None, false).written, 9);
        assert!(descriptor.may_be_quick());
    }
}
