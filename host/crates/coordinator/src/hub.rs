//! Connects the store with clients, blocking queries and the disk.
//!
//! A change is made in memory at once. A thread writes changes to disk, as many
//! per commit as have gathered. No answer is given before everything that it
//! shows is on disk; that holds for writes and for reads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{oneshot, watch};

use super::disk::{Batch, Disk, DiskError};
use super::large_answers::{LARGE, LargeAnswers, LargePermit};
use super::store::{Moment, Saved, Snapshot, Store};
use super::waiters::Waiters;
use sluice_types::error_chain::chain;

/// How many indexes are reserved on disk at a time. Without it the index could
/// go back after a restart, because not every change is saved (sessions are not).
const RESERVED_INDEXES: u64 = 1024;

/// A change could not be written to disk, so that no answer is certain.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("No cluster leader")]
pub(super) struct Unavailable;

/// The number of the latest change that is on disk.
type Durable = Result<u64, Unavailable>;

#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    work: Condvar,
    durable: watch::Sender<Durable>,
    large: LargeAnswers,
    start: Instant,
}

#[derive(Debug)]
struct State {
    store: Store,
    waiters: Waiters,
    /// What is not on disk yet.
    batch: Batch,
    /// The number of the latest change that the disk has to have.
    sequence: u64,
    /// The highest index that may be given out.
    reserved: u64,
    /// The value of [`Store::forgotten`] that was last put in the batch.
    forgotten: u64,
    closed: bool,
}

/// The thread that writes to disk. Dropping this writes everything and ends the
/// thread.
#[derive(Debug)]
pub(super) struct DiskThread {
    hub: Arc<Hub>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What a read has found, and the permit to answer with it. The permit is to be
/// kept until the answer is sent.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) snapshot: Snapshot<T>,
    pub(super) permit: LargePermit,
}

/// What a blocking query waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    /// The query returns once the index of its result is above this one.
    pub(super) index: u64,
    /// After this time the query returns what there is.
    pub(super) max_wait: Duration,
}

impl Hub {
    /// Restores the saved state and starts the disk thread.
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
            large: LargeAnswers::default(),
            start: Instant::now(),
        });
        let for_thread = Arc::clone(&hub);
        let thread = std::thread::Builder::new()
            .name("coordinator-disk".to_owned())
            .spawn(move || for_thread.run_disk(&disk))
            .map_err(DiskError::Thread)?;
        let thread = DiskThread {
            hub: Arc::clone(&hub),
            thread: Some(thread),
        };
        Ok((hub, thread))
    }

    /// Makes a change and returns when it is on disk.
    pub(super) async fn write<T>(
        &self,
        change: impl FnOnce(&mut Store, Moment) -> T,
    ) -> Result<T, Unavailable> {
        let (outcome, sequence) = {
            let mut state = self.lock();
            let outcome = change(&mut state.store, self.start.elapsed());
            state.absorb();
            (outcome, state.sequence)
        };
        self.work.notify_one();
        self.until_durable(sequence).await?;
        Ok(outcome)
    }

    /// Reads, and returns when what was read is on disk.
    pub(super) async fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> Result<T, Unavailable> {
        let (snapshot, sequence) = {
            let state = self.lock();
            (read(&state.store), state.sequence)
        };
        self.until_durable(sequence).await?;
        Ok(snapshot)
    }

    /// Waits for the turn of an answer of about this many bytes, if that is large.
    pub(super) async fn turn(&self, length: impl FnOnce(&Store) -> usize) -> LargePermit {
        let length = length(&self.lock().store);
        let mut permit = LargePermit::default();
        if length > LARGE {
            permit = self.large.permit().await;
            permit.set_length(length);
        }
        permit
    }

    /// Reads again on each change that concerns the read, until the result is
    /// new or the time is over. Without `blocking` it reads once.
    ///
    /// `weigh` returns about how many bytes the answer will have, or at least
    /// that they are more than its second argument. A read whose answer is large
    /// waits for its turn first.
    pub(super) async fn watch<T>(
        &self,
        blocking: Option<Blocking>,
        weigh: impl Fn(&Store, usize) -> usize,
        read: impl Fn(&Store) -> Snapshot<T>,
    ) -> Result<Found<T>, Unavailable> {
        let (index, max_wait) = match blocking {
            Some(Blocking { index, max_wait }) => (Some(index), max_wait),
            None => (None, Duration::ZERO),
        };
        let over = tokio::time::sleep(max_wait);
        tokio::pin!(over);
        let mut is_over = false;
        let mut permit = LargePermit::default();
        loop {
            let last = index.filter(|_| !is_over);
            match self.look(last, &mut permit, &weigh, &read) {
                Look::Found(snapshot, sequence) => {
                    self.until_durable(sequence).await?;
                    return Ok(Found { snapshot, permit });
                }
                Look::IsLarge => permit = self.large.permit().await,
                Look::Waits(waiting, woken) => {
                    permit = LargePermit::default();
                    tokio::select! {
                        _ = woken => {}
                        () = &mut over => is_over = true,
                    }
                    drop(waiting);
                }
            }
        }
    }

    /// Reads once, unless the answer is large and has no permit. With `last`, the
    /// query waits if nothing is newer than that index.
    fn look<T>(
        &self,
        last: Option<u64>,
        permit: &mut LargePermit,
        weigh: impl Fn(&Store, usize) -> usize,
        read: impl Fn(&Store) -> Snapshot<T>,
    ) -> Look<'_, T> {
        let mut state = self.lock();
        if permit.is_held() {
            permit.set_length(weigh(&state.store, usize::MAX));
        } else if weigh(&state.store, LARGE) > LARGE {
            return Look::IsLarge;
        }
        let snapshot = read(&state.store);
        if last.is_none_or(|last| snapshot.index > last) {
            return Look::Found(snapshot, state.sequence);
        }
        let (number, woken) = state.waiters.add(snapshot.interest);
        Look::Waits(Waiting { hub: self, number }, woken)
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

    /// Runs the disk thread until the hub is closed.
    fn run_disk(&self, disk: &Disk) {
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
                    "the coordinator could not write to disk and answers no further requests; \
                     free disk space or repair the disk, then restart the coordinator"
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
    /// Wakes the queries that a change concerns, and puts it in the batch.
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
            self.reserved = self.store.index() + RESERVED_INDEXES;
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
            tracing::error!("the coordinator's disk thread panicked");
        }
    }
}

