//! The commands of clients.

/// The longest name of a command, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 32;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To begin a session. The data say what the client knows.
    Open,
    /// To take a message.
    Syslog,
    /// To end the session. The client sends nothing after it.
    Close,
    /// Anything else. No client sends it, because it is not offered; there is no
    /// answer but to close the connection. With transaction 0 it is only a hint.
    Other,
}

impl Command {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"open" => Self::Open,
            b"syslog" => Self::Syslog,
            b"close" => Self::Close,
            _ => Self::Other,
        }
    }
}
