//! `builtin:`: sinks inside the binary.

use std::fmt;

/// The default sink, built with this binary.
const STDOUT: &[u8] = include_bytes!(env!("SLUICE_BUILTIN_STDOUT"));

/// The sinks inside the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Writes one line per record on stdout.
    Stdout,
}

impl Builtin {
    pub(super) const SCHEME: &'static str = "builtin";

    pub(super) fn parse(rest: &str) -> Option<Self> {
        (rest == "stdout").then_some(Self::Stdout)
    }

    /// The component.
    #[must_use]
    pub const fn component(self) -> &'static [u8] {
        match self {
            Self::Stdout => STDOUT,
        }
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Stdout => "stdout",
        };
        write!(f, "{}:{name}", Self::SCHEME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_sink_is_a_component() {
        assert!(Builtin::Stdout.component().starts_with(b"\0asm"));
    }
}
