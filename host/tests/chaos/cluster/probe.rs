//! Posts messages to one node continuously, whether it leads or not: producers
//! stay with a node that acknowledges, and would not notice a second one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::support::http;

const INTERVAL: Duration = Duration::from_millis(25);
/// Per message; a message is never sent again.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Probe {
    acknowledged: Arc<Mutex<BTreeSet<u64>>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Posts the messages `Message: <number>`, counted from `from`, to this
    /// URL. Does not follow redirects.
    pub(super) fn start(url: String, from: u64) -> Self {
        let acknowledged = Arc::default();
        let noted = Arc::clone(&acknowledged);
        let task = tokio::spawn(async move { probe(&url, from, &noted).await });
        Self { acknowledged, task }
    }

    /// Sends nothing more.
    pub(super) fn stop(&self) {
        self.task.abort();
    }

    /// The numbers of the messages that were acknowledged so far.
    pub(super) fn acknowledged(&self) -> BTreeSet<u64> {
        self.acknowledged.lock().expect("no panic").clone()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn probe(url: &str, from: u64, acknowledged: &Mutex<BTreeSet<u64>>) {
    let http = http();
    for number in from.. {
        let message = http.post(url).timeout(TIMEOUT);
        let answer = message.body(format!("Message: {number}")).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            acknowledged.lock().expect("no panic").insert(number);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
