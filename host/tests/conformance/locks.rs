//! Locks: acquiring, releasing, and writes in between.

use std::time::Duration;

use serde_json::{Value, json};

use crate::subject::Subject;

on_both!(
    a_lock_has_one_holder,
    plain_writes_go_through_and_keep_the_holder,
    releasing_replaces_value_and_flags,
    a_lock_without_a_session,
    deleting_a_held_key_frees_it,
    lock_delay_keeps_a_key_of_a_lost_session_free,
);

async fn a_lock_has_one_holder(it: Subject) {
    let (first, second) = (it.plain_session().await, it.plain_session().await);
    let acquire = |session: &str| format!("/v1/kv/l?acquire={session}");
    it.put(&(acquire(&first) + "&flags=5"), "one")
        .await
        .is_true();
    let entry = it.entry("l").await;
    assert_eq!(entry["Session"], first.as_str());
    assert_eq!(
        (&entry["LockIndex"], &entry["Flags"]),
        (&json!(1), &json!(5))
    );

    // The same value again changes nothing, another value does.
    it.put(&(acquire(&first) + "&flags=5"), "one")
        .await
        .is_true();
    assert_eq!(it.entry("l").await, entry);
    it.put(&acquire(&first), "two").await.is_true();
    let again = it.entry("l").await;
    assert_eq!(
        (&again["LockIndex"], &again["Flags"]),
        (&json!(1), &json!(0))
    );

    it.put(&acquire(&second), "three").await.is_false();
    it.put(&format!("/v1/kv/l?release={second}"), "three")
        .await
        .is_false();
    assert_eq!(it.entry("l").await, again);
    it.put(&format!("/v1/kv/l?release={first}"), "")
        .await
        .is_true();
    it.put(&format!("/v1/kv/l?release={first}"), "")
        .await
        .is_false();
    it.put(&acquire(&second), "three").await.is_true();
    let entry = it.entry("l").await;
    assert_eq!(
        (&entry["LockIndex"], &entry["Session"]),
        (&json!(2), &json!(second))
    );
}

async fn plain_writes_go_through_and_keep_the_holder(it: Subject) {
    let session = it.plain_session().await;
    it.put(&format!("/v1/kv/l?acquire={session}"), "mine")
        .await
        .is_true();
    let taken = it.entry("l").await;
    it.set("l", "yours").await;
    let written = it.entry("l").await;
    assert_eq!(written["Session"], session.as_str());
    assert_eq!(written["LockIndex"], 0, "the count of locks is lost");
    assert!(written["ModifyIndex"].as_u64() > taken["ModifyIndex"].as_u64());
    it.set("l", "yours").await;
    assert_eq!(it.entry("l").await, written);
    let index = it.index("/v1/kv/l").await;
    it.put(&format!("/v1/kv/l?cas={index}"), "again")
        .await
        .is_true();
    assert_eq!(it.entry("l").await["Session"], session.as_str());
}

async fn releasing_replaces_value_and_flags(it: Subject) {
    let session = it.plain_session().await;
    it.put(&format!("/v1/kv/l?acquire={session}&flags=1000"), "held")
        .await
        .is_true();
    it.put(&format!("/v1/kv/l?release={session}&flags=1"), "free")
        .await
        .is_true();
    let entry = it.entry("l").await;
    assert_eq!(entry.get("Session"), None);
    assert_eq!(
        (&entry["Value"], &entry["Flags"]),
        (&json!("ZnJlZQ=="), &json!(1))
    );
    assert_eq!(entry["LockIndex"], 1);
    it.put(&format!("/v1/kv/l?acquire={session}"), "x")
        .await
        .is_true();
    it.put(&format!("/v1/kv/l?release={session}"), "")
        .await
        .is_true();
    let entry = it.entry("l").await;
    assert_eq!(
        (&entry["Value"], &entry["Flags"]),
        (&Value::Null, &json!(0))
    );
}

async fn a_lock_without_a_session(it: Subject) {
    const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
    let invalid = format!("invalid session \"{NOBODY}\"");
    it.put(&format!("/v1/kv/l?acquire={NOBODY}"), "x")
        .await
        .says(500, &invalid);
    it.put(&format!("/v1/kv/l?release={NOBODY}"), "x")
        .await
        .is_false();
    let no_uuid = "failed session lookup: index error: UUID must be 36 characters";
    it.put("/v1/kv/l?acquire=me", "x").await.says(500, no_uuid);
    it.put("/v1/kv/l?release=me", "x").await.is_false();
    it.put("/v1/kv/l?acquire=", "x")
        .await
        .says(500, "missing session");
    it.put("/v1/kv/l?release=", "x")
        .await
        .says(500, "missing session");
    let both = it.put("/v1/kv/l?acquire=x&release=y", "x").await;
    both.says(400, "Conflicting flags: acquire=x&release=y");
    let both = it.put("/v1/kv/l?acquire=x&cas=1", "x").await;
    both.says(400, "Conflicting flags: acquire=x&cas=1");
    assert_eq!(it.entry("l").await, Value::Null);
}

async fn deleting_a_held_key_frees_it(it: Subject) {
    let (first, second) = (it.plain_session().await, it.plain_session().await);
    it.put(&format!("/v1/kv/l?acquire={first}"), "x")
        .await
        .is_true();
    it.delete("/v1/kv/l").await.is_true();
    it.put(&format!("/v1/kv/l?acquire={second}"), "x")
        .await
        .is_true();
    assert_eq!(it.entry("l").await["LockIndex"], 1);
    assert!(it.has_session(&first).await);
}

async fn lock_delay_keeps_a_key_of_a_lost_session_free(it: Subject) {
    let delayed = it.session(json!({ "LockDelay": "2s" })).await;
    let other = it.plain_session().await;
    let acquire = format!("/v1/kv/l?acquire={other}");
    it.put(&format!("/v1/kv/l?acquire={delayed}"), "x")
        .await
        .is_true();
    it.put(&format!("/v1/session/destroy/{delayed}"), "")
        .await
        .is_true();
    it.put(&acquire, "y").await.is_false();
    let lock = json!([{ "Verb": "lock", "Key": "l", "Value": "eQ==", "Session": other }]);
    let delay = "failed to lock key \"l\" due to lock delay";
    it.transact(lock).await.failed(&[(0, delay)]);
    // The lock-delay does not affect plain writes.
    it.set("l", "z").await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    it.put(&acquire, "y").await.is_true();

    // A lock that its holder released can be acquired at once.
    let delayed = it.session(json!({ "LockDelay": "10s" })).await;
    it.put(&format!("/v1/kv/m?acquire={delayed}"), "x")
        .await
        .is_true();
    it.put(&format!("/v1/kv/m?release={delayed}"), "x")
        .await
        .is_true();
    it.put(&format!("/v1/kv/m?acquire={other}"), "x")
        .await
        .is_true();
}
