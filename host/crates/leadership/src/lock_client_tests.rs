use super::*;
use crate::health_secret::HealthSecret;

use sluice_consul::Config;
use sluice_coordinator::{Coordinator, CoordinatorConfig};
use sluice_types::stream::DEFAULT_STREAM;
use tokio::sync::watch;

use crate::lock::{CLEAN, Successor};
use crate::role::Role;

struct Fixture {
    coordinator: Coordinator,
    _data_dir: tempfile::TempDir,
    _role: watch::Sender<Role>,
    client: LockClient,
}

/// A client of a coordinator of its own.
fn start() -> Fixture {
    // A client cannot be built without one, even if it speaks plain HTTP. Another
    // test may have installed it already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let data_dir = tempfile::tempdir().unwrap();
    let config = CoordinatorConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: data_dir.path().to_owned(),
        hosts: Vec::new(),
        connections: 100,
    };
    let coordinator = Coordinator::start(&config).unwrap();
    let address = coordinator.address().to_string();
    // The coordinator itself answers the health check.
    let health_url = format!("http://{address}/v1/status/leader");
    let variable = |name| (name == "CONSUL_HTTP_ADDR").then(|| address.clone());
    let (role, role_out) = watch::channel(Role::Follower { leader: None });
    let cluster = ClusterKeys::new("c");
    let keys = cluster.stream(DEFAULT_STREAM);
    let client = LockClient {
        client: Client::new(Config::from_variables(variable).unwrap()).unwrap(),
        service: Service::new(
            "c".to_owned(),
            "a".to_owned(),
            ("10.0.0.1".to_owned(), 3000),
            (health_url, HealthSecret::random()),
            role_out,
        ),
        cluster,
        keys,
        value: b"a leads".to_vec(),
        lease: Duration::from_secs(1),
        turns: tokio::sync::Semaphore::new(1),
        runs: tokio::sync::watch::Sender::new(None),
        begun: OnceCell::new(),
    };
    Fixture {
        coordinator,
        _data_dir: data_dir,
        _role: role,
        client,
    }
}

/// An attempt on keys that are absent.
fn first_take(session: &str) -> Take {
    Take {
        session: session.to_owned(),
        expected: None,
        epoch: 1,
        epoch_index: 0,
        successor_index: None,
        flags: 1_000,
    }
}

async fn open(client: &LockClient) -> String {
    client.open_session(SessionKind::Lock).await.unwrap()
}

async fn prove(client: &LockClient, stream: &str) -> Lock {
    client.prove(&[stream.into()]).await.remove(0).unwrap()
}

#[tokio::test]
async fn the_lock_is_taken_once_together_with_the_epoch() {
    let it = start();
    let client = &it.client;
    let session = open(client).await;
    let looked = client.look(DEFAULT_STREAM).await.unwrap();
    assert_eq!(looked.lock.key, None);
    let taken = client.take(DEFAULT_STREAM, &first_take(&session)).await;
    let Taken::Won { modify_index } = taken else {
        panic!("the lock was free");
    };
    let lock = prove(client, DEFAULT_STREAM).await;
    assert_eq!(lock.holder(), Some(&*session));
    let key = lock.key.unwrap();
    assert_eq!((key.modify_index, key.flags), (modify_index, 1_000));
    assert_eq!(key.value, b"a leads");
    assert_eq!(client.read_epoch().await, Some(1));
    let other = open(client).await;
    let taken = client.take(DEFAULT_STREAM, &first_take(&other)).await;
    assert_eq!(taken, Taken::Lost);
    let lock = prove(client, DEFAULT_STREAM).await;
    assert_eq!(lock.holder(), Some(&*session));
}

#[tokio::test]
async fn one_session_holds_several_locks_and_one_read_proves_them() {
    let it = start();
    let client = &it.client;
    let session = open(client).await;
    let mut take = first_take(&session);
    let mut acquisitions = Vec::new();
    for stream in [DEFAULT_STREAM, "audit", "b"] {
        let Taken::Won { modify_index } = client.take(stream, &take).await else {
            panic!("the lock of {stream} was free");
        };
        acquisitions.push(modify_index);
        take.epoch += 1;
        take.epoch_index = modify_index;
    }
    let streams = [DEFAULT_STREAM, "none", "audit", "b"].map(StreamName::from);
    let locks = client.prove(&streams).await;
    let found = locks.into_iter().map(|lock| {
        let key = lock.unwrap().key?;
        Some((key.session? == session, key.modify_index))
    });
    let [first, second, third] = acquisitions.try_into().unwrap();
    let held = |index| Some((true, index));
    let expected = [held(first), None, held(second), held(third)];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let seen = client.watch(Watching::Others, 0).await.unwrap();
    assert_eq!(seen.lock("b").holder(), Some(&*session));
    assert_eq!(seen.keys.len(), 2);
}

