use std::time::Duration;

use bytes::Bytes;

use super::*;

fn store() -> Store {
    Store::new("n")
}

fn draft(value: &'static str) -> Draft {
    Draft {
        value: Bytes::from_static(value.as_bytes()),
        flags: 0,
    }
}

fn id(number: u8) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

fn session(number: u8, behavior: Behavior) -> NewSession {
    NewSession {
        id: id(number),
        name: String::new(),
        lock_delay: Duration::ZERO,
        behavior,
        ttl_text: String::new(),
        ttl: None,
        node_checks: Some(vec!["serfHealth".to_owned()]),
        service_checks: None,
        checks: None,
        create_index: 0,
    }
}

const NOW: Moment = Duration::from_secs(1000);

impl Store {
    fn set_key(&mut self, key: &str, value: &'static str) {
        assert_eq!(self.put(NOW, key, draft(value), &Put::Always), Ok(true));
    }

    fn acquire(&mut self, now: Moment, key: &str, number: u8) -> Result<bool, Refusal> {
        self.put(now, key, draft("held"), &Put::Acquire(id(number)))
    }
}

/// The saved form of all keys that have changed.
fn saved(store: &mut Store) -> Vec<(String, SavedKey)> {
    let changes = store.changes();
    let keys = changes.keys_to_save();
    keys.map(|key| (key.clone(), store.saved(key))).collect()
}

#[test]
fn only_a_real_change_takes_an_index() {
    let mut store = store();
    let begun = store.index();
    store.set_key("k", "1");
    assert_eq!(store.index(), begun + 1);
    store.set_key("k", "1");
    store.delete("none", None);
    assert_eq!(store.index(), begun + 1);
    let failed = store.transact(
        NOW,
        &[
            operation(Verb::Set, "k2"),
            operation(Verb::CheckNotExists, "k"),
        ],
    );
    assert_eq!(failed.unwrap_err()[0].position, 1);
    assert_eq!(store.index(), begun + 1);
    assert_eq!(store.key("k2").value, None);
    assert_eq!(store.key("k").index, begun + 1);
}

fn operation(verb: Verb, key: &str) -> Operation {
    Operation {
        verb,
        key: key.to_owned(),
        draft: draft("x"),
        index: 0,
        session: String::new(),
    }
}

#[test]
fn a_transaction_that_fails_leaves_no_trace() {
    let mut store = store();
    store.set_key("old", "1");
    store.set_key("gone", "1");
    store.delete("gone", None);
    let before = format!("{:?}", store.kv);
    drop(store.changes());
    let steps = [
        operation(Verb::Set, "old"),
        operation(Verb::Set, "gone"),
        operation(Verb::Delete, "old"),
        operation(Verb::Set, "new"),
        operation(Verb::DeleteTree, ""),
        operation(Verb::Get, "old"),
    ];
    assert_eq!(store.transact(NOW, &steps).unwrap_err().len(), 1);
    assert_eq!(format!("{:?}", store.kv), before);
    assert!(saved(&mut store).is_empty());
}

#[test]
fn a_change_concerns_only_the_reads_that_it_affects() {
    let mut store = store();
    store.set_key("near/a", "1");
    store.set_key("nest", "1");
    let absent = store.key("near/none");
    assert_eq!(absent.interest, Interest::Prefix("near/".to_owned()));
    assert_eq!(
        store.key("nothing").interest,
        Interest::Prefix("n".to_owned())
    );
    assert_eq!(store.key("x").interest, Interest::Prefix(String::new()));
    assert_eq!(store.key("nest").interest, Interest::Key("nest".to_owned()));
    assert_eq!(
        store.keys_under("ne").interest,
        Interest::Prefix("ne".to_owned())
    );
    drop(store.changes());
    store.set_key("nest", "2");
    let changes = store.changes();
    assert!(!changes.concerns(&absent.interest));
    assert!(changes.concerns(&Interest::Key("nest".to_owned())));
    assert!(changes.concerns(&Interest::Prefix("n".to_owned())));
    assert!(changes.concerns(&Interest::Prefix(String::new())));
    assert!(!changes.concerns(&Interest::Sessions) && !changes.concerns(&Interest::Catalog));
}

#[test]
fn a_restart_releases_the_locks_of_its_sessions() {
    let mut store = store();
    store.create_session(session(1, Behavior::Release)).unwrap();
    store.create_session(session(2, Behavior::Delete)).unwrap();
    assert_eq!(store.acquire(NOW, "r", 1), Ok(true));
    assert_eq!(store.acquire(NOW, "d", 2), Ok(true));
    store.set_key("free", "1");
    let keys = saved(&mut store);
    let index = store.index() + 7;
    let mut again = Store::restore(
        "n",
        Saved {
            index,
            forgotten: 0,
            keys,
        },
    );
    let released = again.key("r").value.unwrap();
    assert_eq!(released.session, None);
    assert_eq!(released.modify_index, index + 1);
    assert_eq!(released.value, "held");
    assert_eq!(again.key("d").value, None);
    assert_eq!(again.keys_under("d").index, index + 1);
    assert_eq!(again.key("free").value, store.key("free").value);
    // The released keys have to be saved again.
    let keys: Vec<_> = saved(&mut again).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["d", "r"]);
}

