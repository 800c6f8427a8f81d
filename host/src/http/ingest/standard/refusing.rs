//! Who may send a request of a standard protocol, and what others are told.

use super::exchange::Reply;
use super::flow::Flow;
use super::trouble::{Trouble, verdict};
use crate::http::ingest::client::{Sending, audit, audit_quota, sender};
use crate::http::problem::Problem;
use sluice_access::Refusal;
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::items::Items;

impl Flow<'_> {
    /// The client that sends the request.
    ///
    /// # Errors
    /// It may not send.
    pub(super) fn find_client(&self) -> Result<Sending, Trouble> {
        let access = self.ingest.access();
        let (protocol, credentials) = (self.exchange.protocol(), self.asked.credentials());
        let names = &self.asked.names;
        sender(access, self.stream, protocol, &credentials, names).map_err(|refusal| {
            audit(access, protocol, &refusal, self.asked.client);
            self.span.refused();
            match refusal {
                Refusal::NoToken => Trouble::NoToken,
                _ => Trouble::WrongToken,
            }
        })
    }

    /// Writes to the audit log that the client has sent more than its quota, if that is
    /// the trouble.
    pub(super) fn audit_quota(&self, trouble: &Trouble) {
        if let Trouble::Problem(Problem::Quota(_)) = trouble {
            let (access, protocol) = (self.ingest.access(), self.exchange.protocol());
            audit_quota(access, protocol, &self.client, self.asked.client);
        }
    }

    /// The answer of the protocol to what was not settled.
    pub(super) fn refuse(&self, trouble: &Trouble) -> Reply {
        let text;
        let verdict = match trouble {
            Trouble::NoToken => Verdict::NoToken,
            Trouble::WrongToken => Verdict::WrongToken,
            Trouble::NotLeader => Verdict::Busy("this node does not lead"),
            Trouble::Problem(problem) => {
                self.ingest.count(self.stream, problem);
                text = problem.text();
                verdict(problem, &text)
            }
        };
        let reply = self.exchange.answer(verdict, &Items::default());
        match trouble {
            Trouble::Problem(Problem::Quota(wait)) => reply.retried_after(*wait),
            _ => reply,
        }
    }
}
