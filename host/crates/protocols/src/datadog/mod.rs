//! Datadog's intake: `POST /api/v2/logs`, `/v1/input` and `/v1/input/{key}`, with
//! a JSON object or an array of them; `GET /api/v1/validate`.
//!
//! An object becomes a record whose body is its `message`, `msg` or `log`. Its
//! time is `timestamp`, `@timestamp` or `date`, in milliseconds or whatever
//! else is a time. `service` becomes `service.name`, `hostname` or `host` becomes
//! `host.name`, and the severity is the first of `status`, `severity` and `level`
//! that is known. Everything else is an attribute of the same name, `ddsource`
//! and `ddtags` too: of the tags, a name may be there many times or have no value,
//! so they stay one text.
//!
//! No client can be told that one of its records is refused: the agent drops the
//! whole request, and Fluent Bit sends all of it again. So the decoder refuses
//! none. What cannot be taken apart becomes a record with the JSON as its body,
//! and a time or severity that is not understood stays an attribute. What the sink
//! refuses is acknowledged, and is to be kept as a dead letter.

pub mod answer;
pub mod decode;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
