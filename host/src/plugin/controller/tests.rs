//! The plugin controller with fakes on all sides, under paused time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::plugin::digest::sha256;
use crate::plugin::store::Kept;
use crate::plugin::testing::{FakePreparer, Preparation, candidate};
use sluice_types::plugin::PluginPhase;

const FLAG: &str = "builtin:stdout";
const A: &str = "file:///a.wasm";
const B: &str = "file:///b.wasm";
/// Virtual time after which nothing more is expected to happen.
const NEVER: Duration = Duration::from_secs(3600);

type Started = Result<(PluginController, ControllerView), PluginError>;

/// A controller that is about to start.
struct Starting {
    key: watch::Sender<Seen>,
    active: watch::Sender<Seen>,
    reports: mpsc::UnboundedSender<Report>,
    preparer: Arc<FakePreparer>,
    preparations: mpsc::UnboundedReceiver<Preparation>,
    started: JoinHandle<Started>,
}

/// A controller that runs.
struct Bench {
    key: watch::Sender<Seen>,
    active: watch::Sender<Seen>,
    reports: mpsc::UnboundedSender<Report>,
    preparer: Arc<FakePreparer>,
    preparations: mpsc::UnboundedReceiver<Preparation>,
    view: ControllerView,
    nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
    running: JoinHandle<()>,
}

impl Starting {
    fn new(seen: Seen, kept: Option<Kept>) -> Self {
        Self::with(LastResort::Flag, seen, kept)
    }

    fn with(last_resort: LastResort, seen: Seen, kept: Option<Kept>) -> Self {
        let (preparer, preparations) = FakePreparer::new(kept);
        let (key, key_seen) = watch::channel(seen);
        let (active, active_seen) = watch::channel(Seen::Unknown);
        let (reports, reported) = mpsc::unbounded_channel();
        let config = ControllerConfig {
            keys: WatchedKeys::told("c/plugin".to_owned(), key_seen, active_seen),
            node: "a".to_owned(),
            flag: FLAG.parse().unwrap(),
            last_resort,
            preparer: preparer.clone(),
        };
        let started = tokio::spawn(PluginController::start(config, reported));
        Self {
            key,
            active,
            reports,
            preparer,
            preparations,
            started,
        }
    }

    async fn preparation(&mut self) -> Preparation {
        next(&mut self.preparations).await
    }

    async fn run(self) -> Bench {
        let started = timeout(NEVER, self.started).await;
        let (controller, view) = started.expect("it does not start").unwrap().unwrap();
        let (nodes_in, nodes) = watch::channel(None);
        Bench {
            key: self.key,
            active: self.active,
            reports: self.reports,
            preparer: self.preparer,
            preparations: self.preparations,
            view,
            running: tokio::spawn(controller.run(nodes)),
            nodes: nodes_in,
        }
    }
}

impl Bench {
    /// A controller of a node that starts with the flag's sink.
    async fn with_flag() -> Self {
        let mut starting = Starting::new(Seen::Absent, None);
        starting.preparation().await.succeed();
        starting.run().await
    }

    fn put(&self, index: u64, value: &str) {
        self.key.send_replace(present(index, value));
    }

    /// What the leader writes while it runs this candidate.
    fn leader_runs(&self, index: u64, candidate: &Candidate) {
        self.leader_writes(index, candidate, PluginPhase::Running);
    }

    fn leader_writes(&self, index: u64, candidate: &Candidate, state: PluginPhase) {
        let document = json!({
            "source": candidate.identity().source,
            "sha256": candidate.identity().sha256,
            "state": state,
            "since": "then",
            "why": "",
            "node": "leader",
            "index": 0,
            "manifest": candidate.manifest.to_string(),
        });
        let value = document.to_string();
        self.active.send_replace(present(index, &value));
    }

    async fn preparation(&mut self) -> Preparation {
        next(&mut self.preparations).await
    }

    async fn assert_no_preparation(&mut self) {
        idle().await;
        let preparation = self.preparations.try_recv();
        assert!(preparation.is_err(), "{preparation:?}");
    }

    fn report(&self, report: Report) {
        self.reports.send(report).unwrap();
    }

