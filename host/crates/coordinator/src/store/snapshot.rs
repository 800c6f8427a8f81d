use super::change::Interest;

/// The result of a read, and what has to change before the same read can
/// return something else.
///
/// A blocking query reads, and returns if `index` is above the caller's index.
/// Otherwise it reads again once [`Changes::concerns`] holds for `interest`.
///
/// [`Changes::concerns`]: super::Changes::concerns
#[derive(Debug)]
pub struct Snapshot<T> {
    /// The index of the latest change to what was read.
    pub index: u64,
    /// What was read.
    pub value: T,
    /// The changes that can affect this read.
    pub interest: Interest,
}
