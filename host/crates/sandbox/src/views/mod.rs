//! The methods of the resource `batch`: a batch as the sink asks to see it.
//!
//! The host makes a view natively and in bulk, and copies it into the guest's
//! memory at once. Both forms of lines are defined in `wit/0.2/sink.wit`; this
//! is the only code that writes them.
//!
//! What the host holds for a view ends with the method's call, and an instance
//! makes one call at a time. It is bounded twice. By the batch: no view has more
//! than six times the bytes that its records count in the limits of the queue.
//! By the instance: lines and texts larger than all the memory that it may have
//! could not be copied there, so making them stops with a trap, one record after
//! that size at the latest. While lines with escapes grow, their room can be
//! twice their size.

mod attributes;
mod columns;
mod json_lines;
mod json_text;
mod lowered;
#[cfg(test)]
mod reference;
mod rfc3339;
mod room;
mod scan;
#[cfg(test)]
mod tests;
mod text_lines;

pub use json_lines::json_lines;
pub use room::TooLarge;
pub use text_lines::text_lines;

use sluice_types::records::Records;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::bindings::v0_2::Batch;
use super::guest::Guest;
use lowered::{AttributeColumns, RecordList};

/// The interface that a sink imports.
const TYPES: &str = "sluice:sink/types@0.2.0";

/// Links the resource and its methods. Wasmtime compares their types with those
/// of each component that it links.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    // A sink only borrows a batch, so nothing ends with its handle.
    types.resource("batch", ResourceType::host::<Batch>(), |_, _| Ok(()))?;
    view(&mut types, "len", |batch, _| Ok(columns::len(batch)))?;
    view(&mut types, "records", |batch, _| {
        Ok(RecordList(batch.clone()))
    })?;
    view(&mut types, "text-lines", |batch, most| {
        text_lines(batch, most)
    })?;
    view(&mut types, "json-lines", |batch, most| {
        json_lines(batch, most)
    })?;
    view(&mut types, "bodies", |batch, most| {
        columns::bodies(batch, most)
    })?;
    view(&mut types, "timestamps", |batch, _| {
        Ok(columns::timestamps(batch))
    })?;
    view(&mut types, "observed", |batch, _| {
        Ok(columns::observed(batch))
    })?;
    view(&mut types, "severities", |batch, _| {
        Ok(columns::severities(batch))
    })?;
    view(&mut types, "ids", |batch, _| Ok(columns::ids(batch)))?;
    view(&mut types, "keys", |batch, most| columns::keys(batch, most))?;
    view(&mut types, "attributes", |batch, _| {
        Ok(AttributeColumns(batch.clone()))
    })
}

/// Links one method. It gets the batch, and the most bytes that a view may have.
fn view<T: Lower + 'static>(
    types: &mut LinkerInstance<'_, Guest>,
    name: &'static str,
    make: impl Fn(&Records, usize) -> Result<T, TooLarge> + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    types.func_wrap(
        &format!("[method]batch.{name}"),
        move |mut cx: StoreContextMut<'_, Guest>, (_,): (Resource<Batch>,)| {
            let guest = cx.data_mut();
            // Wasmtime knows no handle outside of a `write`.
            let Some(batch) = &guest.batch else {
                return Err(wasmtime::Error::msg("there is no batch outside of a write"));
            };
            match make(batch, guest.memory.bytes()) {
                Ok(view) => Ok((view,)),
                Err(error) => {
                    guest.memory.refuse();
                    let reason = format!("{name} of the batch: {error}");
                    Err(wasmtime::Error::msg(reason))
                }
            }
        },
    )
}