    fn wanted(&self) -> Arc<Candidate> {
        Arc::clone(&self.view.choice.borrow().wanted)
    }

    fn good(&self) -> Option<Arc<Candidate>> {
        self.view.choice.borrow().good.clone()
    }

    fn error(&self) -> Option<String> {
        self.view.status.borrow().error.clone()
    }

    /// The index of the key that the node has seen, and of its sink.
    fn indexes(&self) -> (u64, u64) {
        let document = self.view.node_state.borrow();
        let sink = document.sink.as_ref().unwrap();
        (sink.index, sink.plugin_index)
    }

    fn is_eligible(&self) -> bool {
        self.view.node_state.borrow().eligible
    }
}

async fn next(preparations: &mut mpsc::UnboundedReceiver<Preparation>) -> Preparation {
    let next = timeout(NEVER, preparations.recv()).await;
    next.expect("nothing is prepared").unwrap()
}

async fn given_up(preparation: Preparation) {
    let given_up = timeout(NEVER, preparation.given_up()).await;
    given_up.expect("the preparation goes on");
}

/// Waits until all tasks wait: paused time advances only then.
async fn idle() {
    sleep(Duration::from_millis(1)).await;
}

fn present(index: u64, value: &str) -> Seen {
    Seen::Present {
        index,
        value: value.into(),
    }
}

fn manifest(text: &str) -> Manifest {
    text.parse().unwrap()
}

/// A file with a component, and the folder that it is in.
fn component_file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.wasm");
    std::fs::write(&file, "1").unwrap();
    (folder, file)
}

fn source_of(file: &Path) -> String {
    format!("file://{}", file.display())
}

#[tokio::test(start_paused = true)]
async fn the_key_decides_at_start() {
    let mut starting = Starting::new(present(7, A), None);
    starting.preparation().await.of(A).succeed();
    let mut bench = starting.run().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 7), true));
    bench.assert_no_preparation().await;
}

