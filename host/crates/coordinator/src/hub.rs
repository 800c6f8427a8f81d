//! The store between those who ask, those who wait, and the disk.
//!
//! Changes are made in memory at once, in order. A thread writes them to disk,
//! as many as have gathered in one commit, and nothing is answered before what
//! the answer shows is on disk: neither a write nor a read that saw it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::watch;

use super::disk::{Batch, Disk, DiskError};
use super::store::{Moment, Saved, Snapshot, Store};
use super::waiters::Waiters;
use sluice_types::error_chain::chain;

/// Indexes that are reserved on disk at a time, so that those of what is not
/// saved, like sessions, never go back either.
const RESERVE: u64 = 1024;

/// A change could not be written to disk: nothing is certain any more.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("No cluster leader")]
pub(super) struct Unavailable;

/// How far the disk is: all changes up to this one, or broken.
type Durable = Result<u64, Unavailable>;

#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    work: Condvar,
    durable: watch::Sender<Durable>,
    begun: Instant,
}

#[derive(Debug)]
struct State {
    store: Store,
    waiters: Waiters,
    /// What the disk does not have yet.
    batch: Batch,
    /// Counts the changes for the disk.
    sequence: u64,
    /// The highest index that may be given out.
    reserved: u64,
    forgotten: u64,
    closed: bool,
}

/// The thread that writes to disk. It ends, with everything written, when
/// this is dropped.
#[derive(Debug)]
pub(super) struct DiskThread {
    hub: Arc<Hub>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How long to wait for a change, and beyond which index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) index: u64,
    pub(super) most: Duration,
}

impl Hub {
    /// The state that was saved, with the locks of lost sessions let go of.
    pub(super) fn start(
        node: &str,
        disk: Disk,
        saved: Saved,
    ) -> Result<(Arc<Self>, DiskThread), DiskError> {
        let forgotten = saved.forgotten;
        let mut state = State {
            store: Store::restore(node, saved),
            waiters: Waiters::default(),
            batch: Batch::default(),
            sequence: 0,
            reserved: 0,
            forgotten,
            closed: false,
        };
        state.absorb();
        disk.commit(&std::mem::take(&mut state.batch))?;
        let (durable, _) = watch::channel(Ok(state.sequence));
        let hub = Arc::new(Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            durable,
            begun: Instant::now(),
        });
        let for_thread = Arc::clone(&hub);
        let thread = std::thread::Builder::new()
            .name("coordinator-disk".to_owned())
            .spawn(move || for_thread.keep(&disk))
            .map_err(DiskError::Thread)?;
        let thread = DiskThread {
            hub: Arc::clone(&hub),
            thread: Some(thread),
        };
        Ok((hub, thread))
    }

    /// Makes a change, and returns once it is on disk.
    pub(super) async fn write<T>(
        &self,
        change: impl FnOnce(&mut Store, Moment) -> T,
    ) -> Result<T, Unavailable> {
        let (outcome, sequence) = {
            let mut state = self.lock();
            let outcome = change(&mut state.store, self.begun.elapsed());
            state.absorb();
            (outcome, state.sequence)
        };
        self.work.notify_one();
        self.until_durable(sequence).await?;
        Ok(outcome)
    }

    /// Looks, and waits for the disk to have what was seen.
    pub(super) async fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> Result<T, Unavailable> {
        let (seen, sequence) = {
            let state = self.lock();
            (look(&state.store), state.sequence)
        };
        self.until_durable(sequence).await?;
        Ok(seen)
    }

    /// Looks until there is something beyond the index or patience is over.
    pub(super) async fn watch<T>(
        &self,
        patience: Option<Patience>,
        look: impl Fn(&Store) -> Snapshot<T>,
    ) -> Result<Snapshot<T>, Unavailable> {
        let Some(Patience { index, most }) = patience else {
            return self.read(look).await;
        };
        let over = tokio::time::sleep(most);
        tokio::pin!(over);
        let mut is_over = false;
        loop {
            let (seen, sequence, woken) = {
                let mut state = self.lock();
                let seen = look(&state.store);
                let is_new = seen.index > index;
                let woken = (!is_new && !is_over).then(|| {
                    let (number, woken) = state.waiters.enter(seen.interest.clone());
                    (Waiting { hub: self, number }, woken)
                });
                (seen, state.sequence, woken)
            };
            let Some((waiting, woken)) = woken else {
                self.until_durable(sequence).await?;
                return Ok(seen);
            };
            tokio::select! {
                _ = woken => {}
                () = &mut over => is_over = true,
            }
            drop(waiting);
        }
    }

    async fn until_durable(&self, sequence: u64) -> Result<(), Unavailable> {
        let mut durable = self.durable.subscribe();
        let reached = |durable: &Durable| durable.map_or(true, |done| done >= sequence);
        match durable.wait_for(reached).await {
            Ok(durable) => durable.map(|_| ()),
            Err(_) => Err(Unavailable),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what gathers to disk until the hub is closed.
    fn keep(&self, disk: &Disk) {
        loop {
            let (batch, sequence) = {
                let state = self.lock();
                let idle = |state: &mut State| state.batch.is_empty() && !state.closed;
                let waited = self.work.wait_while(state, idle);
                let mut state = waited.unwrap_or_else(PoisonError::into_inner);
                if state.batch.is_empty() {
                    return;
                }
                (std::mem::take(&mut state.batch), state.sequence)
            };
            let committed = disk.commit(&batch);
            if let Err(error) = &committed {
                tracing::error!(
                    error = chain(error),
                    "the coordinator could not write to disk and answers no more; \
                     make room or mend the disk, and start it again"
                );
            }
            let done = committed.map(|()| sequence).map_err(|_| Unavailable);
            self.durable.send_modify(|durable| *durable = done);
            if done.is_err() {
                return;
            }
        }
    }
}

impl State {
    /// Passes on what the store has changed.
    fn absorb(&mut self) {
        let changes = self.store.changes();
        self.waiters.wake(&changes);
        let mut is_new = false;
        for key in changes.keys_to_save() {
            let saved = self.store.saved(key);
            self.batch.keys.insert(key.clone(), saved);
            is_new = true;
        }
        if self.store.index() >= self.reserved {
            self.reserved = self.store.index() + RESERVE;
            self.batch.index = Some(self.reserved);
            is_new = true;
        }
        if self.store.forgotten() > self.forgotten {
            self.forgotten = self.store.forgotten();
            self.batch.forgotten = Some(self.forgotten);
            is_new = true;
        }
        self.sequence += u64::from(is_new);
    }
}

impl Drop for DiskThread {
    fn drop(&mut self) {
        self.hub.lock().closed = true;
        self.hub.work.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the coordinator's disk thread had panicked");
        }
    }
}