/// The outcome of one attempt to read.
enum Look<'a, T> {
    /// With the number of the change that has to be on disk first.
    Found(Snapshot<T>, u64),
    /// It needs a permit.
    IsLarge,
    /// Nothing is new.
    Waits(Waiting<'a>, oneshot::Receiver<()>),
}

/// Removes the waiter when dropped, also if the client has disconnected.
struct Waiting<'a> {
    hub: &'a Hub,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.hub.lock().waiters.remove(self.number);
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

    fn blocking(index: u64, millis: u64) -> Option<Blocking> {
        Some(Blocking {
            index,
            max_wait: Duration::from_millis(millis),
        })
    }

    #[tokio::test]
    async fn an_answered_write_survives_a_restart() {
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
        // Above every index that can have been given out before.
        assert!(index > before.index + RESERVED_INDEXES / 2, "{index}");
    }

    #[tokio::test]
    async fn a_blocking_query_is_woken_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, saved) = Disk::open(folder.path()).unwrap();
        let (hub, _thread) = Hub::start("n", disk, saved).unwrap();
        hub.write(set("1")).await.unwrap();
        let read = |store: &Store| store.key("k");
        let first = hub.read(read).await.unwrap();

        let snapshot = hub
            .watch(blocking(first.index, 20), |_, _| 0, read)
            .await
            .unwrap();
        assert_eq!(snapshot.snapshot.index, first.index);
        assert!(hub.lock().waiters.is_empty());

        let watch = hub.watch(blocking(first.index, 60_000), |_, _| 0, read);
        let (snapshot, written) = tokio::join!(watch, hub.write(set("2")));
        written.unwrap();
        assert_eq!(snapshot.unwrap().snapshot.value.unwrap().value, "2");

        let gone = hub.watch(blocking(first.index + 9, 60_000), |_, _| 0, read);
        let gone = tokio::time::timeout(Duration::from_millis(20), gone);
        assert!(gone.await.is_err());
        assert!(hub.lock().waiters.is_empty());
    }
    #[tokio::test(start_paused = true)]
    async fn large_answers_take_turns_and_hold_up_nothing_small() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, saved) = Disk::open(folder.path()).unwrap();
        let (hub, _thread) = Hub::start("n", disk, saved).unwrap();
        let large = || hub.watch(None, |_, _| LARGE + 1, |store: &Store| store.key("k"));
        let mut held = Vec::new();
        for _ in 0..LargeAnswers::CONCURRENT {
            held.push(large().await.unwrap());
        }
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, large()).await.is_err());
        let small = hub.watch(None, |_, _| LARGE, |store: &Store| store.key("k"));
        tokio::time::timeout(second, small).await.unwrap().unwrap();
        drop(held.pop());
        tokio::time::timeout(second, large())
            .await
            .unwrap()
            .unwrap();
    }
}
