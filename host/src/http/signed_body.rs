//! Reads the bodies of requests that only nodes and the command line may send:
//! the signature first, then the body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::peer_problem::PeerProblem;
use super::problem::Problem;
use crate::peer::{
    BodyDigest, CONTENT_DIGEST, Replay, Replays, SIGNATURE, Secret, SignedHead, is_recent_old,
    parse_content_digest,
};
use sluice_protocols::memory_budget::{MemoryBudget, Reservation};

/// Checks signatures, and reads the bodies that they are for.
#[derive(Debug)]
pub(super) struct SignedBodies {
    /// This node's name, which a signature must name.
    node: String,
    /// What requests must be signed with.
    secret: watch::Receiver<Option<Secret>>,
    replays: Replays,
    limits: SignedBodyLimits,
    /// For bodies whose signature was checked.
    memory: Arc<MemoryBudget>,
    /// For bodies in the old form, whose signature can only be checked
    /// afterwards. A sender that fills it holds up nobody else.
    old_memory: Arc<MemoryBudget>,
}

/// The limits on one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedBodyLimits {
    /// Bytes of a body.
    pub(super) body: usize,
    /// How long a body may take to arrive.
    pub(super) time: Duration,
}

/// Whether a route takes signatures in the form of the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OldForm {
    Taken,
    Refused,
}

/// A body that has the right signature.
#[derive(Debug)]
pub(super) struct SignedBody {
    pub(super) bytes: Bytes,
    /// The memory that it takes, until it is dropped.
    _reservation: Reservation,
}

impl SignedBodies {
    pub(super) fn new(
        node: String,
        secret: watch::Receiver<Option<Secret>>,
        limits: SignedBodyLimits,
        memory: Arc<MemoryBudget>,
    ) -> Self {
        Self {
            node,
            secret,
            replays: Replays::new(),
            limits,
            memory,
            old_memory: MemoryBudget::new(limits.body),
        }
    }

    /// Checks the signature, then reads the body and checks that it is the one
    /// that was signed.
    pub(super) async fn read(
        &self,
        head: &Parts,
        body: Body,
        old_form: OldForm,
    ) -> Result<SignedBody, PeerProblem> {
        let header = head.headers.get(SIGNATURE);
        let header = header.and_then(|header| header.to_str().ok());
        let header = header.ok_or(PeerProblem::Unsigned)?;
        let secret = self.secret.borrow().clone();
        let secret = secret.ok_or(PeerProblem::NoSecret)?;
        if !is_recent_old(header) {
            return self.read_current(&secret, header, head, body).await;
        }
        match old_form {
            OldForm::Taken => self.read_old(&secret, header, head, body).await,
            OldForm::Refused => Err(PeerProblem::OldForm),
        }
    }

    async fn read_current(
        &self,
        secret: &Secret,
        header: &str,
        head: &Parts,
        body: Body,
    ) -> Result<SignedBody, PeerProblem> {
        let length = body.size_hint().exact().ok_or(PeerProblem::Unsigned)?;
        let digest = declared_digest(head).ok_or(PeerProblem::Unsigned)?;
        let signed = SignedHead {
            node: &self.node,
            method: head.method.as_str(),
            path: path_of(head),
            length,
            digest: &digest,
        };
        let verified = secret.verify(header, &signed);
        let verified = verified.ok_or(PeerProblem::Unsigned)?;
        self.replays.admit(verified)?;
        let (body, read) = self.read_body(body, length, &self.memory).await?;
        match read == digest {
            true => Ok(body),
            false => Err(PeerProblem::Malformed(
                "the body is not the one that was signed".to_owned(),
            )),
        }
    }

    async fn read_old(
        &self,
        secret: &Secret,
        header: &str,
        head: &Parts,
        body: Body,
    ) -> Result<SignedBody, PeerProblem> {
        let length = body.size_hint().exact().ok_or(PeerProblem::Unsigned)?;
        let (body, digest) = self.read_body(body, length, &self.old_memory).await?;
        let method = head.method.as_str();
        let verified = secret.verify_old(header, method, path_of(head), &digest);
        self.replays.admit(verified.ok_or(PeerProblem::Unsigned)?)?;
        Ok(body)
    }

    /// Reads a body of this length, and returns it with its digest.
    async fn read_body(
        &self,
        body: Body,
        length: u64,
        memory: &Arc<MemoryBudget>,
    ) -> Result<(SignedBody, BodyDigest), Problem> {
        let limit = self.limits.body;
        let length = usize::try_from(length).ok().filter(|bytes| *bytes <= limit);
        let length = length.ok_or_else(|| {
            Problem::TooLarge(format!(
                "the body is larger than {limit} bytes; raise --max-body on this node"
            ))
        })?;
        let mut reservation = memory.reserve();
        reservation.spend(length)?;
        let collected = tokio::time::timeout(self.limits.time, collect(body, length)).await;
        let (bytes, digest) = collected.map_err(|_| Problem::SlowBody)??;
        let body = SignedBody {
            bytes,
            _reservation: reservation,
        };
        Ok((body, digest))
    }
}

impl From<Replay> for PeerProblem {
    fn from(replay: Replay) -> Self {
        match replay {
            Replay::Used => Self::Replayed,
            Replay::Full => Self::NotTaken("this node has taken too many signed requests at once"),
        }
    }
}

