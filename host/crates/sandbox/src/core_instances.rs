//! What core instances take of the node's memory beside their memories and
//! tables, for which wasmtime asks no limit.

use wasmparser::{ElementItems, ElementKind, ElementSectionReader, Encoding, Parser, Payload};

/// The most core instances of a component. One that was made of an interpreter
/// and its libraries has some dozens.
pub(super) const MAX_CORE_INSTANCES: usize = 256;
/// What every core instance takes, in bytes.
const INSTANCE: usize = 4 << 10;
/// At most what a function, an import, a global, a memory, a table or a tag
/// takes in an instance, in bytes.
const ITEM: usize = 32;
/// What an element of a segment takes until it is copied into a table, in bytes.
const ELEMENT: usize = 16;

/// The most core instances that a component may have, so that all of them,
/// if each was as large as the largest, fit in so many bytes. For a component
/// that cannot be parsed, and so not be compiled, it is 0.
#[must_use]
pub fn core_instances(component: &[u8], memory: usize) -> usize {
    let largest = largest_instance(component).unwrap_or(usize::MAX);
    (memory / largest).min(MAX_CORE_INSTANCES)
}

fn largest_instance(component: &[u8]) -> wasmparser::Result<usize> {
    let (mut largest, mut current) = (INSTANCE, INSTANCE);
    for payload in Parser::new(0).parse_all(component) {
        let items = match payload? {
            Payload::Version { encoding, .. } => {
                if encoding == Encoding::Module {
                    current = INSTANCE;
                }
                0
            }
            Payload::ImportSection(section) => section.count(),
            Payload::FunctionSection(section) => section.count(),
            Payload::TableSection(section) => section.count(),
            Payload::MemorySection(section) => section.count(),
            Payload::TagSection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            Payload::ElementSection(section) => {
                current = current.saturating_add(segments(section)?);
                0
            }
            _ => 0,
        };
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        current = current.saturating_add(items.saturating_mul(ITEM));
        largest = largest.max(current);
    }
    Ok(largest)
}

/// What the segments take that an instance keeps.
fn segments(section: ElementSectionReader<'_>) -> wasmparser::Result<usize> {
    let mut bytes = 0_usize;
    for segment in section {
        let segment = segment?;
        let elements = match segment.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        let elements = match segment.kind {
            ElementKind::Passive | ElementKind::Declared => elements,
            ElementKind::Active { .. } => 0,
        };
        let elements = usize::try_from(elements).unwrap_or(usize::MAX);
        bytes = bytes.saturating_add(elements.saturating_mul(ELEMENT));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with one module, which has one section.
    fn component(id: u8, content: &[u8]) -> Vec<u8> {
        let length = |content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            assert!(length < 0x80);
            length
        };
        let module = [&b"\0asm\x01\0\0\0"[..], &[id, length(content)][..], content].concat();
        [
            &b"\0asm\x0d\0\x01\0"[..],
            &[1, length(&module)][..],
            &module,
        ]
        .concat()
    }

    #[test]
    fn a_small_component_may_have_all_instances() {
        let empty = component(6, &[0]);
        assert_eq!(core_instances(&empty, 64 << 20), MAX_CORE_INSTANCES);
        assert_eq!(core_instances(&empty, 10 * INSTANCE), 10);
    }

    #[test]
    fn what_an_instance_holds_leaves_room_for_fewer() {
        // 20 globals: i32, constant, 0. Two passive segments of 20 functions.
        let globals = [&[20][..], &[0x7f, 0, 0x41, 0, 0x0b].repeat(20)].concat();
        let segment = [&[1, 0, 20][..], &[0; 20]].concat();
        let segments = [&[2][..], &segment, &segment].concat();
        for (id, content, bytes) in [(6, globals, 20 * ITEM), (9, segments, 40 * ELEMENT)] {
            let component = component(id, &content);
            assert_eq!(largest_instance(&component).unwrap(), INSTANCE + bytes);
            assert_eq!(core_instances(&component, 3 * (INSTANCE + bytes)), 3);
        }
    }

    #[test]
    fn what_is_no_component_gets_no_instance() {
        assert_eq!(core_instances(b"text", 64 << 20), 0);
        let cut = component(6, &[5]);
        assert_eq!(core_instances(&cut[..cut.len() - 1], 64 << 20), 0);
    }
}
