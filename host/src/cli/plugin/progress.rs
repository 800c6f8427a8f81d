//! Follows a change of the sink until all nodes have adopted it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::desk::Desk;
use super::error::PluginCommandError;
use super::snapshot::{Snapshot, Verdict};
use crate::cli::cluster::StreamOf;
use crate::cli::failure::Failure;

/// How long the nodes are shown if nobody waits for them.
const BRIEF_WATCH: Duration = Duration::from_secs(3);
/// How long a failure must last to count: the file may still be on its way to
/// the node.
const FAILURE_GRACE: Duration = Duration::from_secs(2);

/// A change of the sink, and how to follow it.
pub(super) struct Progress<'a> {
    desk: &'a Desk,
    of: StreamOf<'a>,
    /// The index at which the manifest's key was written.
    index: u64,
    /// Whether it is a failure if not every node adopts it in time.
    must_finish: bool,
    timeout: Duration,
}

impl<'a> Progress<'a> {
    /// Of the manifest that was written at this index. With `wait`, all nodes must
    /// adopt it within that time.
    pub(super) fn new(
        desk: &'a Desk,
        of: StreamOf<'a>,
        index: u64,
        wait: Option<Duration>,
    ) -> Self {
        Self {
            desk,
            of,
            index,
            must_finish: wait.is_some(),
            timeout: wait.unwrap_or(BRIEF_WATCH),
        }
    }

    /// Prints what the nodes do until all have adopted the sink, one has
    /// failed, or the time is over.
    ///
    /// # Errors
    /// There is no usable answer in time, the key was written again, or
    /// the cluster has no nodes.
    pub(super) async fn follow(&self) -> Result<ExitCode, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut printed = BTreeMap::new();
        let mut failing_since = None;
        loop {
            let is_late = Instant::now() >= deadline;
            match Snapshot::read(self.desk, self.of).await {
                Ok(snapshot) => {
                    self.print(&snapshot, &mut printed)?;
                    if let Some(code) = self.judge(&snapshot, &mut failing_since, is_late)? {
                        return Ok(code);
                    }
                }
                Err(error) if is_late => return Err(error),
                // Consul may be changing its leader; the next try decides.
                Err(_) => {}
            }
            sleep(self.desk.interval()).await;
        }
    }

    /// Prints the lines of nodes that have changed.
    fn print(
        &self,
        snapshot: &Snapshot,
        printed: &mut BTreeMap<String, String>,
    ) -> Result<(), PluginCommandError> {
        if snapshot.index() != self.index {
            let key = self.desk.key(self.of);
            return Err(PluginCommandError::Overwritten(key));
        }
        for (node, line) in snapshot.lines(self.index) {
            if printed.get(&node) != Some(&line) {
                println!("{line}");
                printed.insert(node, line);
            }
        }
        Ok(())
    }

    /// The exit code, once it is decided.
    fn judge(
        &self,
        snapshot: &Snapshot,
        failing_since: &mut Option<Instant>,
        is_late: bool,
    ) -> Result<Option<ExitCode>, PluginCommandError> {
        let verdict = snapshot.verdict(self.index);
        if verdict == Verdict::Done {
            if let Some(seconds) = snapshot.probation() {
                println!("on probation for {seconds} s; see `sluice plugin status`");
            }
            return Ok(Some(ExitCode::SUCCESS));
        }
        let since = failing_since.unwrap_or_else(Instant::now);
        *failing_since = (verdict == Verdict::Failed).then_some(since);
        let has_failed = failing_since.is_some_and(|since| since.elapsed() >= FAILURE_GRACE);
        if !has_failed && !is_late {
            return Ok(None);
        }
        if !self.must_finish {
            if !has_failed {
                println!("still in progress; see `sluice plugin status`");
            }
            return Ok(Some(ExitCode::SUCCESS));
        }
        if has_failed {
            eprintln!("sluice: not every node can run it; the previous sink keeps running");
        } else if snapshot.has_nodes() {
            let timeout = self.timeout;
            eprintln!("sluice: not every node has adopted it within {timeout:?}");
        } else {
            return Err(PluginCommandError::NoNodes(self.of.cluster.to_owned()));
        }
        Ok(Some(ExitCode::FAILURE))
    }
}
