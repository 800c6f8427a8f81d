//! A hostile sink for tests: a message that names an attack makes it attack its
//! node. It prints all other messages.

#![cfg(target_family = "wasm")]

mod attacks;

/// Bindings generated from `wit/0.1/`.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the canonical ABI passes raw pointers"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit/0.1", world: "log-sink" });

    export!(Hostile with_types_in self);
    use super::Hostile;
}

use attacks::ATTACKS;
use bindings::exports::sluice::sink::sink::Guest;
use bindings::sluice::sink::types::{Delivery, Failure, LogRecord, Refusal};

struct Hostile;

impl Guest for Hostile {
    fn open(_: String) -> Result<(), Failure> {
        Ok(())
    }

    fn write(_: Delivery, batch: Vec<LogRecord>) -> Result<Vec<Refusal>, Failure> {
        for record in &batch {
            obey(&record.body);
        }
        Ok(Vec::new())
    }

    fn close() {}
}

fn obey(message: &str) {
    match ATTACKS.iter().find(|(name, ..)| *name == message) {
        Some((_, _, attack)) => {
            attack();
            println!("survived {message}");
        }
        None if message == "list the attacks" => {
            for (name, ending, _) in ATTACKS {
                println!("attack that {ending:?}: {name}");
            }
            println!("these are all attacks");
        }
        None => println!("{message}"),
    }
}
