//! Where large bodies are unpacked and decoded.

use std::pin::Pin;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::time::Sleep;

use crate::allocator::return_after;
use crate::http::problem::Problem;
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::meter::{Client, Meter};

/// How many bodies are unpacked or decoded at a time, per core.
const PER_CORE: usize = 2;

/// Does work on bodies on the blocking pool, a bounded number at a time.
#[derive(Debug)]
pub(super) struct Decoders(Arc<Semaphore>);

impl Decoders {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(PER_CORE * cores)))
    }

    #[cfg(test)]
    pub(super) fn without_turns() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Does the work when its turn comes. If the deadline is over or this future
    /// is dropped, the work stops at its next charge; what it spent is given
    /// back when it has stopped.
    ///
    /// # Errors
    /// The error of the work; or there was no memory or no time for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        reservation: Reservation,
        deadline: Pin<&mut Sleep>,
        work: impl FnOnce(&mut Meter) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(T, Reservation), Problem> {
        let client = Client::default();
        let _waiting = client.waiting();
        let turn = Arc::clone(&self.0).acquire_owned();
        let working = async {
            let turn = turn.await;
            let measured = tokio::task::spawn_blocking(move || {
                let mut took = 0;
                let measured = Meter::new(reservation, client).measure(|meter| {
                    let done = work(meter);
                    took = meter.charged();
                    done
                });
                return_after(took);
                drop(turn);
                measured
            });
            measured.await.unwrap_or_else(|error| {
                let reason = format!("the body could not be decoded: {error}");
                Err(Problem::Unavailable(reason))
            })
        };
        tokio::select! {
            biased;
            measured = working => measured,
            () = deadline => {
                let reason = "this node did not get to decoding it in time";
                Err(Problem::Unavailable(reason.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocols::memory_budget::MemoryBudget;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::time::sleep;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn work_stops_when_its_time_is_over_and_gives_back_what_it_spent() {
        let (decoders, budget) = (
            Decoders(Arc::new(Semaphore::new(1))),
            MemoryBudget::new(100),
        );
        let (ended, end) = mpsc::channel();
        let deadline = pin!(sleep(Duration::from_millis(50)));
        let endless = move |meter: &mut Meter| {
            let is_charged = meter.charge(100);
            while !meter.is_stopped() {
                std::thread::sleep(Duration::from_millis(1));
            }
            ended.send(is_charged).unwrap();
            Ok(())
        };
        let late = decoders.run(budget.reserve(), deadline, endless).await;
        assert!(matches!(late, Err(Problem::Unavailable(_))), "{late:?}");
        // The next one has its turn only when that has ended.
        let deadline = pin!(sleep(LONG));
        let next = decoders.run(budget.reserve(), deadline, |meter| Ok(meter.charge(100)));
        let (is_charged, _reservation) = next.await.unwrap();
        assert!(is_charged && end.try_recv().unwrap());
    }

    #[tokio::test]
    async fn work_for_a_client_that_has_gone_stops_and_gives_back_what_it_spent() {
        let (decoders, budget) = (
            Decoders(Arc::new(Semaphore::new(1))),
            MemoryBudget::new(100),
        );
        let (started, start) = oneshot::channel();
        let mut deadline = pin!(sleep(LONG));
        let endless = move |meter: &mut Meter| {
            started.send(meter.charge(100)).unwrap();
            while !meter.is_stopped() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        };
        tokio::select! {
            ended = decoders.run(budget.reserve(), deadline.as_mut(), endless) => {
                panic!("it has ended: {ended:?}")
            }
            is_charged = start => assert_eq!(is_charged, Ok(true)),
        }
        let next = decoders.run(budget.reserve(), deadline, |meter| Ok(meter.charge(100)));
        assert!(next.await.unwrap().0);
    }

    #[test]
    fn there_are_two_turns_per_core() {
        let cores = available_parallelism().map_or(1, usize::from);
        assert_eq!(Decoders::new().0.available_permits(), 2 * cores);
    }

    #[tokio::test]
    async fn waiting_for_a_turn_counts_against_the_deadline() {
        let (decoders, budget) = (Decoders::without_turns(), MemoryBudget::new(100));
        let deadline = pin!(sleep(Duration::from_millis(10)));
        let late = decoders.run(budget.reserve(), deadline, |_| Ok(()));
        let late = tokio::time::timeout(Duration::from_secs(20), late).await;
        assert!(matches!(late, Ok(Err(Problem::Unavailable(_)))), "{late:?}");
        assert_eq!(budget.reserve().spend(100), Ok(()));
    }
}
