//! CloudWatch Logs, as Docker's awslogs driver and the AWS SDKs send them.

use bytes::Bytes;

use super::asked::Asked;
use super::exchange::{Exchange, Parsed, Reply, Terms};
use super::found::Found;
use sluice_delivery::Producer;
use sluice_protocols::answer::Verdict;
use sluice_protocols::aws_logs::answer::put_log_events as answer;
use sluice_protocols::aws_logs::decode::put_log_events;
use sluice_protocols::aws_logs::operation::Operation;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::tokens::Protocol;

#[derive(Debug)]
struct PutLogEvents;

pub(super) fn find(asked: &Asked) -> Option<Found> {
    let target = asked.header("x-amz-target")?;
    if asked.method != "POST" || asked.path != "/" {
        return None;
    }
    let operation = Operation::of_target(target);
    Some(match operation {
        Operation::PutLogEvents => Found::exchange(PutLogEvents),
        other => Found::question(move |body, _| {
            let answered = other.handshake(body);
            answered.unwrap_or_else(|| answer(&Verdict::Malformed("not a question")))
        }),
    })
}

impl Exchange for PutLogEvents {
    fn protocol(&self) -> Protocol {
        Protocol::AwsLogs
    }

    fn producer(&self) -> Producer {
        Producer::CannotBeTold
    }

    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError> {
        let Terms { observed, most } = terms;
        put_log_events(body, observed, most, meter).map(Parsed::from)
    }

    fn answer(&self, verdict: Verdict<'_>, _items: &Items) -> Reply {
        answer(&verdict).into()
    }
}