fn path_of(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |path| path.as_str())
}

fn declared_digest(head: &Parts) -> Option<BodyDigest> {
    parse_content_digest(head.headers.get(CONTENT_DIGEST)?.to_str().ok()?)
}

/// Collects a body whose length was declared, and computes its digest
/// meanwhile.
async fn collect(mut body: Body, length: usize) -> Result<(Bytes, BodyDigest), Problem> {
    let mut bytes = BytesMut::with_capacity(length);
    let mut digest = Sha256::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::Malformed(format!("the body broke off: {error}; send it again"))
        })?;
        if let Ok(data) = frame.into_data() {
            digest.update(&data);
            bytes.extend_from_slice(&data);
        }
    }
    Ok((bytes.freeze(), digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{content_digest, digest_of};
    use axum::http::Request;
    use hyper::body::{Frame, SizeHint};
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    const SECRET: &[u8] = b"secret";
    const PATH: &str = "/internal/v1/records";

    /// A body that must not be read.
    #[derive(Debug)]
    struct Unread(u64);

    impl HttpBody for Unread {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("the body is read");
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    fn bodies(node: &str) -> SignedBodies {
        let secret = watch::channel(Some(Secret::new(SECRET))).1;
        let limits = SignedBodyLimits {
            body: 1000,
            time: Duration::from_millis(50),
        };
        SignedBodies::new(
            node.to_owned(),
            secret,
            limits,
            MemoryBudget::new(limits.body),
        )
    }

    fn signed(secret: &[u8], node: &str, body: &[u8]) -> Parts {
        let digest = digest_of(body);
        let signature = Secret::new(secret).sign(&SignedHead {
            node,
            method: "POST",
            path: PATH,
            length: u64::try_from(body.len()).unwrap(),
            digest: &digest,
        });
        let request = Request::post(PATH)
            .header(SIGNATURE, signature)
            .header(CONTENT_DIGEST, content_digest(&digest));
        request.body(()).unwrap().into_parts().0
    }

    async fn refusal(bodies: &SignedBodies, head: &Parts, body: Body) -> PeerProblem {
        let read = bodies.read(head, body, OldForm::Refused).await;
        read.expect_err("a refusal")
    }

    #[tokio::test]
    async fn a_body_is_read_if_it_is_signed_for_this_node_and_only_once() {
        let bodies = bodies("a");
        let head = signed(SECRET, "a", b"body");
        let read = bodies.read(&head, Body::from("body"), OldForm::Refused);
        assert_eq!(read.await.unwrap().bytes, "body");
        let again = refusal(&bodies, &head, Body::new(Unread(4))).await;
        assert!(matches!(again, PeerProblem::Replayed), "{again:?}");
    }

    #[tokio::test]
    async fn nothing_is_read_without_the_right_signature() {
        let bodies = bodies("a");
        for (head, length) in [
            (signed(b"other", "a", b"body"), 4),
            (signed(SECRET, "b", b"body"), 4),
            (signed(SECRET, "a", b"body"), 5),
        ] {
            let why = refusal(&bodies, &head, Body::new(Unread(length))).await;
            assert!(matches!(why, PeerProblem::Unsigned), "{why:?}");
        }
        let old = format!("{}.00", sluice_types::clock::unix_nanos() / 1_000_000);
        let old = Request::post(PATH).header(SIGNATURE, old);
        let old = old.body(()).unwrap().into_parts().0;
        let why = refusal(&bodies, &old, Body::new(Unread(4))).await;
        assert!(matches!(why, PeerProblem::OldForm), "{why:?}");
    }

    #[tokio::test]
    async fn another_body_than_the_signed_one_is_refused() {
        let bodies = bodies("a");
        let head = signed(SECRET, "a", b"body");
        let why = refusal(&bodies, &head, Body::from("ydob")).await;
        assert!(matches!(&why, PeerProblem::Malformed(_)), "{why:?}");
    }

    #[tokio::test]
    async fn bodies_have_a_budget_of_their_own_and_bodies_in_the_old_form_another() {
        let bodies = bodies("a");
        let now = sluice_types::clock::unix_nanos() / 1_000_000;
        let old = Request::post(PATH).header(SIGNATURE, format!("{now}.00"));
        let old = old.body(()).unwrap().into_parts().0;
        let slow = |length| Body::new(Slow(length));
        let filling = bodies.read(&old, slow(900), OldForm::Taken);
        let meanwhile = async {
            tokio::task::yield_now().await;
            let more = bodies.read(&old, slow(900), OldForm::Taken).await;
            // One budget would not have room for both.
            let body = [b'x'; 900];
            let head = signed(SECRET, "a", &body);
            let signed = bodies.read(&head, Body::from(body.to_vec()), OldForm::Refused);
            (more.unwrap_err(), signed.await.is_ok())
        };
        let (filled, (more, is_read)) = tokio::join!(filling, meanwhile);
        let filled = filled.unwrap_err();
        assert!(matches!(filled, PeerProblem::Body(Problem::SlowBody)));
        assert!(matches!(more, PeerProblem::Body(Problem::Full)), "{more:?}");
        assert!(is_read);
    }

    /// A body that never comes.
    #[derive(Debug)]
    struct Slow(u64);

    impl HttpBody for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }
}
