use std::time::Duration;

use bytes::Bytes;

use super::weight::{CATALOG_MAX, DELETIONS_MAX, KEYS_MAX, KEYS_RESERVED, SESSIONS_MAX};
use super::*;

const NOW: Moment = Duration::from_secs(1);
const HALF_MIB: usize = 512 * 1024;

fn draft(length: usize) -> Draft {
    Draft {
        value: vec![b'x'; length].into(),
        flags: 0,
    }
}

fn id(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

fn session(number: usize, name: String) -> NewSession {
    NewSession {
        id: id(number),
        name,
        lock_delay: Duration::ZERO,
        behavior: Behavior::Release,
        ttl_text: String::new(),
        ttl: None,
        node_checks: None,
        service_checks: None,
        checks: None,
        create_index: 0,
    }
}

fn operation(verb: Verb, key: &str, draft: Draft) -> Operation {
    Operation {
        verb,
        key: key.to_owned(),
        draft,
        index: 0,
        session: id(1),
    }
}

impl Store {
    fn fill(&mut self) -> usize {
        let mut written = 0;
        while self.put(
            NOW,
            &format!("fill/{written}"),
            draft(HALF_MIB),
            &Put::Always,
        ) == Ok(true)
        {
            written += 1;
        }
        written
    }
}

#[test]
fn a_full_store_takes_what_a_leader_writes_and_what_frees_space() {
    let mut store = Store::new("n");
    store.create_session(session(1, String::new())).unwrap();
    let lock = Put::Acquire(id(1));
    assert_eq!(store.put(NOW, "leader", draft(10), &lock), Ok(true));
    let written = store.fill();
    assert!((90..97).contains(&written), "{written}");
    assert!(store.kv.weight() <= KEYS_MAX);

    let full = Err(Refusal::KeysFull);
    assert_eq!(
        store.put(NOW, "fill/0", draft(HALF_MIB + 1), &Put::Cas(0)),
        Ok(false)
    );
    assert_eq!(store.put(NOW, "b", draft(HALF_MIB), &Put::Always), full);
    // As long as it does not grow.
    assert_eq!(
        store.put(NOW, "fill/0", draft(HALF_MIB), &Put::Always),
        Ok(true)
    );
    assert_eq!(
        store.put(NOW, "fill/0", draft(HALF_MIB - 1), &Put::Always),
        Ok(true)
    );

    // The leader goes on: another session, a longer value, a release.
    store.create_session(session(2, String::new())).unwrap();
    assert_eq!(store.put(NOW, "leader", draft(HALF_MIB), &lock), Ok(true));
    let set = [
        operation(Verb::Lock, "leader", draft(9)),
        operation(Verb::Set, "active", draft(HALF_MIB)),
    ];
    store.transact(NOW, &set).unwrap();
    assert_eq!(
        store.put(NOW, "leader", draft(9), &Put::Release(id(1))),
        Ok(true)
    );
    store.destroy_session(NOW, &id(1)).unwrap();

    // What is kept for leaders has an end too.
    let mine = Put::Acquire(id(2));
    let mut more = 0;
    while store.put(NOW, &format!("more/{more}"), draft(HALF_MIB), &mine) == Ok(true) {
        more += 1;
    }
    assert!(store.kv.weight() <= KEYS_MAX + KEYS_RESERVED);
    assert!(store.delete("fill/1", None));
    store.delete_under("");
    assert_eq!(store.kv.weight(), 0);
    assert_eq!(store.fill(), 95);
}

#[test]
fn a_transaction_that_is_too_large_changes_nothing() {
    let mut store = Store::new("n");
    store.fill();
    let before = (store.index(), store.kv.weight());
    // What is kept for those with a session is not for those who name none.
    let nobody = Operation {
        session: String::new(),
        ..operation(Verb::CheckSession, "fill/0", draft(0))
    };
    let set = operation(Verb::Set, "a", draft(HALF_MIB));
    let errors = store.transact(NOW, &[nobody, set]).unwrap_err();
    assert!(errors[0].what.contains("is full"), "{errors:?}");
    assert_eq!((store.index(), store.kv.weight()), before);
    let steps = [
        operation(Verb::Delete, "fill/0", draft(0)),
        operation(Verb::Set, "a", draft(HALF_MIB)),
        operation(Verb::Set, "b", draft(HALF_MIB)),
        operation(Verb::Set, "c", draft(HALF_MIB)),
    ];
    let errors = store.transact(NOW, &steps).unwrap_err();
    assert!(errors[0].what.contains("is full"), "{errors:?}");
    assert_eq!((store.index(), store.kv.weight()), before);
    let read = [
        operation(Verb::GetTree, "", draft(0)),
        operation(Verb::GetTree, "", draft(0)),
        operation(Verb::GetTree, "", draft(0)),
    ];
    let errors = store.transact(NOW, &read).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].position, 1);
    assert!(errors[0].what.contains("read fewer keys"), "{errors:?}");
    store.transact(NOW, &read[..1]).unwrap();
}

