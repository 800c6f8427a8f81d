//! Requests that only nodes and the command line may send to a node: signed
//! with the secret that the cluster keeps in Consul.

mod allies;
mod client;
pub(crate) mod delivered;
mod form;
mod leader_client;
pub(crate) mod letters;
mod old_signature;
mod registered;
pub(crate) mod relayed;
mod replays;
mod secret;
mod signature;
mod successor;
mod tail_request;
mod target;
pub(crate) mod wire;

pub(crate) use allies::pass_on;
pub(crate) use client::{PROBED, PeerClient, PeerError, Subscription};
pub(crate) use form::CHALLENGE;
pub(crate) use leader_client::LeaderClient;
pub(crate) use old_signature::is_recent_old;
pub(crate) use registered::node_name;
pub(crate) use replays::{Replay, Replays};
pub(crate) use secret::{Secret, keep};
pub(crate) use signature::{
    BodyDigest, CONTENT_DIGEST, SIGNATURE, SignedHead, parse_content_digest,
};
#[cfg(test)]
pub(crate) use signature::{content_digest, digest_of};
pub(crate) use successor::check_successor;
pub(crate) use tail_request::{LIMIT_DEFAULT, TailRequest};
pub(crate) use target::Target;
