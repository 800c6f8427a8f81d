//! Transactions: each operation when it succeeds and when it fails, and
//! atomicity.

use serde_json::{Value, json};

use crate::subject::Subject;

on_both!(
    reading_steps,
    checking_steps,
    writing_steps,
    locking_steps,
    all_or_nothing,
    what_takes_a_lock_as_sluice_does,
    bounds,
);

async fn reading_steps(it: Subject) {
    it.put("/v1/kv/t/a?flags=3", "x").await.is_true();
    let index = it.index("/v1/kv/t/a").await;
    let shown = json!({
        "LockIndex": 0, "Key": "t/a", "Flags": 3, "Value": "eA==",
        "CreateIndex": index, "ModifyIndex": index,
    });
    let reply = it.transact(json!([{ "Verb": "get", "Key": "t/a" }])).await;
    assert_eq!(reply.committed(), std::slice::from_ref(&shown));
    // A read-only transaction reports how fresh its data is.
    assert_eq!(reply.json()["KnownLeader"], true);
    assert_eq!(reply.header("X-Consul-KnownLeader"), Some("true"));
    assert_eq!(reply.header("X-Consul-Index"), None);
    let reply = it
        .transact(json!([{ "Verb": "get-tree", "Key": "t/" }]))
        .await;
    assert_eq!(reply.committed(), [shown]);
    let reply = it
        .transact(json!([{ "Verb": "get-tree", "Key": "no/" }]))
        .await;
    assert!(reply.committed().is_empty());
    let reply = it.transact(json!([{ "Verb": "get", "Key": "none" }])).await;
    reply.failed(&[(0, "key \"none\" doesn't exist")]);
}

async fn checking_steps(it: Subject) {
    it.set("k", "x").await;
    let index = it.index("/v1/kv/k").await;
    let session = it.plain_session().await;
    let reply = it
        .transact(json!([{ "Verb": "check-index", "Key": "k", "Index": index }]))
        .await;
    let shown = reply.committed();
    assert_eq!(
        (&shown[0]["ModifyIndex"], &shown[0]["Value"]),
        (&json!(index), &Value::Null)
    );
    let reply = it
        .transact(json!([{ "Verb": "check-index", "Key": "k", "Index": 1 }]))
        .await;
    let stale = format!("failed index check for key \"k\", current modify index {index} != 1");
    reply.failed(&[(0, &stale)]);
    let reply = it
        .transact(json!([{ "Verb": "check-index", "Key": "none", "Index": 1 }]))
        .await;
    reply.failed(&[(0, "failed to check index, key \"none\" doesn't exist")]);

    let reply = it
        .transact(json!([{ "Verb": "check-not-exists", "Key": "none" }]))
        .await;
    assert!(reply.committed().is_empty());
    let reply = it
        .transact(json!([{ "Verb": "check-not-exists", "Key": "k" }]))
        .await;
    reply.failed(&[(0, "key \"k\" exists")]);

    let check = |key: &str| json!([{ "Verb": "check-session", "Key": key, "Session": session }]);
    let reply = it.transact(check("k")).await;
    let other =
        format!("failed session check for key \"k\", current session \"\" != \"{session}\"");
    reply.failed(&[(0, &other)]);
    let reply = it.transact(check("none")).await;
    reply.failed(&[(0, "failed to check session, key \"none\" doesn't exist")]);
    it.put(&format!("/v1/kv/k?acquire={session}"), "x")
        .await
        .is_true();
    assert_eq!(
        it.transact(check("k")).await.committed()[0]["Session"],
        session.as_str()
    );
}