/// Leaves the waiters when its owner, perhaps a client, has gone.
struct Waiting<'a> {
    hub: &'a Hub,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.hub.lock().waiters.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::store::{Draft, Put};
    use super::*;

    fn set(value: &'static str) -> impl FnOnce(&mut Store, Moment) {
        move |store, now| {
            let draft = Draft {
                value: Bytes::from_static(value.as_bytes()),
                flags: 0,
            };
            store.put(now, "k", draft, &Put::Always).unwrap();
        }
    }

    fn patience(index: u64, millis: u64) -> Option<Patience> {
        Some(Patience {
            index,
            most: Duration::from_millis(millis),
        })
    }

    #[tokio::test]
    async fn what_was_answered_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let (disk, saved) = Disk::open(folder.path()).unwrap();
            Hub::start("n", disk, saved).unwrap()
        };
        let (hub, thread) = open();
        hub.write(set("1")).await.unwrap();
        let before = hub.read(|store| store.key("k")).await.unwrap();
        drop(thread);
        let (hub, _thread) = open();
        let after = hub.read(|store| store.key("k")).await.unwrap();
        assert_eq!(after.value, before.value);
        hub.write(set("2")).await.unwrap();
        let index = hub.read(Store::index).await.unwrap();
        // Far beyond everything that may have been given out before.
        assert!(index > before.index + RESERVE / 2, "{index}");
    }

    #[tokio::test]
    async fn who_waits_is_woken_or_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, saved) = Disk::open(folder.path()).unwrap();
        let (hub, _thread) = Hub::start("n", disk, saved).unwrap();
        hub.write(set("1")).await.unwrap();
        let look = |store: &Store| store.key("k");
        let first = hub.read(look).await.unwrap();

        let seen = hub.watch(patience(first.index, 20), look).await.unwrap();
        assert_eq!(seen.index, first.index);
        assert!(hub.lock().waiters.is_empty());

        let watch = hub.watch(patience(first.index, 60_000), look);
        let (seen, written) = tokio::join!(watch, hub.write(set("2")));
        written.unwrap();
        assert_eq!(seen.unwrap().value.unwrap().value, "2");

        let gone = hub.watch(patience(first.index + 9, 60_000), look);
        let gone = tokio::time::timeout(Duration::from_millis(20), gone);
        assert!(gone.await.is_err());
        assert!(hub.lock().waiters.is_empty());
    }
}
