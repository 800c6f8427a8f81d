//! Nodes that did not answer the one that asked them.

use crate::http::cluster::LeftOut;
use sluice_types::readable;

/// Says on stderr which nodes are left out, and why.
pub(in crate::cli) fn warn_of(left_out: &[LeftOut]) {
    for LeftOut { node, error } in left_out {
        let (node, error) = (readable::source(node), readable::error(error));
        eprintln!("sluice: {node} is left out: {error}");
    }
}
