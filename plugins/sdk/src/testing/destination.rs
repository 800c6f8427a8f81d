//! A destination without sockets.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use crate::http::{Answered, Cause, Exchange, Limits, Received, with_destinations};

/// A server for the sinks of this thread, at one origin. Requests to origins
/// without a destination are denied, as by a node that does not permit them. Gone
/// when it is dropped.
pub struct Destination(Rc<State>);

type Answers = Box<dyn FnMut(&Received) -> Reply>;

struct State {
    origin: String,
    answers: RefCell<Answers>,
    requests: RefCell<Vec<Received>>,
    most_at_once: Cell<usize>,
}

/// What a destination does with a request.
#[derive(Clone, Debug)]
pub struct Reply(Act);

#[derive(Clone, Debug)]
enum Act {
    Answer {
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Vec<u8>,
    },
    Hang,
    Close,
}

impl Destination {
    /// A destination at an origin, such as `https://logs.example.com`, that
    /// answers as the function says.
    #[must_use]
    pub fn new(origin: &str, answers: impl FnMut(&Received) -> Reply + 'static) -> Self {
        let state = Rc::new(State {
            origin: origin.to_owned(),
            answers: RefCell::new(Box::new(answers)),
            requests: RefCell::default(),
            most_at_once: Cell::default(),
        });
        with_destinations(|all| all.push(Rc::clone(&state) as Rc<dyn Exchange>));
        Self(state)
    }

    /// A destination that gives these answers in turn, and then `200`.
    #[must_use]
    pub fn script(origin: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        Self::new(origin, move |_| {
            let next = replies.pop_front();
            next.unwrap_or_else(|| Reply::status(200))
        })
    }

    /// All requests so far, also those that got no answer.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.0.requests.borrow().clone()
    }

    /// The most requests that were under way at a time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.0.most_at_once.get()
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        let own = Rc::as_ptr(&self.0).cast::<()>();
        with_destinations(|all| all.retain(|known| Rc::as_ptr(known).cast::<()>() != own));
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.0.origin).finish()
    }
}

impl Reply {
    /// An answer with this status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self(Act::Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    /// No answer at all: the client's time runs out, without waiting in the test.
    #[must_use]
    pub const fn hang() -> Self {
        Self(Act::Hang)
    }

    /// The connection is closed without an answer.
    #[must_use]
    pub const fn close() -> Self {
        Self(Act::Close)
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Act::Answer { headers, .. } = &mut self.0 {
            headers.push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        }
        self
    }

    /// Sets the body of the answer.
    #[must_use]
    pub fn body(mut self, text: impl Into<Vec<u8>>) -> Self {
        if let Act::Answer { body, .. } = &mut self.0 {
            *body = text.into();
        }
        self
    }
}

impl Exchange for State {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn under_way(&self, count: usize) {
        let most = self.most_at_once.get().max(count);
        self.most_at_once.set(most);
    }

    fn answer(&self, request: Received, limits: &Limits) -> Result<Answered, Cause> {
        let reply = (self.answers.borrow_mut())(&request);
        self.requests.borrow_mut().push(request);
        match reply.0 {
            Act::Answer {
                status,
                headers,
                body,
            } => Ok((status, headers, body)),
            Act::Hang => Err(limits.timed_out()),
            Act::Close => Err(Cause::Connection("the connection was closed".to_owned())),
        }
    }
}
