//! Lets requests on Sluice's own routes in: within their clients' quotas, here or at the
//! leader.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use bytes::Bytes;
use tokio::time::Sleep;

use super::body;
use super::charge::{Charge, within_quota};
use super::client::{Sending, audit_quota, relayed};
use super::request_span::RequestSpan;
use super::service::{Accepted, Admitted, Ingest};
use crate::http::client_address::ClientAddress;
use crate::http::problem::Problem;
use crate::peer::relayed::AnswerHead;
use crate::stream::{Route, Stream};
use sluice_protocols::tokens::Protocol;
use sluice_types::documents::LeaderAddress;

impl Ingest {
    /// Takes a request on Sluice's own routes that another node relayed.
    ///
    /// # Errors
    /// What that node is told: it waits for its client.
    pub(super) fn admit_relayed(
        &self,
        stream: &Stream,
        name: Option<&str>,
        head: &Parts,
        body: Bytes,
    ) -> Result<Result<Accepted<'_>, Problem>, AnswerHead> {
        let Route::Local(intake) = stream.route.borrow().clone() else {
            return Err(AnswerHead::NotLeader);
        };
        let from = head.extensions.get().map(|ClientAddress(client)| *client);
        let client = relayed(&self.access, stream, Protocol::Native, (name, from));
        let client = client.map_err(AnswerHead::NotTaken)?;
        let charge = Charge::begin(&client, body.len()).map_err(AnswerHead::quota)?;
        let encoding = body::encoding(&head.headers);
        Ok(encoding.map(|encoding| Accepted {
            intake,
            body: self.reader(self.limits.body).of(body, encoding),
            charge,
            client,
        }))
    }

    /// Writes to the audit log that a client has sent more than its quota.
    pub(super) fn above_quota(&self, client: &Sending, head: &Parts) {
        let from = head.extensions.get().map(|ClientAddress(client)| *client);
        audit_quota(&self.access, Protocol::Native, client, from);
    }

    /// Lets a request in, before its body is read, if its client has sent less than its
    /// quota.
    pub(super) async fn let_in(
        &self,
        client: &Sending,
        head: &Parts,
        body: Body,
        deadline: Pin<&mut Sleep>,
    ) -> Result<(Charge, Body), Problem> {
        match within_quota(client, body::announced(&body)).await {
            Ok(charge) => Ok((charge, body)),
            Err(problem) => {
                self.above_quota(client, head);
                self.leave(head, body, deadline).await;
                Err(problem)
            }
        }
    }

    /// Relays the request to the leader, its body as it is.
    pub(super) async fn forward(
        &self,
        stream: &Stream,
        leader: &LeaderAddress,
        (head, client, span): (&Parts, &Sending, &RequestSpan),
        body: Body,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Admitted<'_>, Problem> {
        let end = deadline.deadline();
        // Given back at the end: the leader counts.
        let (_charge, body) = self.let_in(client, head, body, deadline.as_mut()).await?;
        let reader = self.reader(self.limits.body);
        let received = reader
            .receive_as_it_is(&head.headers, body, deadline)
            .await?;
        span.relayed_to(&leader.node);
        let request = (head, client, span.context());
        let to = (leader, stream.name.as_str());
        let body = received.bytes();
        let forwarding = self.forwarder.forward(to, request, body, &self.memory, end);
        let answer = forwarding.await;
        if let (Err(Problem::Quota(wait)), Some(client)) = (&answer, client) {
            client.quota().hold(*wait);
            self.above_quota(&Some(Arc::clone(client)), head);
        }
        answer.map(Admitted::Answered)
    }
}
