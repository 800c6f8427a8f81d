//! Whether a leader can hand over.

use thiserror::Error;

use sluice_types::documents::NodeDocument;

/// Why a leader cannot hand over, or not to the node that is wanted.
#[derive(Debug, Error)]
pub(crate) enum NoSuccessor {
    #[error("make {wanted} the leader: there is no such node; there are {names}")]
    NoSuchNode { wanted: String, names: String },
    #[error("make {0} the leader: it already leads")]
    LeadsAlready(String),
    #[error(
        "make {node} the leader: it is not ready to lead: {why}; sluice plugin status shows more"
    )]
    NotReady { node: String, why: String },
    #[error(
        "step down: no other node is ready to lead; start one, or find the reason with sluice \
         plugin status"
    )]
    NoneReady,
}

/// Checks that there is a node that can take over: the one that is wanted, or any
/// other than the leader.
///
/// # Errors
/// Why there is none.
pub(crate) fn check_successor(
    to: Option<&str>,
    leader: &str,
    nodes: &[NodeDocument],
) -> Result<(), NoSuccessor> {
    let Some(wanted) = to else {
        let is_ready = |node: &NodeDocument| node.node != leader && node.eligible;
        return match nodes.iter().any(is_ready) {
            true => Ok(()),
            false => Err(NoSuccessor::NoneReady),
        };
    };
    if wanted == leader {
        return Err(NoSuccessor::LeadsAlready(wanted.to_owned()));
    }
    let Some(found) = nodes.iter().find(|node| node.node == wanted) else {
        let names: Vec<_> = nodes.iter().map(|node| node.node.as_str()).collect();
        return Err(NoSuccessor::NoSuchNode {
            wanted: wanted.to_owned(),
            names: names.join(", "),
        });
    };
    if !found.eligible {
        let why = found.error.clone();
        return Err(NoSuccessor::NotReady {
            node: wanted.to_owned(),
            why: why.unwrap_or_else(|| "its sink is still being prepared".to_owned()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, error: Option<&str>) -> NodeDocument {
        NodeDocument {
            eligible: error.is_none(),
            error: error.map(str::to_owned),
            ..NodeDocument::new(name)
        }
    }

    fn chosen(to: Option<&str>, others: &[NodeDocument]) -> String {
        let nodes = [&[node("a", None)], others].concat();
        check_successor(to, "a", &nodes)
            .map_or_else(|error| error.to_string(), |()| "ready".to_owned())
    }

    #[test]
    fn stepping_down_needs_a_node_that_is_ready() {
        let others = [node("b", None), node("c", Some("no file"))];
        assert_eq!(chosen(None, &others), "ready");
        assert_eq!(chosen(Some("b"), &others), "ready");
        assert!(chosen(None, &others[1..]).contains("no other node is ready"));
        assert!(chosen(Some("a"), &others).contains("already leads"));
        assert!(chosen(Some("c"), &others).contains("not ready to lead: no file"));
        assert!(chosen(Some("d"), &others).contains("there are a, b, c"));
    }
}
