//! What the screen is fed with: the nodes' states, and records as they pass.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::error::TopError;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::overview::{Overview, Source};
use crate::cli::tail;
use crate::peer::TailRequest;
use crate::tail::{LEADER, LeaderEvent, RECORD, RecordEvent, SKIPPED, SkippedEvent, events};
use sluice_types::backoff::Backoff;
use sluice_types::error_chain::chain;
use sluice_types::readable;

/// What may wait for the screen.
pub(super) const NEWS_MAX: usize = 64;

/// How long it may take until the nodes' states are known, or until a node shows records.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The most records per second: more than anybody reads.
const RECORDS_PER_SECOND: u32 = 50;
/// The pauses between attempts to reach a node.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Something new.
#[derive(Debug)]
pub(super) enum News {
    Overview(Box<Overview>),
    /// Why there is no overview; continues "failed to".
    NoOverview(String),
    /// Records are watched from now on, whether or not any pass.
    Watching,
    Records(Vec<RecordEvent>),
    /// So many records passed that are not shown.
    Skipped(u64),
    /// Why no records are watched; continues "failed to".
    NoRecords(String),
}

/// Asks the cluster.
pub(super) struct Feed<'a> {
    args: &'a ClusterArgs,
    source: &'a Source,
    /// The pause between two overviews.
    interval: Duration,
}

impl<'a> Feed<'a> {
    pub(super) const fn new(args: &'a ClusterArgs, source: &'a Source, interval: Duration) -> Self {
        Self {
            args,
            source,
            interval,
        }
    }

    /// The nodes' states.
    ///
    /// # Errors
    /// They cannot be seen, or not in time.
    pub(super) async fn overview(&self) -> Result<News, Failure> {
        let asked = timeout(ANSWER_LIMIT, self.source.overview(self.args)).await;
        let overview = asked.map_err(|_| TopError::Slow)??;
        Ok(News::Overview(Box::new(overview)))
    }

    /// Sends what is new until nobody listens.
    pub(super) async fn run(&self, news: Sender<News>) {
        tokio::select! {
            () = self.overviews(&news) => {}
            () = self.records(&news) => {}
        }
    }

    async fn overviews(&self, news: &Sender<News>) {
        loop {
            sleep(self.interval).await;
            let latest = self.overview().await;
            let latest = latest.unwrap_or_else(|error| News::NoOverview(text(&error)));
            if news.send(latest).await.is_err() {
                return;
            }
        }
    }

    async fn records(&self, news: &Sender<News>) {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            let why = match self.watch(news, &mut backoff).await {
                Ok(()) => "watch records: the node has ended".to_owned(),
                Err(error) => text(&error),
            };
            if news.send(News::NoRecords(why)).await.is_err() {
                return;
            }
            sleep(backoff.next(None)).await;
        }
    }

    /// Sends records until the node ends or nobody listens.
    ///
    /// # Errors
    /// No node shows them.
    async fn watch(&self, news: &Sender<News>, backoff: &mut Backoff) -> Result<(), Failure> {
        let request = TailRequest {
            limit: RECORDS_PER_SECOND,
            ..TailRequest::default()
        };
        let opened = timeout(ANSWER_LIMIT, tail::Source::open(self.args, None, &request)).await;
        let mut source = opened.map_err(|_| TopError::Slow)??;
        let mut latest = vec![News::Watching];
        loop {
            for latest in latest {
                if news.send(latest).await.is_err() {
                    return Ok(());
                }
            }
            let Some(whole) = source.next().await? else {
                return Ok(());
            };
            backoff.reset();
            latest = read(&whole);
        }
    }
}

fn text(error: &Failure) -> String {
    chain(&**error).to_string()
}

/// The news in complete events. One that cannot be read is left out.
fn read(whole: &str) -> Vec<News> {
    let (mut records, mut others) = (Vec::new(), Vec::new());
    for (name, data) in events(whole) {
        match name {
            RECORD => records.extend(serde_json::from_str::<RecordEvent>(data)),
            SKIPPED => {
                let skipped = serde_json::from_str::<SkippedEvent>(data);
                others.extend(skipped.map(|skipped| News::Skipped(skipped.records)));
            }
            LEADER => {
                let leader = serde_json::from_str::<LeaderEvent>(data);
                others.extend(leader.map(|leader| watched(&leader)));
            }
            _ => {}
        }
    }
    if !records.is_empty() {
        others.push(News::Records(records));
    }
    others
}

fn watched(event: &LeaderEvent) -> News {
    match (&event.leader, &event.error) {
        (None, _) => News::NoRecords("watch records: no node leads at the moment".to_owned()),
        (Some(leader), Some(error)) => {
            let (leader, error) = (readable::source(leader), readable::error(error));
            News::NoRecords(format!("watch records of {leader}: {error}"))
        }
        (Some(_), None) => News::Watching,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_news() {
        let record = r#"{"id":"1-2","outcome":"delivered","latency_us":5,"time":"t","body":"b"}"#;
        let whole = format!(
            "event: leader\ndata: {{\"leader\":null}}\n\n:\n\nevent: record\ndata: {record}\n\n\
             event: skipped\ndata: {{\"records\":7,\"unfiltered\":0}}\n\nevent: later\ndata: 1\n\n\
             event: leader\ndata: {{\"leader\":\"a\"}}\n\nevent: record\ndata: no record\n\n"
        );
        let news = read(&whole);
        assert_eq!(news.len(), 4, "{news:?}");
        assert!(matches!(&news[0], News::NoRecords(why) if why.contains("no node leads")));
        assert!(matches!(&news[1], News::Skipped(7)));
        assert!(matches!(&news[2], News::Watching));
        assert!(matches!(&news[3], News::Records(records) if records[0].body == "b"));
    }
}
