//! Machine code that is loaded into this process.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::seal;

/// A component's machine code, loaded into this process.
#[derive(Clone)]
pub struct Code(pub(super) Component);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").finish_non_exhaustive()
    }
}

impl Code {
    /// Loads code from a file in memory. The file must come from this node's
    /// compiler, or from [`super::Compiled`], which has verified it.
    #[expect(
        unsafe_code,
        reason = "only this node's own compiler and its authenticated copies get here"
    )]
    pub(super) fn load(engine: &Engine, mut file: File) -> wasmtime::Result<Self> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // What is mapped must not change.
        seal(&file)?;
        // SAFETY: the file holds what `Engine::precompile_component` returned to
        // the same program, as the caller promises, and is sealed.
        let mapped = unsafe { Component::deserialize_file(engine, path) };
        mapped.map(Self).or_else(|error| {
            // A system that does not map such files lets a copy be used.
            tracing::debug!(%error, "could not map a compiled component; copying it");
            let mut code = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut code)?;
            // SAFETY: as above.
            unsafe { Component::deserialize(engine, code) }.map(Self)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Compiler, engine, memory_file};
    use bytes::Bytes;
    use std::io::Write;

    /// A component with nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[tokio::test]
    async fn what_was_compiled_is_loaded() {
        let engine = engine().unwrap();
        let component = Bytes::from_static(EMPTY);
        let code = Compiler::InProcess.compile(component).await.unwrap();
        assert!(Code::load(&engine, code).is_ok());
    }

    #[test]
    fn what_is_no_code_is_not_loaded() {
        let engine = engine().unwrap();
        let mut file = memory_file("code").unwrap();
        file.write_all(EMPTY).unwrap();
        assert!(Code::load(&engine, file).is_err());
    }
}
