use bytes::Bytes;

/// A key's value and indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value, any bytes.
    pub value: Bytes,
    /// A number for the client's use.
    pub flags: u64,
    /// The id of the session that holds the key.
    pub session: Option<String>,
    /// How many times the key was acquired.
    pub lock_index: u64,
    /// The index of the change that created the key.
    pub create_index: u64,
    /// The index of the latest change to the key.
    pub modify_index: u64,
}

/// What a write stores.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The value, any bytes.
    pub value: Bytes,
    /// A number for the client's use.
    pub flags: u64,
}
