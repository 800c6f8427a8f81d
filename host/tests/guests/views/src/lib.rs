//! A sink for tests and benchmarks. What it does with a batch is its config:
//! nothing to compare all views with `records`, the name of a view to take only
//! that, or a mistake with the batch's handle.

#![cfg(target_family = "wasm")]

mod bindings;
mod compare;
mod lines;

use std::cell::RefCell;
use std::hint::black_box;

#[expect(unsafe_code, reason = "the canonical ABI passes raw pointers")]
mod export {
    use crate::{Views, bindings};

    bindings::export!(Views with_types_in bindings);
}

use bindings::exports::sluice::sink::sink::Guest;
use bindings::sluice::sink::types::{Batch, Delivery, Failure, Refusal};

/// What must trap, or be ended.
const MISTAKES: [&str; 4] = ["spin", "drop twice", "use after a drop", "keep"];

struct Views;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Guest for Views {
    fn open(config: String) -> Result<(), Failure> {
        CONFIG.set(config.trim_matches('"').to_owned());
        Ok(())
    }

    fn write(_delivery: Delivery, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        CONFIG.with_borrow(|config| {
            // The mistakes are made with a batch of one record.
            let is_mistake = MISTAKES.contains(&config.as_str());
            if is_mistake && batch.len() > 1 {
                return Ok(());
            }
            handle(config, batch)
        })?;
        Ok(Vec::new())
    }

    fn close() {}
}

fn handle(config: &str, batch: &Batch) -> Result<(), Failure> {
    match config {
        "" => return compare::all(batch).map_err(Failure::Permanent),
        "len" => {
            black_box(batch.len());
        }
        "records" => drop(black_box(batch.records())),
        "text-lines" => drop(black_box(batch.text_lines())),
        "json-lines" => drop(black_box(batch.json_lines())),
        "bodies" => drop(black_box(batch.bodies())),
        "attributes" => drop(black_box(batch.attributes())),
        "spin" => loop {
            drop(black_box(batch.json_lines()));
        },
        // The bindings' own destructor is the second.
        "drop twice" => drop(again(batch)),
        "use after a drop" => {
            drop(again(batch));
            black_box(batch.len());
        }
        // The bindings then have nothing to drop.
        "keep" => {
            black_box(batch.take_handle());
        }
        other => return Err(Failure::Permanent(format!("no such config: {other}"))),
    }
    Ok(())
}

/// A second owner of the same handle.
#[expect(unsafe_code, reason = "this is the mistake to be made")]
fn again(batch: &Batch) -> Batch {
    // SAFETY: a wrong handle is the host's matter.
    unsafe { Batch::from_handle(batch.handle()) }
}