#[test]
fn weights_are_those_of_what_is_there() {
    let mut store = Store::new("n");
    for round in 0..20_000_usize {
        let key = format!("k/{}", round * 7919 % 3001);
        match round % 5 {
            0..3 => drop(store.put(NOW, &key, draft(round % 100), &Put::Always)),
            3 => _ = store.delete(&key, None),
            _ => {
                let steps = [
                    operation(Verb::Set, &key, draft(round % 50)),
                    operation(Verb::Delete, "k/1", draft(0)),
                    operation(Verb::CheckNotExists, "k/2", draft(0)),
                ];
                drop(store.transact(NOW, &steps));
            }
        }
        drop(store.changes());
    }
    assert_eq!(store.weight_under("", usize::MAX), store.kv.weight());
    let counted = store.kv.weight_of_deletions_counted();
    assert_eq!(store.kv.weight_of_deletions(), counted);
    store.delete_under("k/");
    assert_eq!(store.kv.weight(), 0);
}

#[test]
fn deletions_of_long_keys_are_forgotten_early() {
    let mut store = Store::new("n");
    let mut highest = 0;
    for number in 0..40 {
        let key = format!("{number}/{}", "k".repeat(HALF_MIB));
        assert_eq!(store.put(NOW, &key, draft(0), &Put::Always), Ok(true));
        assert!(store.delete(&key, None));
        highest = highest.max(store.kv.weight_of_deletions());
        drop(store.changes());
    }
    assert!(highest <= DELETIONS_MAX, "{highest}");
    assert!(store.forgotten() > 0);
}

#[test]
fn sessions_and_services_are_bounded() {
    let mut store = Store::new("n");
    let name = "x".repeat(HALF_MIB);
    let create = |store: &mut Store, number| store.create_session(session(number, name.clone()));
    let most = SESSIONS_MAX / HALF_MIB;
    for number in 1..most {
        create(&mut store, number).unwrap();
    }
    assert_eq!(create(&mut store, most), Err(Refusal::SessionsFull));
    store.destroy_session(NOW, &id(1)).unwrap();
    create(&mut store, most).unwrap();

    let service = |number: usize, tag: usize| NewService {
        id: number.to_string(),
        name: "s".to_owned(),
        tags: vec!["x".repeat(tag)],
        ..NewService::default()
    };
    let checks = |count: usize| {
        let check = |number: usize| NewCheck {
            id: number.to_string(),
            name: String::new(),
            notes: String::new(),
            status: CheckStatus::Passing,
        };
        (0..count).map(check).collect::<Vec<_>>()
    };
    // Each check has a copy of the tags.
    let full = Err(Refusal::CatalogFull);
    assert_eq!(store.register(service(0, HALF_MIB), checks(100)), full);
    let most = CATALOG_MAX / HALF_MIB;
    for number in 1..most {
        store
            .register(service(number, HALF_MIB), Vec::new())
            .unwrap();
    }
    assert_eq!(store.register(service(most, HALF_MIB), Vec::new()), full);
    // Again, and shorter.
    store.register(service(1, HALF_MIB), Vec::new()).unwrap();
    store.register(service(1, 1), Vec::new()).unwrap();
    store
        .register(service(most, HALF_MIB - 600), Vec::new())
        .unwrap();
}

#[test]
fn a_renamed_service_leaves_nothing_of_its_former_name() {
    let mut store = Store::new("n");
    let named = |name: &str| NewService {
        id: "id".to_owned(),
        name: name.to_owned(),
        ..NewService::default()
    };
    store.register(named("a"), Vec::new()).unwrap();
    let waiting = store.services(Some("a"));
    store.register(named("b"), Vec::new()).unwrap();
    assert!(store.changes().concerns(&waiting.interest));
    let after = store.services(Some("a"));
    assert!(after.value.is_empty() && after.index > waiting.index);
}

#[test]
fn a_list_shares_its_values_with_the_store() {
    let mut store = Store::new("n");
    let value = Bytes::from(vec![b'x'; HALF_MIB]);
    let draft = Draft {
        value: value.clone(),
        flags: 0,
    };
    store.put(NOW, "a/b", draft, &Put::Always).unwrap();
    let list = store.keys_under("a/");
    assert_eq!(list.value[0].1.value.as_ptr(), value.as_ptr());
    assert!(store.weight_under("a/", 10) > 10);
    assert_eq!(store.weight_under("none", 10), 0);
}
