//! What the client reads.

use super::command::Command;
use super::framer::Batch;

/// Says that the connection is about to be closed. The client sends all that was
/// not answered again, over another one.
pub const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";

/// What is said of a message that is taken, or refused for good.
const OK: &str = "200 OK";
/// What is said of a session that begins. Version 0 is what librelp speaks.
const OPENED: &str = "200 OK\nrelp_version=0\nrelp_software=sluice\ncommands=syslog";

/// What is to become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It goes on.
    Open,
    /// The client has ended it.
    Closed,
    /// The client sent a command that has no answer.
    Unknown,
}

/// Answers all frames of a batch, once their messages are acknowledged or refused
/// for good. `body` is exactly the bytes of the batch. Unless the session goes on,
/// what follows is not answered, and the connection is to be closed.
pub fn write_answers(batch: Batch, body: &[u8], into: &mut Vec<u8>) -> Session {
    for frame in batch.frames(body) {
        let number = frame.transaction;
        match frame.command {
            // A hint is never answered.
            _ if number == 0 => {}
            Command::Open => write_opened(number, into),
            Command::Syslog => write_ok(number, into),
            Command::Close => {
                write_closed(number, into);
                return Session::Closed;
            }
            Command::Other => {
                into.extend_from_slice(SERVER_CLOSE);
                return Session::Unknown;
            }
        }
    }
    Session::Open
}

/// Answers `open`.
fn write_opened(transaction: u32, into: &mut Vec<u8>) {
    write(transaction, OPENED, into);
}

/// Answers `syslog`: the client forgets the message.
fn write_ok(transaction: u32, into: &mut Vec<u8>) {
    write(transaction, OK, into);
}

/// Answers `close`.
fn write_closed(transaction: u32, into: &mut Vec<u8>) {
    write(transaction, "", into);
    into.extend_from_slice(SERVER_CLOSE);
}

fn write(transaction: u32, data: &str, into: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    into.extend_from_slice(number.format(transaction).as_bytes());
    into.extend_from_slice(b" rsp ");
    into.extend_from_slice(number.format(data.len()).as_bytes());
    if !data.is_empty() {
        into.push(b' ');
        into.extend_from_slice(data.as_bytes());
    }
    into.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_a_frame() {
        let mut written = Vec::new();
        write_opened(1, &mut written);
        write_ok(2, &mut written);
        write_closed(999_999_999, &mut written);
        let expected = "1 rsp 58 200 OK\nrelp_version=0\nrelp_software=sluice\ncommands=syslog\n\
            2 rsp 6 200 OK\n999999999 rsp 0\n0 serverclose 0\n";
        assert_eq!(str::from_utf8(&written), Ok(expected));
    }
}
