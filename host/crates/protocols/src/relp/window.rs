//! The transactions that are not answered yet. They are settled in any order and
//! answered in that of the client.

use std::collections::VecDeque;

use super::command::Command;
use super::response;

/// How many transactions a client has at most without an answer: the window of
/// librelp. No more is read of a client that has them.
pub const TRANSACTIONS_MAX: usize = 128;

/// The transactions of a connection that are not answered yet. An idle one has no
/// memory of its own.
#[derive(Debug, Default)]
pub struct Window {
    open: VecDeque<Transaction>,
    /// The ticket of the first of them.
    first: u64,
    is_closed: bool,
}

/// Names a transaction in its window. Transaction numbers come round again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Clone, Copy, Debug)]
struct Transaction {
    number: u32,
    command: Command,
    is_settled: bool,
}

impl Window {
    /// Whether no more is to be read until some are answered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.len() >= TRANSACTIONS_MAX
    }

    /// How many more transactions can begin.
    #[must_use]
    pub fn room(&self) -> usize {
        TRANSACTIONS_MAX.saturating_sub(self.open.len())
    }

    /// Whether everything is answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether `close` was answered. The connection is to be closed then.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Begins a transaction, if there is room. `open` and `close` are settled at
    /// once, and answered when it is their turn.
    ///
    /// Hints, whose transaction is 0, and unknown commands have no answer, and
    /// must not come here.
    #[must_use]
    pub fn begin(&mut self, number: u32, command: Command) -> Option<Ticket> {
        if self.is_full() {
            return None;
        }
        let ticket = Ticket(self.first + self.open.len() as u64);
        self.open.push_back(Transaction {
            number,
            command,
            is_settled: command != Command::Syslog,
        });
        Some(ticket)
    }

    /// Says that a message is acknowledged or refused for good.
    pub fn settle(&mut self, ticket: Ticket) {
        let place = ticket.0.checked_sub(self.first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(transaction) = place.and_then(|place| self.open.get_mut(place)) {
            transaction.is_settled = true;
        }
    }

    /// Writes the answers that can be given: those up to the first transaction
    /// that is not settled.
    pub fn write_answers(&mut self, into: &mut Vec<u8>) {
        while let Some(transaction) = self.open.pop_front_if(|next| next.is_settled) {
            self.first += 1;
            match transaction.command {
                Command::Open => response::write_opened(transaction.number, into),
                Command::Syslog => response::write_ok(transaction.number, into),
                Command::Close => {
                    response::write_closed(transaction.number, into);
                    self.is_closed = true;
                }
                Command::Other => {}
            }
        }
        if self.open.is_empty() {
            self.open = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(window: &mut Window) -> String {
        let mut written = Vec::new();
        window.write_answers(&mut written);
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn answers_are_given_in_order() {
        let mut window = Window::default();
        window.begin(1, Command::Open).unwrap();
        assert!(answers(&mut window).starts_with("1 rsp 58 200 OK\n"));
        let [two, three, four] =
            [2, 3, 4].map(|number| window.begin(number, Command::Syslog).unwrap());
        window.begin(5, Command::Close).unwrap();
        window.settle(three);
        assert_eq!(answers(&mut window), "");
        window.settle(two);
        assert_eq!(answers(&mut window), "2 rsp 6 200 OK\n3 rsp 6 200 OK\n");
        // What was answered cannot be settled again.
        window.settle(two);
        window.settle(Ticket(1000));
        assert_eq!(answers(&mut window), "");
        assert!(!window.is_closed() && !window.is_empty());
        window.settle(four);
        let expected = "4 rsp 6 200 OK\n5 rsp 0\n0 serverclose 0\n";
        assert_eq!(answers(&mut window), expected);
        assert!(window.is_closed() && window.is_empty());
    }

    #[test]
    fn a_full_window_takes_no_more() {
        let mut window = Window::default();
        let tickets: Vec<_> = (0..128)
            .map(|number| window.begin(number, Command::Syslog).unwrap())
            .collect();
        assert!(window.is_full() && window.room() == 0);
        assert_eq!(window.begin(128, Command::Syslog), None);
        for ticket in tickets.into_iter().rev() {
            assert_eq!(answers(&mut window), "");
            window.settle(ticket);
        }
        assert_eq!(answers(&mut window).lines().count(), 128);
        assert!(window.is_empty() && window.room() == 128);
        assert_eq!(window.open.capacity(), 0);
    }

    #[test]
    fn numbers_that_come_round_again_are_told_apart() {
        let mut window = Window::default();
        let last = window.begin(999_999_999, Command::Syslog).unwrap();
        let [first, again] = [1, 1].map(|number| window.begin(number, Command::Syslog).unwrap());
        window.settle(again);
        window.settle(last);
        assert_eq!(answers(&mut window), "999999999 rsp 6 200 OK\n");
        window.settle(first);
        assert_eq!(answers(&mut window), "1 rsp 6 200 OK\n".repeat(2));
    }
}
