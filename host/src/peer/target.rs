//! A node that a request is sent to.

/// A node that a request is sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The node's name, which the signature covers.
    pub(crate) node: &'a str,
    /// Its `host:port`.
    pub(crate) address: &'a str,
}
