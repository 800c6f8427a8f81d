//! The messages of a write, and of which nothing is known yet.

use std::ops::Range;

use crate::session::Session;

/// The messages of a write in the order of their numbers, which have no gaps.
#[derive(Debug)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    subjects: Vec<u8>,
    /// The number of the first one.
    first: u64,
    messages: Vec<Message>,
    open: usize,
}

#[derive(Debug)]
struct Message {
    record: usize,
    /// Among the subjects.
    subject: Range<usize>,
    is_open: bool,
}

impl Messages {
    /// Room for so many.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            bytes: Vec::new(),
            subjects: Vec::new(),
            first: 0,
            messages: Vec::with_capacity(count),
            open: 0,
        }
    }

    /// Adds the message of a record.
    pub(crate) fn push(
        &mut self,
        record: usize,
        session: &mut Session,
        [subject, headers, payload]: [&[u8]; 3],
    ) {
        let number = session.push(subject, headers, payload, &mut self.bytes);
        if self.messages.is_empty() {
            self.first = number;
        }
        let start = self.subjects.len();
        self.subjects.extend_from_slice(subject);
        self.messages.push(Message {
            record,
            subject: start..self.subjects.len(),
            is_open: true,
        });
        self.open += 1;
    }

    /// What is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) const fn are_open(&self) -> bool {
        self.open > 0
    }

    /// The records of which nothing is known yet.
    pub(crate) fn open(&self) -> Vec<usize> {
        let open = self.messages.iter().filter(|message| message.is_open);
        open.map(|message| message.record).collect()
    }

    /// The record of the message with this number, if it was open until now.
    pub(crate) fn close(&mut self, number: u64) -> Option<usize> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let message = self.messages.get_mut(place)?;
        if !message.is_open {
            return None;
        }
        message.is_open = false;
        self.open -= 1;
        Some(message.record)
    }

    /// The records of the messages to this subject that were open until now.
    pub(crate) fn close_all_to(&mut self, subject: &[u8]) -> Vec<usize> {
        let mut closed = Vec::new();
        for message in &mut self.messages {
            let own = self.subjects.get(message.subject.clone());
            if message.is_open && own == Some(subject) {
                message.is_open = false;
                self.open -= 1;
                closed.push(message.record);
            }
        }
        closed
    }
}
