//! What a component imports and exports, without compiling it.

use thiserror::Error;
use wasmparser::{BinaryReaderError, Encoding, Parser, Payload};

/// The names of what a component imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// The imports, such as `wasi:io/streams@0.2.0`.
    pub imports: Vec<String>,
    /// The exports, such as `sluice:sink/sink@0.2.0`.
    pub exports: Vec<String>,
}

/// Why bytes are not a component.
#[derive(Debug, Error)]
pub enum NotComponent {
    /// They are a module, of which components are made.
    #[error(
        "it is a core WebAssembly module, not a component; build it with cargo build --release \
         --target wasm32-wasip2"
    )]
    Module,
    /// They are something else, or not complete.
    #[error(
        "it is not a WebAssembly component, or not a whole one (build it for the target \
         wasm32-wasip2)"
    )]
    Malformed(#[source] BinaryReaderError),
}

impl Interfaces {
    /// Reads the names from a component's bytes. Its code is not checked.
    ///
    /// # Errors
    /// The bytes are not a component.
    pub fn of(component: &[u8]) -> Result<Self, NotComponent> {
        let mut found = Self::default();
        // How many components and modules enclose what is read.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(NotComponent::Malformed)? {
                Payload::Version { encoding, .. } => {
                    if depth == 0 && encoding == Encoding::Module {
                        return Err(NotComponent::Module);
                    }
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import.map_err(NotComponent::Malformed)?;
                        found.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(NotComponent::Malformed)?;
                        found.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_told_from_a_module_and_from_anything_else() {
        let empty = Interfaces::of(b"\0asm\x0d\0\x01\0").unwrap();
        assert_eq!(empty, Interfaces::default());
        let module = Interfaces::of(b"\0asm\x01\0\0\0");
        assert!(matches!(module, Err(NotComponent::Module)), "{module:?}");
        for bytes in [&b""[..], b"text", b"\0asm\x0d\0\x01\0\x07"] {
            let refused = Interfaces::of(bytes);
            assert!(matches!(refused, Err(NotComponent::Malformed(_))));
        }
    }

    #[test]
    fn names_of_inner_components_are_not_those_of_the_whole() {
        // An export of function 0 by the name "a", in a component in a component.
        let inner = [&b"\0asm\x0d\0\x01\0"[..], &[11, 7, 1, 0, 1, b'a', 1, 0, 0]].concat();
        let length = u8::try_from(inner.len()).unwrap();
        let outer = [&b"\0asm\x0d\0\x01\0"[..], &[4, length], &inner].concat();
        assert_eq!(Interfaces::of(&inner).unwrap().exports, ["a"]);
        assert_eq!(Interfaces::of(&outer).unwrap(), Interfaces::default());
    }
}