async fn writing_steps(it: Subject) {
    let set = json!([{ "Verb": "set", "Key": "k", "Value": "eA==", "Flags": 3 }]);
    let reply = it.transact(set.clone()).await;
    let written = reply.committed();
    let index = it.index("/v1/kv/k").await;
    assert_eq!(written[0]["ModifyIndex"], index);
    assert_eq!(
        (&written[0]["Value"], &written[0]["Flags"]),
        (&Value::Null, &json!(3))
    );
    assert_eq!(reply.json().get("KnownLeader"), None);
    // The same value again keeps the index.
    assert_eq!(it.transact(set).await.committed(), written);

    let cas = |key: &str, index: u64| json!([{ "Verb": "cas", "Key": key, "Value": "eQ==", "Index": index }]);
    let stale = "failed to set key \"k\", index is stale";
    it.transact(cas("k", 0)).await.failed(&[(0, stale)]);
    it.transact(cas("k", index - 1)).await.failed(&[(0, stale)]);
    let stale = "failed to set key \"n\", index is stale";
    it.transact(cas("n", 4)).await.failed(&[(0, stale)]);
    it.transact(cas("k", index)).await.committed();
    assert_eq!(it.entry("k").await["Value"], "eQ==");
    it.transact(cas("n", 0)).await.committed();

    let delete =
        |verb: &str, key: &str, index: u64| json!([{ "Verb": verb, "Key": key, "Index": index }]);
    let stale = "failed to delete key \"k\", index is stale";
    it.transact(delete("delete-cas", "k", 1))
        .await
        .failed(&[(0, stale)]);
    let index = it.index("/v1/kv/k").await;
    for gone in [
        delete("delete-cas", "k", index),
        delete("delete-cas", "none", 1),
        delete("delete", "n", 0),
        delete("delete", "none", 0),
        delete("delete-tree", "", 0),
    ] {
        assert!(it.transact(gone).await.committed().is_empty());
    }
    it.get("/v1/kv/?keys").await.says(200, "[]");
}

async fn locking_steps(it: Subject) {
    let (first, second) = (it.plain_session().await, it.plain_session().await);
    let step = |verb: &str, session: &str| json!([{ "Verb": verb, "Key": "l", "Value": "eQ==", "Flags": 8, "Session": session }]);
    let not_held = "failed to unlock key \"l\", lock isn't held, or is held by another session";
    it.transact(step("unlock", &first))
        .await
        .failed(&[(0, not_held)]);
    let taken = it.transact(step("lock", &first)).await.committed();
    assert_eq!(
        (&taken[0]["Session"], &taken[0]["LockIndex"]),
        (&json!(first), &json!(1))
    );
    assert_eq!(taken[0]["Flags"], 8);
    let held = "failed to lock key \"l\", lock is already held";
    it.transact(step("lock", &second))
        .await
        .failed(&[(0, held)]);
    it.transact(step("unlock", &second))
        .await
        .failed(&[(0, not_held)]);
    let freed = it.transact(step("unlock", &first)).await.committed();
    assert_eq!(freed[0].get("Session"), None);
    it.transact(step("unlock", &first))
        .await
        .failed(&[(0, not_held)]);

    let nobody = "00000000-0000-0000-0000-000000000000";
    let invalid = format!("invalid session \"{nobody}\"");
    it.transact(step("lock", nobody))
        .await
        .failed(&[(0, &invalid)]);
    it.transact(step("lock", ""))
        .await
        .failed(&[(0, "missing session")]);
    let no_uuid = "failed session lookup: index error: UUID must be 36 characters";
    it.transact(step("lock", "me"))
        .await
        .failed(&[(0, no_uuid)]);
}