#[tokio::test]
async fn the_holder_alone_names_its_successor_and_releases_the_lock() {
    let it = start();
    let client = &it.client;
    let (holder, other) = (open(client).await, open(client).await);
    let taken = client.take(DEFAULT_STREAM, &first_take(&holder)).await;
    let Taken::Won { modify_index } = taken else {
        panic!("the lock was free");
    };
    let release = |session: &str, acquisition, successor: &str| Release {
        session: session.to_owned(),
        acquisition,
        flags: CLEAN,
        successor: Some(successor.to_owned()),
    };
    for wrong in [
        release(&other, modify_index, "x"),
        release(&holder, modify_index - 1, "x"),
    ] {
        assert!(client.release(DEFAULT_STREAM, &wrong).await);
        let before = client.look(DEFAULT_STREAM).await.unwrap();
        assert_eq!(before.lock.holder(), Some(&*holder));
        assert_eq!(before.successor, None);
    }
    let right = release(&holder, modify_index, "b");
    assert!(client.release(DEFAULT_STREAM, &right).await);
    let after = client.look(DEFAULT_STREAM).await.unwrap();
    assert!(matches!(after.successor, Some(Successor { node, .. }) if node == "b"));
    assert_eq!(after.lock.holder(), None);
    assert_eq!(after.lock.key.unwrap().flags, CLEAN);
}

#[tokio::test]
async fn a_late_release_does_not_free_the_next_acquisition() {
    let it = start();
    let client = &it.client;
    let session = open(client).await;
    let taken = client.take(DEFAULT_STREAM, &first_take(&session)).await;
    let Taken::Won { modify_index } = taken else {
        panic!("the lock was free");
    };
    let release = Release {
        session: session.clone(),
        acquisition: modify_index,
        flags: CLEAN,
        successor: None,
    };
    assert!(client.release(DEFAULT_STREAM, &release).await);
    let looked = client.look(DEFAULT_STREAM).await.unwrap();
    let take = Take {
        expected: looked.lock.key.map(|key| key.modify_index),
        epoch: 2,
        epoch_index: looked.epoch.modify_index,
        ..first_take(&session)
    };
    let taken = client.take(DEFAULT_STREAM, &take).await;
    assert!(matches!(taken, Taken::Won { .. }));
    assert!(client.release(DEFAULT_STREAM, &release).await);
    let lock = prove(client, DEFAULT_STREAM).await;
    assert_eq!(lock.holder(), Some(&*session));
}

#[tokio::test]
async fn a_session_that_has_ended_is_not_renewed_and_takes_no_lock() {
    let it = start();
    let client = &it.client;
    let session = open(client).await;
    let kind = SessionKind::Lock;
    assert_eq!(client.keep_alive(&session, kind).await, Some(true));
    assert!(client.end_session(&session).await);
    assert_eq!(client.keep_alive(&session, kind).await, Some(false));
    let taken = client.take(DEFAULT_STREAM, &first_take(&session)).await;
    assert_eq!(taken, Taken::InvalidSession);
}

#[tokio::test]
async fn without_an_answer_nothing_is_known() {
    let it = start();
    let client = &it.client;
    let session = open(client).await;
    drop(it.coordinator);
    assert_eq!(client.look(DEFAULT_STREAM).await, None);
    let streams = [DEFAULT_STREAM, "audit"].map(StreamName::from);
    assert_eq!(client.prove(&streams).await, [None, None]);
    assert_eq!(client.keep_alive(&session, SessionKind::Lock).await, None);
    let taken = client.take(DEFAULT_STREAM, &first_take(&session)).await;
    assert_eq!(taken, Taken::Unknown);
    let release = Release {
        session: session.clone(),
        acquisition: 1,
        flags: CLEAN,
        successor: None,
    };
    assert!(!client.release(DEFAULT_STREAM, &release).await);
    assert!(!client.end_session(&session).await);
}
