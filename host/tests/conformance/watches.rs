//! Blocking queries: when they return early, and when they do not.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::subject::{Reply, Subject};
use crate::support::Kind;

on_both!(
    a_wait_ends_with_its_time,
    a_wait_ends_with_a_change,
    a_wait_for_a_missing_key,
    a_wait_for_what_begins_so,
    an_index_that_is_too_high_is_waited_for_in_vain,
    all_who_wait_are_woken_by_one_write,
    a_wait_for_a_session,
);

const MOMENT: Duration = Duration::from_millis(300);
/// The time to wake all who wait: half a millisecond for each, which
/// a busy machine keeps to as well in its fastest round.
const WOKEN_LIMIT: Duration = Duration::from_millis(100);
/// How long rounds are repeated until one is undisturbed.
const ROUNDS_LIMIT: Duration = Duration::from_secs(60);

impl Subject {
    /// Waits for a change of `path` after `index`, for 3 s at most. Does `done`
    /// after a moment.
    async fn waits(&self, path: &str, index: u64, done: impl Future<Output = ()>) -> Reply {
        let join = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{join}index={index}&wait=3s");
        let act = async {
            tokio::time::sleep(MOMENT).await;
            done.await;
        };
        let (reply, ()) = tokio::join!(self.get(&path), act);
        reply
    }
}

impl Reply {
    #[track_caller]
    fn woken(self) -> Self {
        let in_time = MOMENT / 2 < self.took && self.took < Duration::from_secs(2);
        assert!(in_time, "after {:?}", self.took);
        self
    }

    #[track_caller]
    fn not_woken(self) -> Self {
        // Consul adds up to a sixteenth to the waiting time.
        let in_time = Duration::from_secs(3) <= self.took && self.took < Duration::from_secs(4);
        assert!(in_time, "after {:?}", self.took);
        self
    }
}

async fn nothing() {}

async fn a_wait_ends_with_its_time(it: Subject) {
    it.set("k", "1").await;
    let index = it.index("/v1/kv/k").await;
    let reply = it.waits("/v1/kv/k", index, nothing()).await.not_woken();
    assert_eq!((reply.status.as_u16(), reply.index()), (200, index));
    // No index, 0 or an old index: returns at once.
    for path in ["?wait=3s", "?wait=3s&index=0", "?wait=3s&index=1"] {
        let reply = it.get(&format!("/v1/kv/k{path}")).await;
        assert!(reply.took < Duration::from_secs(1), "{path}");
    }
}

async fn a_wait_ends_with_a_change(it: Subject) {
    it.set("w/k", "1").await;
    let index = it.index("/v1/kv/w/k").await;
    // Neither a change of another key nor the same value counts.
    let elsewhere = async {
        it.set("w/k2", "1").await;
        it.set("w/k", "1").await;
    };
    it.waits("/v1/kv/w/k", index, elsewhere).await.not_woken();
    let reply = it
        .waits("/v1/kv/w/k?raw", index, it.set("w/k", "2"))
        .await
        .woken();
    assert_eq!(reply.text(), "2");
    let index = reply.index();
    assert_eq!(index, it.index("/v1/kv/w/k").await);
    let delete = async { it.delete("/v1/kv/w/k").await.is_true() };
    let reply = it
        .waits("/v1/kv/w/k?consistent", index, delete)
        .await
        .woken();
    assert_eq!(reply.status, 404);
    assert!(reply.index() > index);
}

async fn a_wait_for_a_missing_key(it: Subject) {
    // No other key near it: any write wakes the query, which then shows
    // nothing.
    it.set("x", "1").await;
    let index = it.index("/v1/kv/none").await;
    let reply = it
        .waits("/v1/kv/none", index, it.set("y", "1"))
        .await
        .woken();
    assert_eq!(reply.status, 404);
    assert!(reply.index() > index);
    // With other keys near it, only writes to those wake the query.
    it.set("near/a", "1").await;
    let index = it.index("/v1/kv/near/none").await;
    it.waits("/v1/kv/near/none", index, it.set("x", "2"))
        .await
        .not_woken();
    let index = it.index("/v1/kv/near/none").await;
    let reply = it
        .waits("/v1/kv/near/none", index, it.set("near/a", "2"))
        .await
        .woken();
    assert_eq!(reply.status, 404);
    let index = reply.index();
    let reply = it
        .waits("/v1/kv/near/none", index, it.set("near/none", "1"))
        .await
        .woken();
    assert_eq!(reply.json()[0]["Value"], "MQ==");
}

