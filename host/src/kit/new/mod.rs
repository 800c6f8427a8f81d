//! Folders in which new sinks are written. Their files are in
//! `host/src/kit/templates`, where each is what it looks like in the folder of a
//! sink named `my-sink`; `host/build.rs` puts them into the program.

mod name;
mod steps;
mod template;

pub(crate) use name::Name;
pub(crate) use steps::next_steps;
pub(crate) use template::{Kind, Language, Template};