#[tokio::test(start_paused = true)]
async fn an_absent_or_empty_key_asks_for_the_flags_sink() {
    for seen in [Seen::Absent, present(3, " \n")] {
        let mut starting = Starting::new(seen.clone(), None);
        starting.preparation().await.of(FLAG).succeed();
        let mut bench = starting.run().await;
        assert_eq!(bench.indexes(), (0, 0));
        bench.put(8, A);
        bench.preparation().await.succeed();
        idle().await;
        assert_eq!(bench.wanted().manifest, manifest(A));
        bench.key.send_replace(seen);
        bench.preparation().await.of(FLAG).succeed();
        idle().await;
        assert_eq!(bench.wanted().manifest, manifest(FLAG));
        assert_eq!((bench.indexes(), bench.error()), ((0, 0), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_consul_leaves_the_last_good_sink() {
    let began = Instant::now();
    let mut starting = Starting::new(Seen::Unknown, Some(candidate(A).kept()));
    let revival = starting.preparation().await;
    assert!(revival.is_revival);
    revival.succeed();
    let preparation = starting.preparation().await;
    assert!(!preparation.is_revival);
    assert_eq!(preparation.manifest, manifest(A));
    assert_eq!(began.elapsed().as_secs(), 2);
    preparation.fail("the file is gone");
    let mut bench = starting.run().await;
    let wanted = bench.wanted();
    assert_eq!(wanted.manifest, manifest(A));
    assert!(bench.error().unwrap().contains("the file is gone"));
    // What Consul answers later takes precedence.
    bench.put(4, B);
    bench.preparation().await.of(B).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(B));
    assert!(Arc::ptr_eq(&bench.good().unwrap(), &wanted));
    assert_eq!(bench.error(), None);
}

#[tokio::test(start_paused = true)]
async fn a_last_good_sink_that_is_still_at_its_source_is_one_candidate() {
    let mut starting = Starting::new(Seen::Unknown, Some(candidate(A).kept()));
    starting.preparation().await.succeed();
    starting.preparation().await.succeed();
    let bench = starting.run().await;
    assert!(Arc::ptr_eq(&bench.wanted(), &bench.good().unwrap()));
    bench.report(Report::Running(bench.wanted()));
    idle().await;
    let active = bench.view.active.borrow().clone().unwrap();
    assert!(active.why.contains("it ran last"), "{active:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_consul_and_no_last_good_sink_leave_the_flag() {
    let began = Instant::now();
    let mut starting = Starting::new(Seen::Unknown, Some(candidate(A).kept()));
    starting.preparation().await.fail("the copy is damaged");
    let preparation = starting.preparation().await;
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(preparation.manifest, manifest(FLAG));
    preparation.succeed();
    let bench = starting.run().await;
    assert_eq!(bench.wanted().manifest, manifest(FLAG));
    assert!(bench.good().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_consul_in_time_goes_before_the_last_good_sink() {
    let mut starting = Starting::new(Seen::Unknown, Some(candidate(A).kept()));
    starting.preparation().await.succeed();
    sleep(Duration::from_millis(1900)).await;
    starting.key.send_replace(present(4, B));
    starting.preparation().await.of(B).succeed();
    let bench = starting.run().await;
    assert_eq!(bench.wanted().manifest, manifest(B));
    assert_eq!(bench.good().unwrap().manifest, manifest(A));
}

#[tokio::test(start_paused = true)]
async fn without_the_sink_that_is_asked_for_a_node_starts_with_its_flag() {
    let mut starting = Starting::new(present(7, A), None);
    starting.preparation().await.fail("no such file");
    starting.preparation().await.of(FLAG).succeed();
    let began = Instant::now();
    let mut bench = starting.run().await;
    assert_eq!(bench.wanted().manifest, manifest(FLAG));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 0), false));
    assert!(bench.error().unwrap().contains("no such file"));
    let preparation = bench.preparation().await;
    assert_eq!(preparation.manifest, manifest(A));
    assert_eq!(began.elapsed(), FIRST_RETRY_DELAY);
    preparation.succeed();
    idle().await;
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 7), true));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_last_resort_has_no_sink_until_one_is_prepared() {
    let mut starting = Starting::with(LastResort::Nothing, present(7, A), None);
    starting.preparation().await.fail("no such file");
    let mut bench = starting.run().await;
    assert!(bench.wanted().is_missing());
    assert!(bench.wanted().sink.open().await.is_err());
    assert!(!bench.is_eligible());
    bench.preparation().await.of(A).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert!(!bench.wanted().is_missing());
    assert!(bench.is_eligible());
}

#[tokio::test(start_paused = true)]
async fn a_node_serves_with_its_last_good_sink_while_the_next_is_prepared() {
    let began = Instant::now();
    let mut starting = Starting::new(present(7, B), Some(candidate(A).kept()));
    starting.preparation().await.succeed();
    let slow = starting.preparation().await;
    let mut bench = starting.run().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 0), false));
    assert_eq!(bench.error(), None);
    bench.report(Report::Running(bench.wanted()));
    sleep(Duration::from_secs(100)).await;
    bench.assert_no_preparation().await;
    slow.of(B).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(B));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 0), true));
}

#[tokio::test(start_paused = true)]
async fn another_manifest_supersedes_a_preparation_of_the_start() {
    let mut starting = Starting::new(present(7, B), Some(candidate(A).kept()));
    starting.preparation().await.succeed();
    let slow = starting.preparation().await;
    let mut bench = starting.run().await;
    bench.put(8, FLAG);
    given_up(slow).await;
    bench.preparation().await.of(FLAG).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(FLAG));
}

