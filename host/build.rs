//! Builds the default sink, `plugins/stdout`, into the binary.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir
        .parent()
        .ok_or("host/ has no parent directory")?;
    for input in ["plugins/stdout", "plugins/sdk", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let target_dir = guests_dir(&out_dir)?;

    let status = Command::new(env::var("CARGO")?)
        .current_dir(root)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["--package", "sluice-plugin-stdout", "--target-dir"])
        .arg(&target_dir)
        // Flags meant for the host's code are wrong for the guest's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_BUILD_TARGET")
        .status()?;
    if !status.success() {
        return Err(format!(
            "the default sink did not build; if its target is missing, run: \
             rustup target add {TARGET}"
        )
        .into());
    }
    // A copy, so that a later build of the sinks leaves this one's as it is.
    let component = out_dir.join("stdout.wasm");
    fs::copy(
        target_dir.join(TARGET).join("release/stdout.wasm"),
        &component,
    )?;
    println!(
        "cargo::rustc-env=SLUICE_BUILTIN_STDOUT={}",
        component.display()
    );
    Ok(())
}

/// The target directory for everything that is built for WebAssembly: `guests`
/// in the outer build's. The outer build holds the lock of its own profile's
/// directory, so this one is separate; all profiles and `make sinks` share it,
/// so that the guests' dependencies are compiled once.
fn guests_dir(out_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    // <target>[/<triple>]/<profile>/build/<package>/out
    let mut target_dir = out_dir.ancestors().nth(4).ok_or("OUT_DIR is too short")?;
    if target_dir.ends_with(env::var("TARGET")?) {
        target_dir = target_dir.parent().ok_or("OUT_DIR is too short")?;
    }
    Ok(target_dir.join("guests"))
}
