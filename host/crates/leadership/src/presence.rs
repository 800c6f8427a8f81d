//! This node's presence in the cluster: its registration and its own key.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::coordination::Coordination;
use super::node_disk::NodeDisk;
use super::publication::Publication;
use super::reported::Reported;
use super::role::Role;
use super::session_kind::SessionKind;
use super::sessions::Sessions;
use sluice_types::documents::NodeDocument;

/// How often the registration and the key are checked, and the session renewed.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Keeps this node registered and its key current.
pub(super) struct Presence {
    coordination: Coordination,
    sessions: Sessions,
    disk: NodeDisk,
    /// Where clients reach this node.
    address: String,
    reported: Reported,
    role: watch::Receiver<Role>,
    session: Option<String>,
    /// The session before it, which may still hold the key.
    previous: Option<String>,
    /// Ends sessions in the background.
    ending: JoinSet<()>,
    /// What was written under the session.
    written: Option<String>,
    renewed: Instant,
}

impl Presence {
    pub(super) fn new(
        coordination: Coordination,
        sessions: Sessions,
        disk: NodeDisk,
        address: String,
        reported: Reported,
        role: watch::Receiver<Role>,
    ) -> Self {
        Self {
            coordination,
            sessions,
            disk,
            address,
            reported,
            role,
            session: None,
            previous: None,
            ending: JoinSet::new(),
            written: None,
            renewed: Instant::now(),
        }
    }