#[test]
fn a_lock_delay_counts_from_the_sessions_end() {
    let mut store = store();
    let delayed = NewSession {
        lock_delay: Duration::from_secs(15),
        ..session(1, Behavior::Release)
    };
    store.create_session(delayed).unwrap();
    store.create_session(session(2, Behavior::Release)).unwrap();
    assert_eq!(store.acquire(NOW, "k", 1), Ok(true));
    store.destroy_session(NOW, &id(1)).unwrap();
    let early = NOW + Duration::from_millis(14_999);
    assert_eq!(store.acquire(early, "k", 2), Ok(false));
    assert_eq!(
        store.acquire(NOW + Duration::from_secs(15), "k", 2),
        Ok(true)
    );
    assert_eq!(
        store.acquire(NOW, "k", 1),
        Err(Refusal::InvalidSession(id(1)))
    );
}

#[test]
fn a_critical_check_ends_its_sessions_in_the_same_change() {
    let mut store = store();
    let service = NewService {
        id: "s".to_owned(),
        name: "s".to_owned(),
        ..NewService::default()
    };
    let check = NewCheck {
        id: "c".to_owned(),
        name: "c".to_owned(),
        notes: String::new(),
        status: CheckStatus::Critical,
    };
    store
        .register(service.clone(), vec![check.clone()])
        .unwrap();
    let bound = || NewSession {
        service_checks: Some(vec![ServiceCheck {
            id: "c".to_owned(),
            namespace: String::new(),
        }]),
        ..session(1, Behavior::Release)
    };
    assert_eq!(
        store.create_session(bound()),
        Err(Refusal::CriticalCheck("c".to_owned()))
    );
    store.report(NOW, "c", CheckStatus::Passing, "fine".to_owned());
    store.create_session(bound()).unwrap();
    assert_eq!(store.acquire(NOW, "k", 1), Ok(true));
    // Registering again keeps the status, and a new output takes no index.
    store.register(service, vec![check]).unwrap();
    let index = store.index();
    store.report(NOW, "c", CheckStatus::Passing, "finer".to_owned());
    assert_eq!(store.index(), index);
    let shown = store.checks(|check| check.id == "c").value.remove(0);
    assert_eq!(
        (shown.output.as_str(), shown.latest_output.as_str()),
        ("fine", "finer")
    );

    store.report(NOW, "c", CheckStatus::Critical, "ill".to_owned());
    assert_eq!(store.index(), index + 1);
    assert_eq!(store.key("k").index, index + 1);
    assert_eq!(store.sessions().index, index + 1);
    assert_eq!(store.services(Some("s")).index, index + 1);
    assert!(store.sessions().value.is_empty());
}

#[test]
fn a_deregistered_service_leaves_a_later_index() {
    let mut store = store();
    let service = |name: &str| NewService {
        id: name.to_owned(),
        name: name.to_owned(),
        ..NewService::default()
    };
    store.register(service("a"), Vec::new()).unwrap();
    store.register(service("b"), Vec::new()).unwrap();
    let (a, b) = (store.services(Some("a")).index, store.index());
    assert_eq!((a, store.services(Some("none")).index), (b - 1, b));
    store.deregister(NOW, "a");
    assert_eq!(store.services(Some("a")).index, b + 1);
    assert_eq!(store.services(Some("none")).index, b + 1);
    assert_eq!(store.services(Some("b")).index, b);
    assert!(store.deregister(NOW, "a").is_empty());
    assert_eq!(store.index(), b + 1);
}

#[test]
fn old_deletions_are_forgotten() {
    let mut store = store();
    store.set_key("old/1", "1");
    store.set_key("old/2", "1");
    store.delete("old/1", None);
    let before = store.keys_under("old/").index;
    drop(store.changes());
    for number in 0..10_000 {
        let key = format!("k/{number}");
        store.set_key(&key, "1");
        store.delete(&key, None);
    }
    // A list never gets an earlier index.
    assert!(store.keys_under("old/").index >= before);
    assert!(store.forgotten() > before);
    let forgotten = saved(&mut store)
        .into_iter()
        .filter(|(_, saved)| *saved == SavedKey::Unknown)
        .count();
    assert!(forgotten > 4000, "{forgotten}");
}
