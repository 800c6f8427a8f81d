//! Requests that clients send again.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Sleep;

use super::awaited::settled;
use super::service::{Ingest, Offer, Settled};
use crate::http::problem::Problem;
use crate::once::{Delivery, Once, Turn};
use sluice_delivery::{Intake, Recalled};
use sluice_protocols::repeats::Outcome;

/// Says that a request was acknowledged before, and is not delivered again.
pub(super) const DUPLICATE: &str = "sluice-duplicate";

/// What a request is known by when it comes again.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    pub(super) client: Option<IpAddr>,
    /// The stream that it is for, and its path.
    pub(super) place: (&'a str, &'a str),
    /// The client's own id of the request, if it has one.
    pub(super) id: Option<&'a [u8]>,
    pub(super) body: Bytes,
}

/// What is known of a request.
#[derive(Debug)]
pub(super) enum Known {
    /// It is to be delivered.
    New(Option<Delivery>),
    /// It was, and its client does not know that.
    Acknowledged,
}

impl Sent<'_> {
    /// Looks whether the request was sent before. If it is under way, this waits for
    /// its outcome.
    pub(super) async fn known(
        &self,
        once: &Arc<Once>,
        intake: &Intake,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Known, Problem> {
        let recalled = match self.id {
            Some(_) => recalled(intake, deadline.as_mut()).await?,
            None => None,
        };
        let recalled = recalled.as_deref();
        loop {
            let turn = match self.id {
                Some(id) => once.begin_id(self.client, self.place, (id, &self.body), recalled),
                None => once.begin_body(self.client, self.place, &self.body),
            };
            let joined = match turn {
                None => return Ok(Known::New(None)),
                Some(Turn::Deliver(delivery)) => return Ok(Known::New(Some(delivery))),
                Some(Turn::Acknowledged) => return Ok(Known::Acknowledged),
                Some(Turn::Join(joined)) => joined,
            };
            tokio::select! {
                biased;
                outcome = joined.outcome() => match outcome {
                    Outcome::Acknowledged => return Ok(Known::Acknowledged),
                    Outcome::Refused | Outcome::Unknown | Outcome::NotTaken => {}
                },
                () = deadline.as_mut() => {
                    let why = "the same was sent before, and its outcome is not known yet";
                    return Err(Problem::Unknown(why.to_owned()));
                }
            }
        }
    }

    /// Delivers its records, and remembers the outcome if it is to be known later.
    pub(super) async fn deliver(
        &self,
        ingest: &Ingest,
        mut offer: Offer<'_>,
        deadline: Pin<&mut Sleep>,
        mut delivery: Option<Delivery>,
    ) -> Result<Settled, Problem> {
        let (once, producer) = (ingest.once(), offer.producer);
        offer.ids = delivery.iter().filter_map(Delivery::id).collect();
        let lose = || match (delivery.take(), self.id) {
            (delivery, Some(_)) => delivery,
            (Some(delivery), None) => {
                delivery.lose();
                Some(delivery)
            }
            (None, None) => once.lose_body(self.client, self.place, &self.body),
        };
        let delivering = ingest.deliver(offer, deadline, lose);
        let delivered = delivering.await;
        if let Some(delivery) = delivery {
            delivery.settle(match &delivered {
                Ok(done) => settled(&done.rejected, producer),
                Err(Problem::Unknown(_)) => Outcome::Unknown,
                Err(_) => Outcome::NotTaken,
            });
        }
        delivered
    }
}

/// Waits until this node knows what earlier leaders took, if the journal keeps that.
async fn recalled(
    intake: &Intake,
    deadline: Pin<&mut Sleep>,
) -> Result<Option<Arc<Recalled>>, Problem> {
    let Some(recall) = intake.recall() else {
        return Ok(None);
    };
    let unavailable = |why: &str| Problem::Unavailable(why.to_owned());
    tokio::select! {
        biased;
        recalled = recall.recalled() => recalled.map(Some).map_err(unavailable),
        () = deadline => Err(unavailable("the ids of earlier requests cannot be read yet")),
    }
}
