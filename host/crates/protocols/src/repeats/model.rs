//! Random histories: the same comes out as of a model that forgets nothing itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use super::tests::{SECOND, body, id, repeats};
use super::*;
use crate::fuzzing::each_seed;

/// The same rules in a simpler form: what is remembered is the end of a list of
/// all that ever happened.
struct Model {
    capacity: usize,
    tickets: u64,
    under_way: HashMap<u64, (u64, bool)>,
    window: Duration,
    /// Which id was settled how and when, with its ticket; those before `first` are
    /// forgotten.
    settled: Vec<(u64, u64, Outcome, Instant)>,
    first: usize,
    /// Which body was lost when, with its ticket; none if it was matched.
    lost: Vec<(u64, u64, Instant, Option<Standing>)>,
    first_lost: usize,
}

impl Model {
    fn new(capacity: usize, window: Duration) -> Self {
        Self {
            capacity,
            window,
            tickets: 0,
            under_way: HashMap::new(),
            settled: Vec::new(),
            first: 0,
            lost: Vec::new(),
            first_lost: 0,
        }
    }

    fn begin_id(&mut self, id: u64, now: Instant) -> Found {
        self.tickets += 1;
        let is_over = |settled: &&(_, _, _, Instant)| now - settled.3 > self.window;
        self.first += self.settled[self.first..]
            .iter()
            .take_while(is_over)
            .count();
        if let Some((ticket, _)) = self.under_way.get(&id) {
            return Found::UnderWay(*ticket);
        }
        let known = self.settled[self.first..]
            .iter()
            .rfind(|settled| settled.0 == id);
        let (ticket, earlier) = match known {
            Some((_, ticket, Outcome::Acknowledged, _)) => return Found::Acknowledged(*ticket),
            Some((_, ticket, Outcome::Unknown, _)) => (*ticket, Some(Earlier::Unknown)),
            Some(_) => (self.tickets, Some(Earlier::Refused)),
            None => (self.tickets, None),
        };
        if known.is_some() || self.under_way.len() < self.capacity {
            let is_again = earlier == Some(Earlier::Unknown);
            self.under_way.insert(id, (ticket, is_again));
            let all = self.settled.len() + self.under_way.len();
            self.first = self.first.max(all.saturating_sub(self.capacity));
        }
        Found::Nothing(ticket, earlier)
    }

    fn settle_id(&mut self, id: u64, ticket: u64, outcome: Outcome, now: Instant) {
        match self.under_way.get(&id) {
            Some((under_way, is_again)) if *under_way == ticket => {
                match outcome {
                    // Nothing is known of it, not even that it was refused before.
                    Outcome::NotTaken if !is_again => {
                        let same = self.settled.iter_mut().filter(|settled| settled.0 == id);
                        same.for_each(|settled| settled.0 = u64::MAX);
                    }
                    Outcome::NotTaken => self.settled.push((id, ticket, Outcome::Unknown, now)),
                    outcome => self.settled.push((id, ticket, outcome, now)),
                }
                self.under_way.remove(&id);
            }
            Some(_) => {}
            None => {
                let mut settled = self.settled[self.first..].iter_mut();
                let last = settled.rfind(|settled| settled.0 == id);
                if let Some(last) = last
                    && last.1 == ticket
                    && outcome == Outcome::Acknowledged
                {
                    last.2 = outcome;
                }
            }
        }
    }

    fn pass(&mut self, now: Instant) {
        let is_over = |lost: &(_, _, Instant, Option<_>)| lost.3.is_none() || now - lost.2 > WINDOW;
        let over = self.lost.iter().take_while(|lost| is_over(lost)).count();
        let room = self.lost.len().saturating_sub(self.capacity);
        self.first_lost = self.first_lost.max(over).max(room);
    }

    fn begin_body(&mut self, body: u64, now: Instant) -> Found {
        self.tickets += 1;
        self.pass(now);
        let lost = self.lost[self.first_lost..].iter_mut();
        let matching = lost.filter(|lost| lost.0 == body && lost.3.is_some());
        match matching.min_by_key(|lost| lost.1) {
            Some((_, ticket, _, standing)) => match standing.take().unwrap() {
                Standing::UnderWay => Found::UnderWay(*ticket),
                Standing::Acknowledged => Found::Acknowledged(*ticket),
                Standing::Unknown => Found::Nothing(*ticket, Some(Earlier::Unknown)),
            },
            None => Found::new(self.tickets),
        }
    }

    fn lose(&mut self, body: u64, ticket: u64, standing: Standing, now: Instant) {
        // Lost again: only the last time counts.
        let same = |lost: &&mut (u64, u64, Instant, _)| (lost.0, lost.1) == (body, ticket);
        self.lost
            .iter_mut()
            .filter(same)
            .for_each(|lost| lost.3 = None);
        self.pass(now);
        self.lost.push((body, ticket, now, Some(standing)));
        self.pass(now);
    }

