//! Tries again after failures that may pass.

use std::time::Duration;

use tokio::time::sleep;

use sluice_types::backoff::Backoff;

const ATTEMPTS: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(2);

/// An error that says whether it may pass by itself.
pub(super) trait MayPass {
    fn may_pass(&self) -> bool;
}

/// Repeats what fails for a reason that may pass, a few times. The controller
/// tries again later.
pub(super) async fn retried<T, E: MayPass, F>(mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.may_pass() => sleep(backoff.next(None)).await,
            done => return done,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;

    impl MayPass for bool {
        fn may_pass(&self) -> bool {
            *self
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_and_nothing_else() {
        for (failures, may_pass, expected, attempts) in [
            (2, true, Ok(()), 3),
            (3, true, Err(true), 3),
            (1, false, Err(false), 1),
        ] {
            let mut count = 0;
            let outcome = retried(|| {
                count += 1;
                let outcome = if count <= failures {
                    Err(may_pass)
                } else {
                    Ok(())
                };
                std::future::ready(outcome)
            });
            assert_eq!(outcome.await, expected);
            assert_eq!(count, attempts);
        }
    }
}
