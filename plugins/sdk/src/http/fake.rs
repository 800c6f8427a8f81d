//! Exchanges of native builds: with the destinations of `testing`, in the same
//! thread, without sockets and without waiting.

use std::cell::RefCell;
use std::rc::Rc;

use super::error::Cause;
use super::limits::Limits;
use super::received::Received;
use super::run::Run;
use super::{Answer, Error, Request};

/// What a destination without sockets does with a request.
pub(crate) trait Exchange {
    /// The origin of its URLs.
    fn origin(&self) -> &str;

    /// So many requests are under way now.
    fn under_way(&self, count: usize);

    /// Status, headers and body, or why there is no answer. A timeout is the
    /// client's own.
    fn answer(&self, request: Received, limits: &Limits) -> Result<Answered, Cause>;
}

/// Status, headers and body.
pub(crate) type Answered = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

type Destinations = Vec<Rc<dyn Exchange>>;

thread_local! {
    static DESTINATIONS: RefCell<Destinations> = const { RefCell::new(Vec::new()) };
}

/// Works on the destinations of this thread.
pub(crate) fn with_destinations<T>(work: impl FnOnce(&mut Destinations) -> T) -> T {
    DESTINATIONS.with_borrow_mut(work)
}

/// Sends the requests of a run. As many as can be under way begin together, and
/// are answered in their order.
pub(super) fn exchange(limits: &Limits, run: &mut Run<'_>, at_once: usize) {
    loop {
        let begun: Vec<_> = (0..at_once).map_while(|_| run.next()).collect();
        if begun.is_empty() {
            return;
        }
        let count = begun.len();
        for (place, request) in begun {
            let target = request.target();
            let result = answer(limits, request, count);
            run.settle(place, result.map_err(|cause| Error { target, cause }));
        }
    }
}

fn answer(limits: &Limits, request: Request, count: usize) -> Result<Answer, Cause> {
    let origin = request.url.origin();
    let found = with_destinations(|all| {
        let mut all = all.iter().rev();
        all.find(|known| known.origin() == origin).cloned()
    });
    let Some(destination) = found else {
        return Err(Cause::Denied { origin });
    };
    destination.under_way(count);
    let target = request.target();
    let received = Received {
        method: request.method,
        path: request.url.path_and_query(),
        headers: request.headers,
        body: request.body,
    };
    let (status, headers, mut body) = destination.answer(received, limits)?;
    let is_cut = body.len() > limits.max_answer;
    body.truncate(limits.max_answer);
    Ok(Answer {
        status,
        headers,
        body,
        is_cut,
        target,
    })
}

impl Limits {
    /// What a destination that never answers looks like.
    pub(crate) fn timed_out(&self) -> Cause {
        let after = self.timeout.min(self.budget);
        Cause::Timeout { after }
    }
}
