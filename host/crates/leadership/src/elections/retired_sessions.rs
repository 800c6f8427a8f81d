//! The sessions that this process has given up. Each is ended, even if an
//! answer said that it is gone: that answer may come from a server that has not
//! caught up, and a session that lives on keeps the lock.

use crate::command::Command;

/// The number of sessions that are remembered; older ones are long over.
const MAX_SESSIONS: usize = 8;

#[derive(Debug)]
struct Session {
    id: String,
    /// Whether it is being ended.
    is_ending: bool,
}

/// None of these takes the lock again.
#[derive(Debug, Default)]
pub(super) struct RetiredSessions(Vec<Session>);

impl RetiredSessions {
    /// Retires a session, and returns the command that ends it.
    pub(super) fn retire(&mut self, id: String) -> Command {
        if self.0.len() >= MAX_SESSIONS
            && let Some(oldest) = self.0.iter().position(|session| !session.is_ending)
        {
            self.0.remove(oldest);
        }
        let session = id.clone();
        self.0.push(Session {
            id,
            is_ending: true,
        });
        Command::Destroy { session }
    }

    /// The coordinator has confirmed that this session has ended.
    pub(super) fn ended(&mut self, id: &str) {
        if let Some(session) = self.find(id) {
            session.is_ending = false;
        }
    }

    /// A read shows that this session holds the lock. If it is a retired one,
    /// it is ended again.
    pub(super) fn seen_holding(&mut self, id: &str) -> Option<Command> {
        let session = self.find(id).filter(|session| !session.is_ending)?;
        session.is_ending = true;
        Some(Command::Destroy {
            session: id.to_owned(),
        })
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|session| session.id == id)
    }

    /// Whether the end of one of them is not confirmed yet.
    pub(super) fn is_any_ending(&self) -> bool {
        self.0.iter().any(|session| session.is_ending)
    }

    fn find(&mut self, id: &str) -> Option<&mut Session> {
        self.0.iter_mut().find(|session| session.id == id)
    }
}
