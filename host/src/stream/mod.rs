//! A stream: who takes its requests, which sink runs, and what becomes of the
//! journal when another node leads.

mod journal_receiver;
mod journal_sender;
mod route;
mod swap;
mod tenure;

pub use journal_receiver::{JournalReceiver, ReceiveError};
pub use journal_sender::JournalSender;
pub use route::Route;
pub use tenure::StreamTask;
