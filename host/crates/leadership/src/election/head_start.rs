//! The head start of a named successor.

use std::time::Duration;

use crate::lock::Successor;
use sluice_types::clock::BootTime;

/// How long a free lock is left to the node that the last leader named.
const HEAD_START: Duration = Duration::from_secs(3);

/// The last successor that was seen, other than this node, and until when the
/// lock is left to it.
#[derive(Debug, Default)]
pub(super) struct HeadStart(Option<(Successor, BootTime)>);

impl HeadStart {
    /// Until when the lock is left to this successor, if that time is not over. It
    /// starts when the successor is first seen.
    pub(super) fn until(&mut self, now: BootTime, successor: Successor) -> Option<BootTime> {
        let until = match &self.0 {
            Some((known, until)) if *known == successor => *until,
            _ => now + HEAD_START,
        };
        self.0 = Some((successor, until));
        (now < until).then_some(until)
    }
}
