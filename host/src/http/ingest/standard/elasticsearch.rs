//! Elasticsearch: `_bulk`, single documents, and what clients ask before.

use std::time::Instant;

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::found::{Found, NodeFacts};
use sluice_protocols::answer::Verdict;
use sluice_protocols::elasticsearch::answer::{Reply as Answered, bulk, bulk_size, document};
use sluice_protocols::elasticsearch::client::NotNow;
use sluice_protocols::elasticsearch::handshake::{self, Server};
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::elasticsearch::route::{Route, route};
use sluice_protocols::elasticsearch::{bulk as bulk_body, document as document_body};
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::rejected::Rejections;
use sluice_protocols::tokens::Protocol;

#[derive(Debug)]
struct Bulk {
    index: Option<String>,
    not_now: NotNow,
    began: Instant,
}

#[derive(Debug)]
struct Document {
    index: String,
    id: Option<String>,
    not_now: NotNow,
}

pub(super) fn find(asked: &Asked, node: &NodeFacts) -> Option<Found> {
    let not_now = NotNow::of(asked.header("user-agent"), asked.header("content-type"));
    Some(
        match route(asked.method.as_str(), &asked.path, &asked.query)? {
            Route::Bulk { index } => Found::exchange(Bulk {
                index: index.map(Into::into),
                not_now,
                began: Instant::now(),
            }),
            Route::Document { index, id, .. } => Found::exchange(Document {
                index: index.into(),
                id: id.map(Into::into),
                not_now,
            }),
            Route::Handshake(asked_for) => Found::Answer(handshake::answer(
                asked_for,
                Server {
                    node: &node.name,
                    cluster: &node.cluster,
                    version: &node.elasticsearch_version,
                },
            )),
            Route::NotFound => {
                Found::Answer(handshake::not_found(asked.method.as_str(), &asked.path))
            }
        },
    )
}

impl Exchange for Bulk {
    fn protocol(&self) -> Protocol {
        Protocol::Elasticsearch
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let index = self.index.as_deref();
        let bulk = bulk_body::decode(body, index, terms.observed, terms.most, meter)?;
        Ok(Parsed {
            decoded: bulk.decoded,
            items: bulk.items,
            hides_refusals: bulk.resends_all,
        })
    }

    fn answer_bytes(&self, items: &Items) -> usize {
        bulk_size(items, &Rejections::default())
    }

    fn answer(&self, verdict: Verdict<'_>, items: &Items) -> Reply {
        let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        bulk(items, took, verdict, self.not_now).into()
    }
}

impl Exchange for Document {
    fn protocol(&self) -> Protocol {
        Protocol::Elasticsearch
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let id = self.id.as_deref();
        let decoded = document_body::decode(body, &self.index, id, terms.observed, meter);
        Ok(decoded.into())
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        let generated = rand::random();
        let id = self.id.as_deref();
        document(&self.index, id, generated, verdict, self.not_now).into()
    }
}

impl From<Answered> for Reply {
    fn from(reply: Answered) -> Self {
        match reply {
            Answered::Answer(answer) => Self::Answer(answer),
            Answered::NoAnswer => Self::Close,
        }
    }
}
