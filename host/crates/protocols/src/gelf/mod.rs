//! GELF, Graylog's format, over UDP, TCP and HTTP.
//!
//! | transport | what comes | then |
//! |---|---|---|
//! | UDP | [`datagram::classify`], and [`chunks::Chunks`] for what comes in parts | [`message::unpacked`], [`message::decode`] |
//! | TCP | [`frames::Frames`] | [`message::decode_frames`] |
//! | HTTP | a body | [`message::unpacked`], [`message::decode_body`], [`answer::answer`] |

pub mod answer;
pub mod chunks;
pub mod datagram;
pub mod frames;
#[cfg(test)]
mod fuzz;
pub mod message;
#[cfg(test)]
mod tests;
