//! Does for other nodes what they cannot do because they do not reach Consul.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::assistance::{Act, Assistance};
use super::lock_client::LockClient;

/// Requests that may wait.
pub(super) const CAPACITY: usize = 64;

/// An [`Assistance`] that another node asks for.
#[derive(Debug)]
pub struct AssistanceRequest {
    /// The stream whose lock it is about.
    pub stream: Arc<str>,
    /// What to do.
    pub assistance: Assistance,
    /// Whether it could be done, and the answer is yes.
    pub answer: oneshot::Sender<bool>,
}

/// Does what is asked, one request after the other; each takes two calls of at
/// most 2 s.
pub(super) async fn serve(
    client: Arc<LockClient>,
    mut requests: mpsc::Receiver<AssistanceRequest>,
) {
    while let Some(request) = requests.recv().await {
        // Nobody waits for it any more: the node asks others as well.
        if request.answer.is_closed() {
            continue;
        }
        let is_done = client.assist(&request.stream, &request.assistance).await;
        if is_done && matches!(request.assistance.act, Act::Release { .. }) {
            tracing::info!(
                stream = &*request.stream,
                session = request.assistance.session,
                "released the lock of a node that does not reach Consul"
            );
        }
        // It may have given up waiting.
        _ = request.answer.send(is_done);
    }
}
