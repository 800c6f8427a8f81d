//! Turns on the machine. Most tests start processes beside those of other
//! tests. A few measure how long something takes while the cores are busy, and
//! need the machine for themselves.
//!
//! The turn is a lock on a file, so that it also holds between the test
//! programs of this build. Whatever starts processes keeps a shared lock for as
//! long as it lives, and a test that runs alone an exclusive one. Every test
//! asks for its lock behind a gate, a second lock, which it opens again once it
//! has the first. So a test that waits to be alone keeps the gate shut, and
//! tests that come later wait behind it instead of starving it.
//!
//! A test asks only once: a second request behind the gate would wait for the
//! test that waits at the gate, and that one for the first request. What a test
//! starts later shares the turn that it has. A test has a thread of its own,
//! also with `#[tokio::test]`, so the thread knows the turn. Tasks and threads
//! that a test spawns must not start anything that takes a turn.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

/// The right to use the machine. It ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    _lock: Arc<File>,
}

thread_local! {
    /// The lock of the test that runs on this thread.
    static OWN: RefCell<Weak<File>> = const { RefCell::new(Weak::new()) };
}

impl Turn {
    /// The turn that this test has; otherwise waits until no test runs alone.
    pub(crate) fn beside_others() -> Self {
        Self::of_this_test().unwrap_or_else(|| Self::take(File::lock_shared))
    }

    /// Waits until no other test has a turn. A test that wants to run alone
    /// takes its turn before it starts anything.
    #[allow(
        dead_code,
        reason = "not every test program has a test that runs alone"
    )]
    pub(crate) fn alone() -> Self {
        assert!(Self::of_this_test().is_none(), "this test has a turn");
        Self::take(File::lock)
    }

    fn of_this_test() -> Option<Self> {
        let lock = OWN.with_borrow(Weak::upgrade)?;
        Some(Self { _lock: lock })
    }

    fn take(kind: fn(&File) -> io::Result<()>) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let lock = Arc::new(locked(folder, kind));
        OWN.set(Arc::downgrade(&lock));
        Self { _lock: lock }
    }
}

/// Waits for a lock behind the gate. The lock ends when the file is closed.
fn locked(folder: &Path, kind: fn(&File) -> io::Result<()>) -> File {
    let open = |name| File::create(folder.join(name)).expect("make a lock file");
    let (gate, turn) = (open("gate.lock"), open("turn.lock"));
    gate.lock().expect("lock the gate");
    kind(&turn).expect("lock the turn");
    turn
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_test_has_one_turn() {
        let one = Turn::beside_others();
        let other = Turn::beside_others();
        assert!(Arc::ptr_eq(&one._lock, &other._lock));
        drop((one, other));
        assert!(Turn::of_this_test().is_none());
    }

    #[test]
    fn a_test_that_waits_to_run_alone_goes_before_later_tests() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (tell, told) = mpsc::channel();
        let early = [
            locked(folder, File::lock_shared),
            locked(folder, File::lock_shared),
        ];
        thread::scope(|scope| {
            let tell_alone = tell.clone();
            scope.spawn(move || {
                let turn = locked(folder, File::lock);
                tell_alone.send("alone").unwrap();
                drop(turn);
            });
            let gate = File::open(folder.join("gate.lock")).unwrap();
            while gate.try_lock().is_ok() {
                gate.unlock().unwrap();
                thread::sleep(Duration::from_millis(1));
            }
            scope.spawn(move || {
                let turn = locked(folder, File::lock_shared);
                tell.send("late").unwrap();
                drop(turn);
            });
            assert!(told.try_recv().is_err(), "nobody has a turn yet");
            drop(early);
            assert_eq!(told.iter().collect::<Vec<_>>(), ["alone", "late"]);
        });
    }
}
