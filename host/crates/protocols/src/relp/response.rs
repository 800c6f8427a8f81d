//! What the client reads.

/// Says that the connection is about to be closed. The client sends all that was
/// not answered again, over another one.
pub const SERVER_CLOSE: &[u8] = b"0 serverclose 0\n";

/// What is said of a message that is taken, or refused for good.
const OK: &str = "200 OK";
/// What is said of a session that begins. Version 0 is what librelp speaks.
const OPENED: &str = "200 OK\nrelp_version=0\nrelp_software=sluice\ncommands=syslog";

/// Answers `open`.
pub fn write_opened(transaction: u32, into: &mut Vec<u8>) {
    write(transaction, OPENED, into);
}

/// Answers `syslog`: the client forgets the message.
pub fn write_ok(transaction: u32, into: &mut Vec<u8>) {
    write(transaction, OK, into);
}

/// Answers `close`. The connection is to be closed then.
pub fn write_closed(transaction: u32, into: &mut Vec<u8>) {
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
