//! RELP, the reliable event logging protocol of rsyslog.
//!
//! A client sends commands with transaction numbers, up to 128 without an answer,
//! and forgets a message when it is answered. So an answer is given only when the
//! message is acknowledged or refused for good. There is no other answer: a client
//! that is told `500` drops the message and resends others. While messages cannot
//! be taken, nothing is read; and when they are not taken after all, the
//! connection is closed after [`response::SERVER_CLOSE`], and the client sends
//! all again that was not answered.

pub mod command;
pub mod decode;
pub mod framer;
#[cfg(test)]
mod fuzz;
pub mod response;
#[cfg(test)]
mod tests;