    fn settle_body(&mut self, body: u64, ticket: u64, outcome: Outcome, now: Instant) {
        let same = |lost: &&mut (u64, u64, _, Option<_>)| {
            (lost.0, lost.1) == (body, ticket) && lost.3.is_some()
        };
        let lost = self.lost[self.first_lost..].iter_mut().rfind(same);
        match (lost, outcome) {
            (Some(lost), Outcome::Acknowledged) => lost.3 = Some(Standing::Acknowledged),
            (Some(lost), Outcome::Unknown) => {
                if lost.3 == Some(Standing::UnderWay) {
                    lost.3 = Some(Standing::Unknown);
                }
            }
            (Some(lost), _) => lost.3 = None,
            (None, Outcome::Unknown) => self.lose(body, ticket, Standing::Unknown, now),
            (None, _) => {}
        }
    }
}

fn any_outcome(rng: &mut StdRng) -> Outcome {
    match rng.random_range(0..4) {
        0 => Outcome::Acknowledged,
        1 => Outcome::Refused,
        2 => Outcome::Unknown,
        _ => Outcome::NotTaken,
    }
}

fn any_standing(rng: &mut StdRng) -> Standing {
    match rng.random_range(0..3) {
        0 => Standing::UnderWay,
        1 => Standing::Acknowledged,
        _ => Standing::Unknown,
    }
}

/// What the model found is what was begun.
fn assert_same(begun: Begun, found: Found) -> Ticket {
    match (begun, found) {
        (Begun::Deliver { ticket, earlier }, Found::Nothing(number, expected)) => {
            assert_eq!((ticket.number, earlier), (number, expected));
            ticket
        }
        (Begun::Join(ticket), Found::UnderWay(number))
        | (Begun::Acknowledged(ticket), Found::Acknowledged(number)) => {
            assert_eq!(ticket.number, number);
            ticket
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_do_what_the_model_does() {
    each_seed(|rng| {
        let capacity = rng.random_range(0..6);
        let window = 1000 * SECOND;
        let mut repeats = Repeats::new(Limits {
            count: capacity,
            window,
            ..Limits::default()
        });
        let mut model = Model::new(capacity, window);
        let mut now = Instant::now();
        let mut tickets: Vec<(u64, Ticket)> = Vec::new();
        let mut acknowledged = [false; 8];
        for _ in 0..rng.random_range(0..200) {
            now += rng.random_range(0..100) * SECOND;
            if rng.random_bool(0.5) || tickets.is_empty() {
                let n = rng.random_range(0..8);
                let begun = repeats.begin(id(n), now);
                if let Begun::Acknowledged(_) = begun {
                    assert!(acknowledged[n as usize]);
                }
                tickets.push((n, assert_same(begun, model.begin_id(n, now))));
            } else {
                // Often one of the last.
                let from = tickets.len().saturating_sub(rng.random_range(1..20));
                let (n, ticket) = tickets[rng.random_range(from..tickets.len())];
                let outcome = any_outcome(rng);
                acknowledged[n as usize] |= outcome == Outcome::Acknowledged;
                repeats.settle(ticket, outcome, now);
                model.settle_id(n, ticket.number, outcome, now);
            }
            assert!(repeats.ids.len() <= capacity);
        }
    });
}

#[test]
fn bodies_do_what_the_model_does() {
    each_seed(|rng| {
        let capacity = rng.random_range(0..6);
        let (mut repeats, mut model) = (repeats(capacity), Model::new(capacity, WINDOW));
        let mut now = Instant::now();
        let mut tickets: Vec<(u64, Ticket)> = Vec::new();
        let (mut lost, mut matched) = ([0; 4], [0; 4]);
        for _ in 0..rng.random_range(0..200) {
            now += rng.random_range(0..40) * SECOND;
            if rng.random_bool(0.4) || tickets.is_empty() {
                let n = rng.random_range(0..4);
                let begun = repeats.begin(body(n), now);
                let is_new = matches!(begun, Begun::Deliver { earlier: None, .. });
                matched[n as usize] += u32::from(!is_new);
                tickets.push((n, assert_same(begun, model.begin_body(n, now))));
            } else {
                let from = tickets.len().saturating_sub(rng.random_range(1..10));
                let (n, ticket) = tickets[rng.random_range(from..tickets.len())];
                if rng.random_bool(0.5) {
                    let standing = any_standing(rng);
                    lost[n as usize] += 1;
                    repeats.lose_answer(ticket, standing, now);
                    model.lose(n, ticket.number, standing, now);
                } else {
                    let outcome = any_outcome(rng);
                    lost[n as usize] += u32::from(outcome == Outcome::Unknown);
                    repeats.settle(ticket, outcome, now);
                    model.settle_body(n, ticket.number, outcome, now);
                }
            }
            assert!(
                matched
                    .iter()
                    .zip(lost)
                    .all(|(matched, lost)| *matched <= lost)
            );
            assert!(repeats.bodies.len() <= capacity);
        }
    });
}
