//! Which refusals were written a moment ago.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::{Event, Outcome};

/// How long a refusal is counted instead of written again.
const WINDOW: Duration = Duration::from_secs(10);
/// How many different refusals are remembered. The ones beyond that are written
/// together as one.
const MAX_REMEMBERED: usize = 1000;

/// Refusals that were written a moment ago, and how often they came again.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    seen: HashMap<Event, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    again: u64,
}

impl Tally {
    /// Whether the event is to be written now. Actions always are.
    pub(crate) fn is_new(&mut self, event: &Event, now: Instant) -> bool {
        if event.outcome != Outcome::Refused {
            return true;
        }
        if let Some(seen) = self.seen.get_mut(event) {
            seen.again += 1;
            return false;
        }
        let is_full = self.seen.len() >= MAX_REMEMBERED;
        let event = match is_full {
            true => others(event),
            false => event.clone(),
        };
        let seen = self.seen.entry(event).or_insert(Seen { at: now, again: 0 });
        seen.again += u64::from(is_full);
        !is_full
    }

    /// The refusals whose time is over and that came again, and how often. With
    /// `all`, whether their time is over or not.
    pub(crate) fn over(&mut self, now: Instant, all: bool) -> Vec<(Event, u64)> {
        let is_over = |_: &Event, seen: &mut Seen| all || now.duration_since(seen.at) >= WINDOW;
        let over = self.seen.extract_if(is_over);
        over.filter(|(_, seen)| seen.again > 0)
            .map(|(event, seen)| (event, seen.again))
            .collect()
    }
}

/// What stands for refusals that cannot be remembered one by one.
fn others(event: &Event) -> Event {
    Event {
        who: None,
        what: event.what.clone(),
        from: None,
        outcome: Outcome::Refused,
        detail: "of other clients and addresses".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(from: u32) -> Event {
        Event {
            who: None,
            what: "send".to_owned(),
            from: Some(std::net::Ipv4Addr::from(from).into()),
            outcome: Outcome::Refused,
            detail: String::new(),
        }
    }

    #[test]
    fn a_refusal_is_new_again_when_its_window_is_over() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        assert!(tally.is_new(&refusal(1), start));
        assert!(!tally.is_new(&refusal(1), start + WINDOW / 2));
        assert!(tally.is_new(&refusal(2), start + WINDOW / 2));
        assert!(tally.over(start + WINDOW / 2, false).is_empty());
        assert_eq!(tally.over(start + WINDOW, false), [(refusal(1), 1)]);
        assert!(tally.is_new(&refusal(1), start + WINDOW));
    }

    #[test]
    fn a_flood_from_ever_new_addresses_is_bounded() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        let flood = 10 * MAX_REMEMBERED;
        let written = (0..flood)
            .filter(|from| tally.is_new(&refusal(u32::try_from(*from).unwrap()), start))
            .count();
        assert_eq!(written, MAX_REMEMBERED);
        assert!(tally.seen.len() <= MAX_REMEMBERED + 1);
        let over = tally.over(start + WINDOW, false);
        let counted: u64 = over.iter().map(|(_, again)| again).sum();
        assert_eq!(counted, u64::try_from(flood - MAX_REMEMBERED).unwrap());
    }
}