async fn a_wait_for_what_begins_so(it: Subject) {
    it.set("p/1", "1").await;
    it.set("p/2", "1").await;
    it.set("q", "1").await;
    let index = it.index("/v1/kv/p/?recurse").await;
    it.waits("/v1/kv/p/?recurse", index, it.set("q", "2"))
        .await
        .not_woken();
    let reply = it
        .waits("/v1/kv/p/?keys", index, it.set("p/3", "1"))
        .await
        .woken();
    assert_eq!(reply.json(), json!(["p/1", "p/2", "p/3"]));
    let index = reply.index();
    let delete = async { it.delete("/v1/kv/p/1").await.is_true() };
    let reply = it.waits("/v1/kv/p/?keys", index, delete).await.woken();
    assert_eq!(reply.json(), json!(["p/2", "p/3"]));
    let index = reply.index();
    let delete = async { it.delete("/v1/kv/p/?recurse").await.is_true() };
    let reply = it.waits("/v1/kv/p/?recurse", index, delete).await.woken();
    assert_eq!(reply.status, 404);
    // A prefix whose keys were deleted waits for its own changes too.
    let index = reply.index();
    it.waits("/v1/kv/p/?recurse", index, it.set("q", "3"))
        .await
        .not_woken();
}

async fn an_index_that_is_too_high_is_waited_for_in_vain(it: Subject) {
    it.set("k", "1").await;
    let index = it.index("/v1/kv/k").await + 100_000;
    let reply = it
        .waits("/v1/kv/k?raw", index, it.set("k", "2"))
        .await
        .not_woken();
    assert_eq!(reply.text(), "2");
    assert!(reply.index() < index);
}

async fn all_who_wait_are_woken_by_one_write(it: Subject) {
    // Consul accepts at most 200 connections from one address, and one is for
    // the write.
    let waiting = match it.server.kind {
        Kind::Consul => 190,
        Kind::Embedded => 200,
    };
    // Other tests run at the same time and slow some rounds down, so the
    // fastest round counts, and there are enough of them.
    let deadline = Instant::now() + ROUNDS_LIMIT;
    let mut best = Duration::MAX;
    for round in 0.. {
        let last = wake_all(&it, waiting, &format!("value {round}")).await;
        best = best.min(last);
        if best < WOKEN_LIMIT || Instant::now() > deadline {
            break;
        }
    }
    println!("{waiting} were woken within {best:?}");
    assert!(best < WOKEN_LIMIT, "{best:?}");
}

/// Writes a key that this many queries wait for. Returns how long it took until
/// the last of them had its answer.
async fn wake_all(it: &Subject, waiting: usize, value: &str) -> Duration {
    it.set("k", "before").await;
    let index = it.index("/v1/kv/k").await;
    let path = format!("/v1/kv/k?index={index}&wait=30s&raw");
    let waits = join_all((0..waiting).map(|_| async {
        let reply = it.get(&path).await;
        assert_eq!(reply.text(), value);
        Instant::now()
    }));
    let write = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent = Instant::now();
        it.set("k", value).await;
        sent
    };
    let (woken, sent) = tokio::join!(waits, write);
    let last = woken.into_iter().max().unwrap();
    last.duration_since(sent)
}

async fn a_wait_for_a_session(it: Subject) {
    let first = it.plain_session().await;
    let index = it.index("/v1/session/list").await;
    let destroy = async {
        it.put(&format!("/v1/session/destroy/{first}"), "")
            .await
            .is_true();
    };
    let reply = it.waits("/v1/session/list", index, destroy).await.woken();
    assert_eq!(reply.json(), json!([]));
    assert!(reply.index() > index);
    let held = it.plain_session().await;
    it.put(&format!("/v1/kv/l?acquire={held}"), "x")
        .await
        .is_true();
    let index = it.index("/v1/kv/l").await;
    let destroy = async {
        it.put(&format!("/v1/session/destroy/{held}"), "")
            .await
            .is_true();
    };
    let reply = it.waits("/v1/kv/l", index, destroy).await.woken();
    assert_eq!(reply.json()[0].get("Session"), None::<&Value>);
}
