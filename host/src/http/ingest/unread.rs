//! Bodies that cannot be divided into records.

use std::sync::{Arc, OnceLock};

use crate::http::problem::Problem;
use crate::rejects::{Rejects, Sender};
use sluice_protocols::rejected::head;

/// How a body begins that a decoder could not read, once it has tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<OnceLock<Vec<u8>>>);

impl Unread {
    /// Remembers how the unpacked body begins.
    pub(super) fn remember(&self, body: &[u8]) {
        self.0.get_or_init(|| head(body).to_vec());
    }

    /// Keeps it for operators, if the problem is the decoder's. `packed` is the body
    /// as it came, which stands for one that could not be unpacked.
    pub(super) fn keep(&self, problem: &Problem, sender: Sender, packed: &[u8], kept: &Rejects) {
        if problem.is_of_body() {
            let source = self.0.get().map_or(packed, Vec::as_slice);
            kept.keep_unreadable(sender, &problem.text(), source);
        }
    }
}
