//! Records as they pass, for those that watch: as server-sent events, filtered,
//! sampled, and from the leader whichever node is asked.
//!
//! A [`Session`] is what one client watches. Its [`View`](view::View) reads what
//! passes on this node; while another node leads, an `Upstream` subscribes there.

mod event;
mod filter;
mod places;
mod rate;
mod session;
mod skipped;
mod sse;
mod upstream;
mod view;

pub(crate) use event::{
    END, Fate, LEADER, LeaderEvent, RECORD, RecordEvent, SKIPPED, SkippedEvent,
};
pub(crate) use places::{Full, Places};
pub(crate) use session::{Session, SessionParts};
pub(crate) use sse::{Splitter, events};
