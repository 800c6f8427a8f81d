//! The one loop that watches anything of Consul.

use std::time::Duration;

use tokio::sync::watch;

use super::client::Client;
use super::error::Error;
use super::kv::{Read, Wait};
use sluice_types::error_chain::chain;

/// How long the watch of a single key waits for a change.
const KEY_WAIT: Duration = Duration::from_secs(15);
const KEY_RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Where there is no such key, every write to Consul wakes its watch.
const KEY_PAUSE: Duration = Duration::from_millis(200);

/// What a key held when it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Consul has not answered yet.
    #[default]
    Unknown,
    /// There is no such key.
    Absent,
    /// There is.
    Present {
        /// Changes with every write.
        index: u64,
        /// The value.
        value: Vec<u8>,
    },
}

/// How patient a watch is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a read waits for a change.
    pub wait: Duration,
    /// The pause after a read without an answer.
    pub retry: Duration,
    /// The pause after a read that has shown no change.
    pub pause: Duration,
}

/// The index that a watch goes on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct WatchIndex(u64);

impl WatchIndex {
    /// The index to wait beyond after a read; `read` is `None` if there was no
    /// answer. A Consul that is back after an outage, or whose index went back,
    /// may have lost its state. The old index may then be far ahead, so the
    /// next read returns at once.
    fn after(self, read: Option<u64>) -> Self {
        match read {
            Some(index) if index >= self.0 => Self(index),
            _ => Self::default(),
        }
    }
}

/// Publishes every change of a key, for as long as there are receivers. While
/// Consul does not answer, the last state stays.
pub async fn follow(client: Client, key: String, seen: watch::Sender<Seen>) {
    let pace = Pace {
        wait: KEY_WAIT,
        retry: KEY_RETRY_INTERVAL,
        pause: KEY_PAUSE,
    };
    let read = |wait| client.read(&key, Some(wait));
    let show = |entry: Option<_>| {
        entry.map_or(Seen::Absent, |entry: super::kv::Entry| Seen::Present {
            index: entry.modify_index,
            value: entry.value,
        })
    };
    watch(pace, &key, read, show, seen).await;
}

/// Reads with `read` again and again, each time once something has changed,
/// and publishes what `show` makes of it if that is not what is published
/// already; for as long as there are receivers. `subject` is for the log.
pub async fn watch<T, S: PartialEq, F>(
    pace: Pace,
    subject: &str,
    read: impl Fn(Wait) -> F,
    show: impl Fn(T) -> S,
    seen: watch::Sender<S>,
) where
    F: Future<Output = Result<Read<T>, Error>>,
{
    let mut index = WatchIndex::default();
    let mut is_denial_known = false;
    while !seen.is_closed() {
        let wait = Wait {
            index: index.0,
            most: pace.wait,
        };
        let answer = read(wait).await;
        index = index.after(answer.as_ref().ok().map(|read| read.index));
        match answer {
            Ok(read) => {
                is_denial_known = false;
                if !publish(&seen, show(read.value)) {
                    tokio::time::sleep(pace.pause).await;
                }
            }
            Err(error) => {
                log_failure(subject, &error, is_denial_known);
                is_denial_known |= error.is_denied();
                tokio::time::sleep(pace.retry).await;
            }
        }
    }
}

/// Publishes the value, and returns whether it has changed.
fn publish<S: PartialEq>(seen: &watch::Sender<S>, now: S) -> bool {
    seen.send_if_modified(|before| {
        let is_news = *before != now;
        *before = now;
        is_news
    })
}

/// A denial lasts until somebody changes the ACL, so it is logged as an error
/// once.
fn log_failure(subject: &str, error: &Error, is_denial_known: bool) {
    if error.is_denied() && !is_denial_known {
        let error = chain(error);
        tracing::error!(
            subject,
            error,
            "Consul's ACL does not let this node read what it watches"
        );
    } else {
        tracing::debug!(
            subject,
            error = chain(error),
            "could not watch what is in Consul"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use tokio::time::Instant;

    const PACE: Pace = Pace {
        wait: Duration::from_secs(30),
        retry: Duration::from_secs(1),
        pause: Duration::from_millis(200),
    };

    fn no_answer() -> Error {
        Error::Status {
            call: "GET /v1/kv/k".to_owned(),
            status: 500,
            text: "No cluster leader".to_owned(),
        }
    }

    /// Watches what these reads give one after the other. Gives the index that
    /// each read was made with, when it was made, and what was published.
    async fn watched(reads: Vec<Option<(u64, u32)>>) -> (Vec<(u64, Duration)>, Vec<u32>) {
        let start = Instant::now();
        let reads = Mutex::new(VecDeque::from(reads));
        let calls = Mutex::new(Vec::new());
        let (seen_in, mut seen) = watch::channel(0);
        let read = |wait: Wait| {
            assert_eq!(wait.most, PACE.wait);
            let next = reads.lock().unwrap().pop_front();
            if next.is_some() {
                calls.lock().unwrap().push((wait.index, start.elapsed()));
            }
            async move {
                match next {
                    Some(Some((index, value))) => Ok(Read { index, value }),
                    Some(None) => Err(no_answer()),
                    None => std::future::pending().await,
                }
            }
        };
        let mut published = Vec::new();
        let watching = watch(PACE, "k", read, |value| value, seen_in);
        let collecting = async {
            while seen.changed().await.is_ok() {
                published.push(*seen.borrow_and_update());
            }
        };
        tokio::select! {
            () = watching => {}
            () = collecting => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
        }
        (calls.into_inner().unwrap(), published)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_waits_beyond_the_one_before_unless_the_index_went_back_or_is_lost() {
        let (calls, _) = watched(vec![
            Some((5, 1)),
            Some((9, 2)),
            Some((3, 3)),
            Some((4, 4)),
            None,
            Some((4, 5)),
        ])
        .await;
        let indexes: Vec<_> = calls.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [0, 5, 9, 0, 4, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_changes_are_published_and_what_is_no_news_brings_a_pause() {
        let reads = [(1, 7), (2, 7), (3, 8)];
        let (calls, published) = watched(reads.map(Some).to_vec()).await;
        assert_eq!(published, [7, 8]);
        let times: Vec<_> = calls.iter().map(|(_, time)| *time).collect();
        assert_eq!(times, [Duration::ZERO, Duration::ZERO, PACE.pause]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_stays_while_there_is_no_answer() {
        let (calls, published) = watched(vec![Some((1, 7)), None, None, Some((1, 7))]).await;
        assert_eq!(published, [7]);
        let times: Vec<_> = calls.iter().map(|(_, time)| time.as_secs()).collect();
        assert_eq!(times, [0, 0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_last_receiver() {
        let (seen_in, seen) = watch::channel(0);
        drop(seen);
        let read = |_| async { Err::<Read<u32>, _>(no_answer()) };
        watch(PACE, "k", read, |value| value, seen_in).await;
    }
}
