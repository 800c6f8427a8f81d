//! Asks all nodes at once, each within a bound of time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::context::{ClusterContext, Member};
use super::left_out::LeftOut;
use super::shown::shown;
use crate::peer::wire::NO_STREAM;
use crate::peer::{PeerClient, PeerError};

/// Asks these nodes by `other`, except this one, whose answer is `own`.
pub(super) async fn ask<T, Answer>(
    context: &ClusterContext,
    members: &[Member],
    limit: Duration,
    own: impl Future<Output = Result<T, String>>,
    other: impl Fn(Arc<PeerClient>, Member) -> Answer,
) -> Vec<Result<T, String>>
where
    Answer: Future<Output = Result<T, PeerError>>,
{
    let client = context.client();
    let is_own = |member: &Member| member.node == context.node();
    let others: Vec<_> = members
        .iter()
        .filter(|member| !is_own(member))
        .map(|member| ask_other(client.clone(), member.clone(), limit, &other))
        .collect();
    let is_asked = members.iter().any(is_own);
    let own = async {
        match is_asked {
            true => Some(own.await),
            false => None,
        }
    };
    let (mut own, others) = join(own, join_all(others)).await;
    let mut others = others.into_iter();
    let answers = members.iter().filter_map(|member| match is_own(member) {
        true => own.take(),
        false => others.next(),
    });
    answers.collect()
}

/// Asks a node by its routes for peers.
pub(super) fn ask_other<T, Answer>(
    client: Result<Arc<PeerClient>, String>,
    member: Member,
    limit: Duration,
    ask: impl FnOnce(Arc<PeerClient>, Member) -> Answer,
) -> impl Future<Output = Result<T, String>>
where
    Answer: Future<Output = Result<T, PeerError>>,
{
    let address = member.address.clone();
    let asking = client.map(|client| ask(client, member));
    async move {
        match timeout(limit, asking?).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(PeerError::Status { text, .. })) if text == NO_STREAM => {
                Err("it does not have this stream".to_owned())
            }
            Ok(Err(PeerError::Status { status: 404, .. })) => {
                Err("its version does not know this question".to_owned())
            }
            Ok(Err(PeerError::Transport { cause, .. } | PeerError::Probe { cause, .. }))
                if cause.is_connect() =>
            {
                Err(format!("it cannot be reached at {address}"))
            }
            Ok(Err(error)) => Err(shown(&error)),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }
}

/// Splits answers into those that there are and those that there are not.
pub(super) fn split<T>(
    members: Vec<Member>,
    answers: Vec<Result<T, String>>,
) -> (Vec<(String, T)>, Vec<LeftOut>) {
    let (mut answered, mut left_out) = (Vec::new(), Vec::new());
    for (Member { node, .. }, answer) in members.into_iter().zip(answers) {
        match answer {
            Ok(answer) => answered.push((node, answer)),
            Err(error) => left_out.push(LeftOut { node, error }),
        }
    }
    (answered, left_out)
}
