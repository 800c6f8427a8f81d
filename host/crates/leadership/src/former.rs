//! The sessions that this process has let go of. Each is ended, whatever was
//! said of it before: an answer that it is gone may come from a server that has
//! not caught up, and a session that lives on keeps the lock.

use super::question::Command;

/// So many are known; older ones are long over.
const MOST: usize = 8;

#[derive(Debug)]
struct Session {
    id: String,
    /// Consul is being told to end it.
    is_ending: bool,
}

/// None of these takes the lock again.
#[derive(Debug, Default)]
pub(super) struct Former(Vec<Session>);

impl Former {
    /// Lets go of one.
    pub(super) fn end(&mut self, id: String) -> Command {
        if self.0.len() >= MOST
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

    /// Consul has heard it.
    pub(super) fn ended(&mut self, id: &str) {
        if let Some(session) = self.find(id) {
            session.is_ending = false;
        }
    }

    /// A read shows that this session holds the lock. If it is one of these,
    /// Consul is told again.
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

    /// Whether Consul has yet to hear of one.
    pub(super) fn are_ending(&self) -> bool {
        self.0.iter().any(|session| session.is_ending)
    }

    fn find(&mut self, id: &str) -> Option<&mut Session> {
        self.0.iter_mut().find(|session| session.id == id)
    }
}
