//! The names of the keys that a cluster has in Consul.

use crate::stream::DEFAULT_STREAM;

/// The keys that a cluster has once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterKeys {
    cluster: String,
}

impl ClusterKeys {
    /// The keys of the cluster of this name.
    #[must_use]
    pub fn new(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
        }
    }

    /// The counter of all leaders, in decimal. It is one for all streams, so
    /// that a record's id is unique in the cluster.
    #[must_use]
    pub fn epoch(&self) -> String {
        self.key("epoch")
    }

    /// The secret that nodes sign their requests to each other with.
    #[must_use]
    pub fn secret(&self) -> String {
        self.key("secret")
    }

    /// The prefix of the keys of all nodes.
    #[must_use]
    pub fn nodes(&self) -> String {
        self.key("nodes/")
    }

    /// The key of one node.
    #[must_use]
    pub fn node(&self, name: &str) -> String {
        format!("{}{name}", self.nodes())
    }

    /// The key that describes a component that is kept in Consul; it is written
    /// last.
    #[must_use]
    pub fn blob(&self, sha256: &str) -> String {
        self.key(&format!("blobs/{sha256}/index"))
    }

    /// The key of one piece of such a component, counted from 0.
    #[must_use]
    pub fn blob_piece(&self, sha256: &str, number: usize) -> String {
        self.key(&format!("blobs/{sha256}/{number}"))
    }

    /// The keys of one stream. What people write lies apart from what nodes
    /// write, so that Consul's ACL can tell them apart; the keys of the default
    /// stream are older than that, and lie directly below the cluster's name.
    #[must_use]
    pub fn stream(&self, stream: &str) -> StreamKeys {
        let (wanted, run) = match stream {
            DEFAULT_STREAM => (String::new(), String::new()),
            _ => (format!("streams/{stream}/"), format!("run/{stream}/")),
        };
        let by_nodes = |name| self.key(&format!("{run}{name}"));
        // Apart from the others: all nodes read what is below `run/` at each change.
        let history = match stream {
            DEFAULT_STREAM => String::new(),
            _ => format!("{stream}/"),
        };
        StreamKeys {
            plugin: self.key(&format!("{wanted}plugin")),
            leader: by_nodes("leader"),
            active: by_nodes("active"),
            next: by_nodes("next"),
            history: self.key(&format!("history/{history}")),
        }
    }

    /// The prefix of what people write for streams other than the default one.
    #[must_use]
    pub fn wanted(&self) -> String {
        self.key("streams/")
    }

    /// The stream, other than the default one, whose manifest is in this key.
    #[must_use]
    pub fn stream_of_plugin<'a>(&self, key: &'a str) -> Option<&'a str> {
        one_between(key, &self.wanted(), "/plugin")
    }

    /// The key that says that a stream, other than the default one, was closed: its
    /// manifest was deleted, and not only lost together with everything else.
    #[must_use]
    pub fn closed(&self, stream: &str) -> String {
        self.key(&format!("run/{stream}/closed"))
    }

    /// The stream, other than the default one, that this key says is closed.
    #[must_use]
    pub fn stream_of_closed<'a>(&self, key: &'a str) -> Option<&'a str> {
        one_between(key, &self.run(), "/closed")
    }

    /// The stream, other than the default one, whose document of the active sink
    /// this key is.
    #[must_use]
    pub fn stream_of_active<'a>(&self, key: &'a str) -> Option<&'a str> {
        one_between(key, &self.run(), "/active")
    }

    /// The prefix of what nodes write for streams other than the default one.
    #[must_use]
    pub fn run(&self) -> String {
        self.key("run/")
    }

    /// The stream, other than the default one, whose lock this key is.
    #[must_use]
    pub fn stream_of_leader<'a>(&self, key: &'a str) -> Option<&'a str> {
        one_between(key, &self.run(), "/leader")
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.cluster)
    }
}

/// The one segment of the key between these two.
fn one_between<'a>(key: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let segment = key.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!segment.is_empty() && !segment.contains('/')).then_some(segment)
}

/// The keys that a cluster has for each stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamKeys {
    /// The manifest of the sink that is asked for. Written by people.
    pub plugin: String,
    /// The lock. Its value is a leader's address.
    pub leader: String,
    /// The document of the sink that really runs, written by the leader.
    pub active: String,
    /// The name of the node that the last leader asked to succeed it.
    pub next: String,
    /// The prefix of the changes of the sink, which have numbers.
    pub history: String,
}

impl StreamKeys {
    /// The same keys with another one for the lock, if one is given.
    #[must_use]
    pub fn with_leader(mut self, leader: Option<String>) -> Self {
        if let Some(leader) = leader {
            self.leader = leader;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_has_its_keys_below_its_name() {
        let keys = ClusterKeys::new("c");
        assert_eq!(keys.epoch(), "c/epoch");
        assert_eq!(keys.secret(), "c/secret");
        assert_eq!(keys.nodes(), "c/nodes/");
        assert_eq!(keys.node("a"), "c/nodes/a");
        assert_eq!(keys.blob("ab"), "c/blobs/ab/index");
        assert_eq!(keys.blob_piece("ab", 7), "c/blobs/ab/7");
    }

    #[test]
    fn the_default_streams_keys_name_no_stream() {
        let expected = StreamKeys {
            plugin: "c/plugin".to_owned(),
            leader: "c/leader".to_owned(),
            active: "c/active".to_owned(),
            next: "c/next".to_owned(),
            history: "c/history/".to_owned(),
        };
        assert_eq!(ClusterKeys::new("c").stream(DEFAULT_STREAM), expected);
    }

    #[test]
    fn another_streams_keys_tell_people_from_nodes() {
        let expected = StreamKeys {
            plugin: "c/streams/audit/plugin".to_owned(),
            leader: "c/run/audit/leader".to_owned(),
            active: "c/run/audit/active".to_owned(),
            next: "c/run/audit/next".to_owned(),
            history: "c/history/audit/".to_owned(),
        };
        assert_eq!(ClusterKeys::new("c").stream("audit"), expected);
        let keys = ClusterKeys::new("c");
        assert_eq!(keys.stream_of_leader("c/run/audit/leader"), Some("audit"));
        assert_eq!(keys.stream_of_active("c/run/audit/active"), Some("audit"));
        assert_eq!(keys.closed("audit"), "c/run/audit/closed");
        assert_eq!(keys.stream_of_closed("c/run/audit/closed"), Some("audit"));
        assert_eq!(keys.stream_of_plugin("c/streams/a/plugin"), Some("a"));
        assert_eq!(keys.stream_of_plugin("c/streams/plugin"), None);
        for other in [
            "c/leader",
            "c/run/audit/active",
            "c/run/a/b/leader",
            "d/run/a/leader",
        ] {
            assert_eq!(keys.stream_of_leader(other), None, "{other}");
        }
    }

    #[test]
    fn the_locks_key_can_be_given() {
        let keys = ClusterKeys::new("c").stream(DEFAULT_STREAM);
        assert_eq!(keys.clone().with_leader(None), keys);
        let other = keys.with_leader(Some("service/leader".to_owned()));
        assert_eq!(other.leader, "service/leader");
        assert_eq!(other.next, "c/next");
    }
}
