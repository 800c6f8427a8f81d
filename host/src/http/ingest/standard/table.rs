//! Which protocol a request is of.

use super::asked::Asked;
use super::found::{Found, NodeFacts};
use super::{
    aws_logs, cloudflare, datadog, elasticsearch, gelf, heroku, loki, otlp, otlp_grpc, splunk,
    upload,
};

/// What is to be done with a request that is not one of Sluice's own; `None` if no
/// protocol knows it. Fixed paths come before Elasticsearch's, in which an index
/// can have any name.
pub(super) fn find(asked: &Asked, node: &NodeFacts) -> Option<Found> {
    otlp::find(asked)
        .or_else(|| loki::find(asked))
        .or_else(|| splunk::find(asked))
        .or_else(|| datadog::find(asked))
        .or_else(|| gelf::find(asked))
        .or_else(|| heroku::find(asked))
        .or_else(|| cloudflare::find(asked))
        .or_else(|| upload::find(asked))
        .or_else(|| aws_logs::find(asked))
        .or_else(|| elasticsearch::find(asked, node))
}

/// The same for a request that another node relayed. It may be a call, which
/// clients make on addresses of their own, or a piece of an upload.
pub(super) fn find_relayed(asked: &Asked, node: &NodeFacts) -> Option<Found> {
    let call = otlp_grpc::find(asked).map(Found::Exchange);
    call.or_else(|| upload::find_piece(asked))
        .or_else(|| find(asked, node))
}
