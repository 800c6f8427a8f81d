//! Builds the default sink, `plugins/stdout`, into the binary.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir
        .parent()
        .ok_or("host/ has no parent directory")?;
    for input in ["plugins/stdout", "wit", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let target_dir = out_dir.join("guest");

    // A target directory of its own: the outer build holds the lock of its.
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
    let component = target_dir.join(TARGET).join("release/stdout.wasm");
    println!(
        "cargo::rustc-env=SLUICE_BUILTIN_STDOUT={}",
        component.display()
    );
    Ok(())
}