    /// Runs until it is told to leave.
    pub(super) async fn run(mut self, mut leave: watch::Receiver<bool>) -> Self {
        loop {
            // Not cancelled when it is time to leave: a registration that is on
            // its way to Consul must not arrive after this node has left.
            self.coordination.keep_registered().await;
            self.keep_key().await;
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                changed = self.role.changed() => if changed.is_err() { return self },
                changed = self.reported.changed() => if changed.is_err() { return self },
                // A sender that is gone means the same.
                _ = leave.wait_for(|leave| *leave) => return self,
            }
        }
    }

    /// Removes the key and the registration.
    pub(super) async fn leave(mut self) {
        if let Some(session) = self.session.take()
            && self.coordination.end_session(&session).await
        {
            self.sessions.forget(session).await;
        }
        self.coordination.deregister().await;
    }

    async fn keep_key(&mut self) {
        let Some(session) = self.live_session().await else {
            return;
        };
        let document = self.document();
        if self.written.as_ref() == Some(&document) {
            return;
        }
        self.written = None;
        match self.coordination.publish(&session, &document).await {
            Publication::Written => self.written = Some(document),
            Publication::HeldByAnother => {
                if let Some(previous) = self.previous.clone() {
                    self.end(previous);
                }
            }
            Publication::NoSuchSession => {
                self.session = None;
                self.end(session);
            }
            Publication::Unknown => {}
        }
    }

    /// What the key should hold.
    fn document(&self) -> String {
        let document = NodeDocument {
            address: self.address.clone(),
            epoch: self.disk.highest_epoch(),
            ..self.reported.document()
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// The session, opened or renewed if it is time; `None` if there is none,
    /// or no answer.
    async fn live_session(&mut self) -> Option<String> {
        let Some(session) = self.session.clone() else {
            return self.open_session().await;
        };
        if self.renewed.elapsed() < CHECK_INTERVAL {
            return Some(session);
        }
        let presence = SessionKind::Presence;
        if self.coordination.keep_alive(&session, presence).await? {
            self.renewed = Instant::now();
            return Some(session);
        }
        // The answer may be out of date: then the session is alive, with the key.
        self.session = None;
        self.end(session.clone());
        self.previous = Some(session);
        None
    }

    async fn open_session(&mut self) -> Option<String> {
        self.written = None;
        let session = self.sessions.open(SessionKind::Presence).await?;
        self.session = Some(session.clone());
        self.renewed = Instant::now();
        Some(session)
    }

    /// Ends a session in the background, however long that takes.
    fn end(&mut self, session: String) {
        while self.ending.try_join_next().is_some() {}
        let sessions = self.sessions.clone();
        self.ending
            .spawn(async move { sessions.end(session).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use tokio::task::JoinHandle;

    use crate::clock::Clock;
    use crate::epoch_file::EpochFile;
    use crate::local_coordinator::{LocalCoordinator, SESSION_TTL};

    struct Fixture {
        store: Arc<LocalCoordinator>,
        disk: NodeDisk,
        state: watch::Sender<NodeDocument>,
        leave: watch::Sender<bool>,
        presence: JoinHandle<Presence>,
        _role: watch::Sender<Role>,
        data_dir: tempfile::TempDir,
    }

    fn document(error: Option<&str>) -> NodeDocument {
        NodeDocument {
            eligible: error.is_none(),
            error: error.map(str::to_owned),
            ..NodeDocument::new("a")
        }
    }

    /// A presence that has registered its node and written its key.
    async fn start() -> Fixture {
        let store = Arc::new(LocalCoordinator::new());
        let data_dir = tempfile::tempdir().unwrap();
        let epoch_file = EpochFile::open(data_dir.path()).unwrap();
        epoch_file.raise(7).unwrap();
        let disk = NodeDisk::open(data_dir.path(), epoch_file);
        let coordination = Coordination::Local(Arc::clone(&store));
        let sessions = Sessions::new(coordination.clone(), disk.clone(), Clock::Machine);
        let (state, state_out) = watch::channel(document(None));
        let (role, role_out) = watch::channel(Role::Follower { leader: None });
        let (leave, leaving) = watch::channel(false);
        let address = "10.0.0.1:3000".to_owned();
        let presence = Presence::new(
            coordination,
            sessions,
            disk.clone(),
            address,
            Reported::only(state_out),
            role_out,
        );
        let presence = tokio::spawn(presence.run(leaving));
        settle().await;
        Fixture {
            store,
            disk,
            state,
            leave,
            presence,
            _role: role,
            data_dir,
        }
    }

    impl Fixture {
        /// What the node says is wrong from now on.
        fn set_error(&self, error: &str) {
            self.state.send_replace(document(Some(error)));
        }

        /// What the key says is wrong; `None` if there is no key.
        fn error(&self) -> Option<Option<String>> {
            self.store.node_document().map(|document| document.error)
        }

        fn session(&self) -> String {
            let [session] = self.store.sessions().try_into().unwrap();
            session
        }
    }

    /// Runs everything that can run without time passing. Paused time does not
    /// advance while a file is written.
    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_says_what_the_node_says_with_its_address_and_epoch() {
        let it = start().await;
        assert!(it.store.is_registered());
        let expected = NodeDocument {
            address: "10.0.0.1:3000".to_owned(),
            epoch: 7,
            ..document(None)
        };
        assert_eq!(it.store.node_document(), Some(expected));
        it.set_error("no file");
        settle().await;
        assert_eq!(it.error(), Some(Some("no file".to_owned())));
        it.disk.remember_epoch(9).await;
        tokio::time::sleep(CHECK_INTERVAL).await;
        assert_eq!(it.store.node_document().unwrap().epoch, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_changes_all_the_time_keeps_its_session() {
        let it = start().await;
        let session = it.session();
        for round in 0..60 {
            it.set_error(&round.to_string());
            tokio::time::sleep(SESSION_TTL / 20).await;
            assert_eq!(it.error(), Some(Some(round.to_string())));
        }
        assert_eq!(it.session(), session);
    }

    #[tokio::test(start_paused = true)]
    async fn a_registration_or_a_session_that_is_gone_comes_back() {
        let it = start().await;
        let session = it.session();
        it.store.end_by_hand(&session);
        it.store.forget_registration();
        assert_eq!(it.error(), None, "the key ends with its session");
        tokio::time::sleep(CHECK_INTERVAL * 2 + Duration::from_millis(10)).await;
        assert!(it.store.is_registered());
        assert_eq!(it.error(), Some(None));
        assert_ne!(it.session(), session);
    }

    #[tokio::test(start_paused = true)]
    async fn while_there_is_no_answer_the_session_is_not_given_up() {
        let it = start().await;
        let session = it.session();
        it.store.set_answering(false);
        it.set_error("no file");
        tokio::time::sleep(SESSION_TTL / 2).await;
        it.store.set_answering(true);
        tokio::time::sleep(CHECK_INTERVAL).await;
        assert_eq!(it.error(), Some(Some("no file".to_owned())));
        assert_eq!(it.session(), session);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_lives_on_unknown_does_not_keep_the_key_from_the_next() {
        let it = start().await;
        let session = it.session();
        it.store.deny_sessions(true);
        tokio::time::sleep(CHECK_INTERVAL).await;
        it.store.deny_sessions(false);
        it.set_error("no file");
        tokio::time::sleep(CHECK_INTERVAL * 2).await;
        assert_eq!(it.error(), Some(Some("no file".to_owned())));
        assert_ne!(it.session(), session);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_leaves_leaves_nothing() {
        let mut it = start().await;
        it.leave.send_replace(true);
        (&mut it.presence).await.unwrap().leave().await;
        assert_eq!(it.store.sessions(), Vec::<String>::new());
        assert_eq!(it.error(), None);
        assert!(!it.store.is_registered());
        let file = std::fs::read_to_string(it.data_dir.path().join("sessions"));
        assert_eq!(file.unwrap(), "");
    }
}
