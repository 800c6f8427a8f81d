//! Compiles components, in a child process with limits.
//!
//! Compiling is the one thing that a component makes the node do before any
//! limit of the sandbox applies. So a child process does it: the same program,
//! which limits its own memory and processor time before it reads a byte of the
//! component. It is killed when nobody waits for it any more, and by the kernel
//! when the node ends.
//!
//! The component goes to the child, and the machine code back, through files in
//! memory. The code is trusted as the program itself is, because the same
//! program made it; nothing else can reach those files, and nothing can change
//! them once the code is loaded.

mod child;
mod compiler;
mod error;
mod limits;
mod memory_file;
mod precompile;
mod program;

pub use child::compile_in_child;
pub use compiler::Compiler;
pub use error::{CompileError, Refusal};
pub(super) use limits::MAX_CODE;
pub use limits::{CompileLimit, CompileLimits};
pub(super) use memory_file::{memory_file, seal};
pub(super) use precompile::engine;
pub use program::CompileProgram;
