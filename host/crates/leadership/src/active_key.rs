//! The key of the active sink, `<c>/active`, in which the leader publishes the
//! sink that it runs.

use std::time::Duration;

use tokio::sync::watch;

use super::coordination::Coordination;
use super::stream_name::StreamName;
use super::tenure::Tenure;
use sluice_types::documents::ActiveDocument;

/// The pause after a write without an answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the key equal to `active` while this node holds the lock. The previous
/// leader's value stays until there is something to write.
pub(super) async fn keep(
    coordination: Coordination,
    stream: StreamName,
    mut tenure: watch::Receiver<Option<Tenure>>,
    mut active: watch::Receiver<Option<ActiveDocument>>,
) {
    // The tenure and the document of the last write.
    let mut written = None;
    loop {
        let holding = tenure.borrow_and_update().clone();
        let document = active.borrow_and_update().clone();
        let wanted = holding.zip(document);
        let mut is_settled = true;
        if let Some((tenure, document)) = &wanted
            && written != wanted
        {
            is_settled = write(&coordination, &stream, tenure, document).await;
            if is_settled {
                written = wanted;
            }
        }
        tokio::select! {
            changed = tenure.changed() => if changed.is_err() { return },
            changed = active.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY_INTERVAL), if !is_settled => {}
        }
    }
}

async fn write(
    coordination: &Coordination,
    stream: &str,
    tenure: &Tenure,
    document: &ActiveDocument,
) -> bool {
    let document = ActiveDocument {
        epoch: tenure.epoch,
        ..document.clone()
    };
    // Strings and numbers always have a JSON form.
    let value = serde_json::to_vec(&document).unwrap_or_default();
    coordination
        .write_active(stream, &tenure.session, &value)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::local_coordinator::LocalCoordinator;
    use crate::session_kind::SessionKind;
    use sluice_types::plugin::{Identity, PluginPhase};
    use sluice_types::stream::DEFAULT_STREAM;

    struct Fixture {
        store: Arc<LocalCoordinator>,
        tenure: watch::Sender<Option<Tenure>>,
        active: watch::Sender<Option<ActiveDocument>>,
    }

    fn start() -> Fixture {
        let store = Arc::new(LocalCoordinator::new());
        let (tenure, tenure_out) = watch::channel(None);
        let (active, active_out) = watch::channel(None);
        let coordination = Coordination::Local(Arc::clone(&store));
        tokio::spawn(keep(
            coordination,
            DEFAULT_STREAM.into(),
            tenure_out,
            active_out,
        ));
        Fixture {
            store,
            tenure,
            active,
        }
    }

    impl Fixture {
        /// Starts a tenure with this epoch, and returns its session.
        fn lead(&self, epoch: u64) -> String {
            let session = self.store.open_session(SessionKind::Lock).unwrap();
            self.store.lock(&session);
            let tenure = Tenure {
                epoch,
                session: session.clone(),
            };
            self.tenure.send_replace(Some(tenure));
            session
        }

        fn say(&self, why: &str) {
            self.active.send_replace(Some(document(why)));
        }

        /// Reads from the key why the sink runs, and under which epoch.
        fn written(&self) -> Option<(String, u64)> {
            let document = self.store.active_document();
            document.map(|document| (document.why, document.epoch))
        }
    }

    fn document(why: &str) -> ActiveDocument {
        ActiveDocument {
            plugin: Identity {
                source: "builtin:stdout".to_owned(),
                sha256: "ab".to_owned(),
            },
            state: PluginPhase::Running,
            since: "then".to_owned(),
            why: why.to_owned(),
            node: "a".to_owned(),
            index: 0,
            manifest: "{}".to_owned(),
            epoch: 0,
            probation: None,
            failed: None,
            unproven: false,
            waits_for: Vec::new(),
        }
    }

    /// Runs everything that can run without time passing.
    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn expected(why: &str, epoch: u64) -> Option<(String, u64)> {
        Some((why.to_owned(), epoch))
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_follows_what_the_leader_says_under_its_epoch() {
        let it = start();
        it.say("one");
        settle().await;
        assert_eq!(it.written(), None, "this node does not lead");
        it.lead(3);
        settle().await;
        assert_eq!(it.written(), expected("one", 3));
        it.say("two");
        settle().await;
        assert_eq!(it.written(), expected("two", 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_tenure_says_the_same_under_its_own_epoch() {
        let it = start();
        it.say("one");
        let session = it.lead(3);
        settle().await;
        it.store.end_by_hand(&session);
        it.tenure.send_replace(None);
        settle().await;
        it.lead(4);
        settle().await;
        assert_eq!(it.written(), expected("one", 4));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_lost_the_lock_writes_nothing_and_asks_no_more() {
        let it = start();
        it.say("one");
        let session = it.lead(3);
        settle().await;
        it.store.end_by_hand(&session);
        it.say("two");
        settle().await;
        let calls = it.store.calls();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(it.written(), expected("one", 3));
        assert_eq!(it.store.calls(), calls);
    }

    #[tokio::test(start_paused = true)]
    async fn what_had_no_answer_is_written_again_after_a_pause() {
        let it = start();
        it.lead(3);
        it.store.set_answering(false);
        it.say("one");
        settle().await;
        let calls = it.store.calls();
        it.store.set_answering(true);
        tokio::time::sleep(RETRY_INTERVAL / 2).await;
        assert_eq!(it.written(), None);
        assert_eq!(it.store.calls(), calls);
        tokio::time::sleep(RETRY_INTERVAL).await;
        assert_eq!(it.written(), expected("one", 3));
    }
}
