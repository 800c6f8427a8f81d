//! The session of each protocol.

use super::forward::ForwardSession;
use super::gelf::GelfSession;
use super::protocol::Protocol;
use super::relp::RelpSession;
use super::session::{Session, SessionLimits};
use super::syslog::SyslogSession;
use sluice_protocols::memory_budget::Reservation;

/// A new connection of a protocol. `kept` is for records that it keeps.
pub(super) fn session(
    protocol: Protocol,
    limits: SessionLimits,
    kept: Reservation,
) -> Box<dyn Session> {
    match protocol {
        Protocol::Syslog => Box::new(SyslogSession::new(limits)),
        Protocol::Relp => Box::new(RelpSession::new(limits)),
        Protocol::Forward => Box::new(ForwardSession::new(limits, kept)),
        Protocol::Gelf => Box::new(GelfSession::new(limits)),
    }
}
