//! What a world can leave out, to show that the simulation misses it.

/// A rule, an assumption or a duty of the driver that a world leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    // Rules of the data side.
    /// The lease is checked before a write.
    CheckBeforeWrite,
    /// The lease is checked again before the acknowledgement.
    CheckBeforeAcknowledgement,
    // Rules of the election.
    /// The winner waits.
    Waiting,
    /// Acknowledging stops before the lock is released as clean.
    StoppingFirst,
    /// A winner that still waits releases with the flags that it found.
    FoundFlags,
    /// Only a read is a proof; a renewal of the session is not.
    ReadsOnly,
    /// A renewal that says no proves nothing, and its session is ended.
    Doubt,
    /// A leader that can renew but not prove releases the lock, by itself or because
    /// others see it.
    ReleasingUnproven,
    /// The sessions of an earlier process are ended.
    EndingEarlier,
    // Assumptions.
    /// The clock goes on while the machine is suspended.
    SuspendCounted,
    /// The clock never goes back.
    SteadyClock,
    /// Clocks run equally fast, or nearly so.
    BoundedRates,
    /// A proof is a consistent read.
    Consistency,
    // Duties of the driver.
    /// It wakes the election when it asked to be woken.
    Timers,
    /// The epoch is on disk before the election learns of its win.
    EpochOnDisk,
    /// A session's id is on disk before the election learns of it.
    SessionOnDisk,
    /// A lease is extended from before the proof was requested, not from when
    /// it was answered.
    RequestTime,
    /// An answer belongs to the tenure that asked for it.
    TenureOfAnswer,
    /// A session is ended until the coordinator has confirmed it.
    EndingUntilConfirmed,
    /// A call without an answer is reported to the election.
    TellingSilence,
}