#[tokio::test(start_paused = true)]
async fn what_was_interrupted_is_not_tried_again_before_it_is_asked_for_again() {
    let mut starting = Starting::new(present(7, B), Some(candidate(A).kept()));
    starting.preparation().await.succeed();
    let preparation = starting.preparation().await.of(B);
    assert_eq!(preparation.trial, Some(Trial::AskedAt(7)));
    preparation.was_interrupted();
    let mut bench = starting.run().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert!(bench.error().unwrap().contains("was killed"));
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
    bench.put(8, B);
    let preparation = bench.preparation().await.of(B);
    assert_eq!(preparation.trial, Some(Trial::AskedAt(8)));
    preparation.was_interrupted();
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_resort_is_tried_even_if_it_was_interrupted() {
    let mut starting = Starting::new(Seen::Absent, None);
    let preparation = starting.preparation().await.of(FLAG);
    assert_eq!(preparation.trial, Some(Trial::AskedAt(0)));
    preparation.was_interrupted();
    let preparation = starting.preparation().await.of(FLAG);
    assert_eq!(preparation.trial, Some(Trial::Always));
    preparation.succeed();
    assert_eq!(starting.run().await.wanted().manifest, manifest(FLAG));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_prepared_any_more_when_it_has_ended() {
    let mut bench = Bench::with_flag().await;
    bench.put(4, A);
    let mut preparation = bench.preparation().await;
    drop(bench.reports);
    timeout(NEVER, bench.running).await.unwrap().unwrap();
    assert!(preparation.is_given_up());
}

#[tokio::test(start_paused = true)]
async fn a_node_without_any_sink_does_not_start() {
    let mut starting = Starting::new(present(7, "nonsense"), None);
    starting.preparation().await.of(FLAG).fail("no WebAssembly");
    let error = starting.started.await.unwrap().unwrap_err();
    assert!(error.one_line().contains("no WebAssembly"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_prepared_while_the_previous_one_runs() {
    let mut bench = Bench::with_flag().await;
    let flag = bench.wanted();
    bench.report(Report::Running(Arc::clone(&flag)));
    bench.put(7, A);
    let preparation = bench.preparation().await;
    idle().await;
    assert!(Arc::ptr_eq(&bench.wanted(), &flag));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 0), false));
    let active = bench.view.active.borrow().clone().unwrap();
    assert!(active.why.contains("is being prepared"), "{active:?}");
    preparation.succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert!(Arc::ptr_eq(&bench.good().unwrap(), &flag));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((7, 0), true));
    bench.report(Report::Running(bench.wanted()));
    idle().await;
    assert_eq!(bench.indexes(), (7, 7));
}

#[tokio::test(start_paused = true)]
async fn another_manifest_supersedes_the_preparation_under_way() {
    let mut bench = Bench::with_flag().await;
    bench.put(5, A);
    let superseded = bench.preparation().await;
    bench.put(6, B);
    given_up(superseded).await;
    bench.preparation().await.of(B).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(B));
    assert_eq!(bench.indexes(), (6, 6));
    bench.put(7, A);
    let superseded = bench.preparation().await;
    bench.put(8, "nonsense");
    given_up(superseded).await;
    bench.assert_no_preparation().await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_manifest_leaves_the_sink() {
    let mut bench = Bench::with_flag().await;
    let flag = bench.wanted();
    bench.put(4, r#"{"sorce":"builtin:stdout"}"#);
    bench.assert_no_preparation().await;
    assert!(bench.error().unwrap().contains("sorce"));
    assert!(Arc::ptr_eq(&bench.wanted(), &flag));
    assert_eq!((bench.indexes(), bench.is_eligible()), ((4, 0), false));
    // Nothing is tried again before the key changes.
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
    bench.put(5, A);
    bench.preparation().await.succeed();
    idle().await;
    assert_eq!((bench.error(), bench.indexes()), (None, (5, 5)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_preparation_is_tried_again_with_backoff() {
    let mut bench = Bench::with_flag().await;
    let flag = bench.wanted();
    bench.put(4, A);
    let mut preparation = bench.preparation().await;
    for seconds in [5.0, 10.0, 20.0, 40.0, 60.0, 60.0] {
        preparation.fail("no such file");
        let failed = Instant::now();
        idle().await;
        assert!(bench.error().unwrap().contains("no such file"));
        assert!(Arc::ptr_eq(&bench.wanted(), &flag));
        preparation = bench.preparation().await;
        let waited = failed.elapsed().as_secs_f64();
        let (least, most) = (seconds / 2.0, seconds + 0.01);
        assert!((least..most).contains(&waited), "{waited} of {seconds} s");
    }
    preparation.succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert_eq!(bench.error(), None);
    // Another manifest starts over.
    for (index, source) in [(5, B), (6, A)] {
        bench.put(index, source);
        bench.preparation().await.fail("no such file");
        let failed = Instant::now();
        bench.preparation().await.fail("no such file");
        assert!(failed.elapsed() < FIRST_RETRY_DELAY + Duration::from_millis(10));
    }
}

#[tokio::test(start_paused = true)]
async fn the_backoff_starts_over_after_a_success() {
    let (_folder, file) = component_file();
    let mut bench = Bench::with_flag().await;
    bench.put(4, &source_of(&file));
    bench.preparation().await.fail("half a file");
    bench.preparation().await.fail("half a file");
    bench.preparation().await.succeed();
    idle().await;
    std::fs::write(&file, "22").unwrap();
    bench.preparation().await.fail("half a file");
    let failed = Instant::now();
    bench.preparation().await.succeed();
    assert!(failed.elapsed() < FIRST_RETRY_DELAY + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn another_manifest_cancels_the_retry() {
    let mut bench = Bench::with_flag().await;
    bench.put(4, A);
    bench.preparation().await.fail("no such file");
    idle().await;
    bench.put(5, B);
    bench.preparation().await.succeed();
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_prepared_again() {
    let (_folder, file) = component_file();
    let mut bench = Bench::with_flag().await;
    bench.put(4, &source_of(&file));
    bench.preparation().await.succeed_with("1");
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
    let before = bench.wanted();
    std::fs::write(&file, "22").unwrap();
    let changed = Instant::now();
    bench.preparation().await.succeed_with("22");
    assert!(changed.elapsed() < Duration::from_secs(2));
    idle().await;
    assert_ne!(bench.wanted().identity(), before.identity());
    assert_eq!(bench.indexes(), (4, 4));
    // The file of a previous manifest does not matter.
    bench.put(5, FLAG);
    let preparation = bench.preparation().await;
    std::fs::write(&file, "333").unwrap();
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
    preparation.succeed();
    std::fs::write(&file, "4444").unwrap();
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_while_it_is_prepared_is_read_again() {
    let (_folder, file) = component_file();
    let mut bench = Bench::with_flag().await;
    bench.put(4, &source_of(&file));
    let mut first = bench.preparation().await;
    sleep(NEVER).await;
    assert!(!first.is_given_up());
    std::fs::write(&file, "22").unwrap();
    let second = bench.preparation().await;
    first.given_up().await;
    second.succeed_with("22");
    idle().await;
    assert_eq!(bench.wanted().identity().sha256, sha256(b"22"));
    // What a pinned one is has been read.
    let pinned = json!({ "source": source_of(&file), "sha256": sha256(b"22") });
    bench.put(5, &pinned.to_string());
    let third = bench.preparation().await;
    sleep(NEVER).await;
    std::fs::write(&file, "333").unwrap();
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
    third.succeed_with("22");
}

#[tokio::test(start_paused = true)]
async fn the_file_of_the_first_sink_is_watched() {
    let (_folder, file) = component_file();
    let mut starting = Starting::new(present(4, &source_of(&file)), None);
    starting.preparation().await.succeed_with("1");
    let mut bench = starting.run().await;
    std::fs::write(&file, "22").unwrap();
    bench.preparation().await.succeed_with("22");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_not_read() {
    let (_folder, file) = component_file();
    let mut bench = Bench::with_flag().await;
    bench.put(4, &source_of(&file));
    bench.preparation().await.succeed();
    let mut text = "2".to_owned();
    for _ in 0..30 {
        text.push('2');
        std::fs::write(&file, &text).unwrap();
        sleep(Duration::from_millis(100)).await;
        assert!(bench.preparations.try_recv().is_err());
    }
    bench.preparation().await.succeed();
}

#[tokio::test(start_paused = true)]
async fn a_pinned_component_is_looked_for_until_it_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.wasm");
    let digest = "ab".repeat(32);
    let pinned = json!({ "source": source_of(&file), "sha256": digest }).to_string();
    let mut bench = Bench::with_flag().await;
    bench.put(4, &pinned);
    bench.preparation().await.fail("no such file");
    let failed = Instant::now();
    idle().await;
    std::fs::write(&file, "1").unwrap();
    bench.preparation().await.succeed();
    // Before the time of the retry.
    assert!(failed.elapsed() < FIRST_RETRY_DELAY / 2);
    idle().await;
    std::fs::write(&file, "22").unwrap();
    sleep(NEVER).await;
    bench.assert_no_preparation().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_again_supersedes_its_preparation() {
    let (_folder, file) = component_file();
    let mut bench = Bench::with_flag().await;
    bench.put(4, &source_of(&file));
    bench.preparation().await.succeed();
    idle().await;
    std::fs::write(&file, "22").unwrap();
    let superseded = bench.preparation().await;
    std::fs::write(&file, "333").unwrap();
    given_up(superseded).await;
    bench.preparation().await.succeed();
}

#[tokio::test(start_paused = true)]
async fn a_follower_prepares_the_sink_that_runs_on_the_leader() {
    let mut bench = Bench::with_flag().await;
    let leaders = candidate(A);
    bench.leader_runs(5, &leaders);
    let preparation = bench.preparation().await;
    let pinned = Manifest {
        sha256: Some(leaders.identity().sha256.clone()),
        ..manifest(A)
    };
    assert_eq!(
        (&preparation.manifest, preparation.is_revival),
        (&pinned, false)
    );
    preparation.succeed();
    idle().await;
    let good = bench.good().unwrap();
    assert!(good.is_same_as(&leaders), "{good:?}");
    assert_eq!(bench.wanted().manifest, manifest(FLAG));
    assert_eq!(bench.preparer.last_good(), Some(leaders.kept()));
    // Both are known now, as what works and as what is wanted.
    bench.leader_runs(6, &leaders);
    bench.assert_no_preparation().await;
    bench.leader_runs(7, &bench.wanted());
    bench.assert_no_preparation().await;
    assert!(Arc::ptr_eq(&bench.good().unwrap(), &bench.wanted()));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_failed_on_the_leader_is_not_known_to_work() {
    let mut bench = Bench::with_flag().await;
    bench.leader_writes(5, &candidate(A), PluginPhase::Failed);
    bench.assert_no_preparation().await;
    bench.leader_writes(6, &bench.wanted(), PluginPhase::Failed);
    bench.assert_no_preparation().await;
    assert!(bench.good().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_leaders_sink_that_is_gone_comes_from_the_disk_or_not_at_all() {
    let mut bench = Bench::with_flag().await;
    let leaders = candidate(A);
    bench.leader_runs(5, &leaders);
    bench.preparation().await.fail("no such file");
    let revival = bench.preparation().await;
    assert!(revival.is_revival);
    assert_eq!(revival.manifest, manifest(A));
    revival.fail("no copy");
    idle().await;
    assert!(bench.good().is_none());
    bench.leader_runs(6, &leaders);
    bench.assert_no_preparation().await;
    bench.leader_runs(7, &candidate(B));
    bench.preparation().await.fail("no such file");
    bench.preparation().await.succeed();
    idle().await;
    assert_eq!(bench.good().unwrap().manifest, manifest(B));
}

#[tokio::test(start_paused = true)]
async fn what_the_leader_runs_stands_in_for_what_cannot_be_prepared() {
    let mut bench = Bench::with_flag().await;
    bench.put(4, "nonsense");
    idle().await;
    bench.leader_runs(5, &candidate(A));
    bench.preparation().await.succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert!(bench.error().is_some());
    // Not for what is still being prepared.
    bench.put(6, B);
    let _under_way = bench.preparation().await;
    bench.leader_runs(7, &candidate("file:///c.wasm"));
    bench.preparation().await.succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
}

#[tokio::test(start_paused = true)]
async fn only_another_choice_wakes_the_stream() {
    let mut bench = Bench::with_flag().await;
    bench.put(4, "nonsense");
    idle().await;
    assert!(!bench.view.choice.has_changed().unwrap());
    bench.put(5, A);
    bench.preparation().await.succeed();
    idle().await;
    assert!(bench.view.choice.has_changed().unwrap());
    bench.view.choice.mark_unchanged();
    bench.leader_runs(6, &candidate(B));
    bench.preparation().await.succeed();
    idle().await;
    assert!(bench.view.choice.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_leader_does_not_learn_from_its_own_key_what_has_failed() {
    let mut bench = Bench::with_flag().await;
    bench.report(Report::Running(bench.wanted()));
    bench.put(7, B);
    bench.preparation().await.of(B).succeed();
    idle().await;
    let flag = candidate(FLAG);
    let document = json!({
        "source": FLAG,
        "sha256": flag.identity().sha256,
        "state": "running",
        "since": "then",
        "why": "",
        "node": "a",
        "index": 0,
        "manifest": FLAG,
        "failed": {"index": 7, "manifest": B, "sha256": "", "reason": "it trapped"},
    });
    let written = document.to_string();
    bench.active.send_replace(present(8, &written));
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(B));
}

#[tokio::test(start_paused = true)]
async fn a_leader_does_not_learn_from_its_own_key() {
    let mut bench = Bench::with_flag().await;
    let flag = bench.wanted();
    bench.report(Report::Running(Arc::clone(&flag)));
    idle().await;
    bench.leader_runs(5, &candidate(A));
    bench.assert_no_preparation().await;
    assert!(Arc::ptr_eq(&bench.good().unwrap(), &flag));
    // Once it no longer leads, the key counts.
    bench.report(Report::Standby);
    bench.preparation().await.succeed();
    idle().await;
    assert_eq!(bench.good().unwrap().manifest, manifest(A));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_runs_is_kept_on_disk() {
    let bench = Bench::with_flag().await;
    assert_eq!(bench.preparer.last_good(), None);
    assert!(bench.view.active.borrow().is_none());
    bench.report(Report::Opening);
    bench.report(Report::Running(bench.wanted()));
    idle().await;
    assert_eq!(bench.preparer.last_good(), Some(bench.wanted().kept()));
    let active = bench.view.active.borrow().clone().unwrap();
    assert_eq!(active.plugin, *bench.wanted().identity());
    bench.report(Report::Standby);
    idle().await;
    assert!(bench.view.active.borrow().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_does_not_delay_what_is_published() {
    let bench = Bench::with_flag().await;
    let hold = bench.preparer.hold_disk();
    bench.report(Report::Running(bench.wanted()));
    // Paused time does not advance while a thread waits for the disk.
    let mut yields = 0;
    while bench.view.active.borrow().is_none() {
        assert!(yields < 1000, "the disk is waited for");
        yields += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.preparer.last_good(), None);
    drop(hold);
    idle().await;
    assert_eq!(bench.preparer.last_good(), Some(bench.wanted().kept()));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_did_not_open_is_shown_but_stays_wanted() {
    let mut bench = Bench::with_flag().await;
    bench.report(Report::Running(bench.wanted()));
    bench.put(4, A);
    bench.preparation().await.succeed();
    idle().await;
    bench.report(Report::Failed {
        candidate: bench.wanted(),
        error: "no".to_owned(),
        retrying: true,
        is_own_fault: false,
    });
    idle().await;
    assert_eq!(bench.error().unwrap(), format!("failed to open {A}: no"));
    assert_eq!(bench.wanted().manifest, manifest(A));
    let document = bench.view.node_state.borrow().clone();
    assert!(!document.eligible && document.sink.unwrap().retrying);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_reports() {
    let bench = Bench::with_flag().await;
    idle().await;
    assert!(!bench.running.is_finished());
    drop(bench.reports);
    timeout(NEVER, bench.running).await.unwrap().unwrap();
}

/// Reports that the wanted sink has failed its probation.
async fn fail(bench: &Bench) {
    let wanted = bench.wanted();
    let time = Duration::from_secs(30);
    bench.report(Report::OnProbation(Arc::clone(&wanted), time));
    let verdict = Verdict::Failed("it trapped".to_owned());
    bench.report(Report::Judged(wanted, verdict));
    idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_manifest_is_not_tried_again_by_the_next_leader() {
    let mut bench = Bench::with_flag().await;
    bench.report(Report::Running(bench.wanted()));
    bench.put(7, B);
    bench.preparation().await.of(B).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(B));
    fail(&bench).await;
    assert_eq!(bench.wanted().manifest, manifest(FLAG));
    let written = serde_json::to_string(&*bench.view.active.borrow()).unwrap();

    // Another node, which has prepared it.
    let mut next = Bench::with_flag().await;
    next.report(Report::Running(next.wanted()));
    next.report(Report::Standby);
    next.put(7, B);
    next.preparation().await.of(B).succeed();
    idle().await;
    assert_eq!(next.wanted().manifest, manifest(B));
    next.active.send_replace(present(8, &written));
    idle().await;
    assert_eq!(next.wanted().manifest, manifest(FLAG));
    next.report(Report::Opening);
    next.report(Report::Running(next.wanted()));
    idle().await;
    let failed = next.view.active.borrow().clone().unwrap().failed.unwrap();
    assert_eq!((failed.index, failed.reason.as_str()), (7, "it trapped"));
    next.put(9, B);
    next.preparation().await.of(B).succeed();
    idle().await;
    assert_eq!(next.wanted().manifest, manifest(B), "the key has changed");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_does_not_try_a_failed_manifest() {
    let good = candidate(A);
    let mut starting = Starting::new(present(7, B), Some(good.kept()));
    let document = json!({
        "source": A,
        "sha256": good.identity().sha256,
        "state": "running",
        "since": "then",
        "why": "",
        "node": "leader",
        "index": 3,
        "manifest": A,
        "failed": {"index": 7, "manifest": B, "sha256": "", "reason": "it trapped"},
    });
    starting
        .active
        .send_replace(present(8, &document.to_string()));
    starting.preparation().await.of(A).succeed();
    starting.preparation().await.of(B).succeed();
    let bench = starting.run().await;
    assert_eq!(bench.wanted().manifest, manifest(A));
    assert!(bench.error().unwrap().contains("it trapped"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_learns_which_sink_works_on_the_leader() {
    let (kept, leaders) = (candidate(A), candidate(B));
    let mut starting = Starting::new(present(7, B), Some(kept.kept()));
    let document = json!({
        "source": B,
        "sha256": leaders.identity().sha256,
        "state": "running",
        "since": "then",
        "why": "",
        "node": "leader",
        "index": 7,
        "manifest": B,
    });
    starting
        .active
        .send_replace(present(8, &document.to_string()));
    starting.preparation().await.of(A).succeed();
    starting.preparation().await.of(B).succeed();
    let bench = starting.run().await;
    idle().await;
    assert_eq!(bench.good().unwrap().manifest, manifest(B));
}

#[tokio::test(start_paused = true)]
async fn a_sink_on_probation_is_not_kept_as_the_last_good_one() {
    let mut bench = Bench::with_flag().await;
    bench.report(Report::Running(bench.wanted()));
    bench.put(7, B);
    bench.preparation().await.of(B).succeed();
    idle().await;
    let new = bench.wanted();
    let time = Duration::from_secs(30);
    bench.report(Report::OnProbation(Arc::clone(&new), time));
    idle().await;
    assert_eq!(bench.preparer.last_good().unwrap().manifest, FLAG);
    bench.report(Report::Judged(Arc::clone(&new), Verdict::Passed));
    idle().await;
    assert_eq!(bench.preparer.last_good().unwrap().manifest, B);
}

#[tokio::test(start_paused = true)]
async fn the_leader_waits_for_all_nodes_if_the_manifest_says_so() {
    let all = json!({"source": B, "rollout": {"wait": "all"}}).to_string();
    let mut bench = Bench::with_flag().await;
    bench.report(Report::Running(bench.wanted()));
    let document = |index: u64| {
        let sink = candidate(&all);
        serde_json::from_value::<NodeDocument>(json!({
            "node": "b", "able": true, "plugin": sink.identity(), "state": "prepared",
            "desired": {"source": null, "sha256": null}, "index": index,
            "plugin_index": index, "retrying": false,
        }))
        .unwrap()
    };
    bench.nodes.send_replace(Some(Arc::new(vec![document(3)])));
    bench.put(7, &all);
    bench.preparation().await.of(&all).succeed();
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(FLAG));
    assert_eq!(bench.view.status.borrow().waits_for, ["b"]);
    bench.nodes.send_replace(Some(Arc::new(vec![document(7)])));
    idle().await;
    assert_eq!(bench.wanted().manifest, manifest(&all));
    assert!(bench.view.status.borrow().waits_for.is_empty());
}