async fn all_or_nothing(it: Subject) {
    it.set("old", "1").await;
    let before = (it.entry("old").await, it.index("/v1/kv/?recurse").await);
    let reply = it
        .transact(json!([
            { "Verb": "set", "Key": "new", "Value": "eA==" },
            { "Verb": "delete", "Key": "old" },
            { "Verb": "check-not-exists", "Key": "new" },
            { "Verb": "check-index", "Key": "old", "Index": 1 },
        ]))
        .await;
    // All operations are tried in order, and all that fail are reported.
    let errors = [
        (2, "key \"new\" exists"),
        (3, "failed to check index, key \"old\" doesn't exist"),
    ];
    reply.failed(&errors);
    assert_eq!(it.entry("new").await, Value::Null);
    assert_eq!(
        (it.entry("old").await, it.index("/v1/kv/?recurse").await),
        before
    );

    // Operations see the effects of those before them, and share one index.
    let reply = it
        .transact(json!([
            { "Verb": "set", "Key": "a", "Value": "eA==" },
            { "Verb": "get", "Key": "a" },
            { "Verb": "set", "Key": "b", "Value": "eA==" },
            { "Verb": "delete", "Key": "old" },
        ]))
        .await;
    let results = reply.committed();
    assert_eq!(results.len(), 3);
    assert_eq!(results[1]["Value"], "eA==");
    let indexes: Vec<_> = results
        .iter()
        .map(|result| &result["ModifyIndex"])
        .collect();
    assert_eq!(indexes[0], indexes[1]);
    assert_eq!(indexes[0], indexes[2]);
    assert_eq!(it.get("/v1/kv/?keys").await.json(), json!(["a", "b"]));
}

async fn what_takes_a_lock_as_sluice_does(it: Subject) {
    let session = it.plain_session().await;
    let take = |expected: Value, epoch: u64, epoch_index: u64| {
        json!([
            expected,
            { "Verb": "cas", "Key": "c/epoch", "Value": "MQ==", "Index": epoch_index, "Flags": epoch },
            { "Verb": "lock", "Key": "c/leader", "Value": "e30=", "Flags": 1000, "Session": session },
        ])
    };
    let absent = json!({ "Verb": "check-not-exists", "Key": "c/leader" });
    let results = it.transact(take(absent.clone(), 1, 0)).await.committed();
    let won = results.last().unwrap()["ModifyIndex"].as_u64().unwrap();
    assert_eq!(won, it.index("/v1/kv/c/leader").await);
    it.put(&format!("/v1/kv/c/leader?release={session}&flags=1"), "{}")
        .await
        .is_true();
    let free = it.index("/v1/kv/c/leader").await;
    let epoch = it.index("/v1/kv/c/epoch").await;
    let at = |index: u64| json!({ "Verb": "check-index", "Key": "c/leader", "Index": index });

    let exists = "key \"c/leader\" exists";
    it.transact(take(absent, 2, epoch))
        .await
        .failed(&[(0, exists)]);
    let stale =
        format!("failed index check for key \"c/leader\", current modify index {free} != {won}");
    it.transact(take(at(won), 2, epoch))
        .await
        .failed(&[(0, &stale)]);
    let raced = "failed to set key \"c/epoch\", index is stale";
    it.transact(take(at(free), 2, 0))
        .await
        .failed(&[(1, raced)]);
    it.transact(take(at(free), 2, epoch)).await.committed();
    assert_eq!(it.entry("c/leader").await["Flags"], 1000);
    // What the leader writes later.
    let guarded = json!([
        { "Verb": "check-session", "Key": "c/leader", "Session": session },
        { "Verb": "set", "Key": "c/active", "Value": "eA==" },
    ]);
    assert_eq!(it.transact(guarded.clone()).await.committed().len(), 2);
    it.put(&format!("/v1/session/destroy/{session}"), "")
        .await
        .is_true();
    assert_eq!(it.transact(guarded).await.status, 409);
}

async fn bounds(it: Subject) {
    assert!(it.transact(json!([])).await.committed().is_empty());
    let steps = |count: usize| {
        let step = |number| json!({ "Verb": "set", "Key": format!("k/{number}"), "Value": "eA==" });
        Value::Array((0..count).map(step).collect())
    };
    assert_eq!(it.transact(steps(64)).await.committed().len(), 64);
    let reply = it.transact(steps(65)).await;
    reply.says(413, "Transaction contains too many operations (65 > 64)");
    let reply = it.transact(json!([{ "Verb": "set", "Key": "" }])).await;
    reply.failed(&[(0, "Must provide key")]);
    let reply = it.transact(json!([{ "Verb": "jump", "Key": "k" }])).await;
    reply.failed(&[(0, "unknown KV verb \"jump\"")]);
}
