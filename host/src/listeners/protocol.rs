//! What a listener speaks.

use super::address::Transport;

/// A protocol that is not HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Syslog,
    Relp,
    Forward,
    Gelf,
}

impl Protocol {
    /// The name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Relp => "relp",
            Self::Forward => "forward",
            Self::Gelf => "gelf",
        }
    }

    /// The flag that opens a listener.
    pub(crate) const fn flag(self) -> &'static str {
        match self {
            Self::Syslog => "--syslog-listen",
            Self::Relp => "--relp-listen",
            Self::Forward => "--forward-listen",
            Self::Gelf => "--gelf-listen",
        }
    }

    /// Whether it is spoken over this transport. Over UDP, Forward has only
    /// heartbeats, which are sent back.
    pub(crate) const fn has(self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp | Transport::Tls => true,
            Transport::Udp => !matches!(self, Self::Relp),
        }
    }
}
