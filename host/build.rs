//! Builds the default sink, `plugins/stdout`, into the binary, and the files that
//! `sluice plugin new` writes.

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
    embed_templates(root, &out_dir)?;
    name_wasmtime(root)?;
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

/// Hands the version of wasmtime on, which has no constant for it.
fn name_wasmtime(root: &Path) -> Result<(), Box<dyn Error>> {
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    let mut lines = lock
        .lines()
        .skip_while(|line| *line != "name = \"wasmtime\"");
    let version = lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .ok_or("Cargo.lock has no version of wasmtime")?;
    println!("cargo::rustc-env=SLUICE_WASMTIME_VERSION={version}");
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

/// Writes `templates.rs`, a list of all files that a new sink may consist of: the
/// templates, the WIT, and the crate for sinks in Rust without its tests, which
/// need the repository.
fn embed_templates(root: &Path, out_dir: &Path) -> Result<(), Box<dyn Error>> {
    let templates = root.join("host/src/kit/templates");
    let sdk = root.join("plugins/sdk");
    let mut files = Vec::new();
    add_files(&templates, "", &mut files)?;
    add_files(&sdk.join("src"), "sluice-sink/src/", &mut files)?;
    add_files(&sdk.join("wit"), "sluice-sink/wit/", &mut files)?;
    let manifest = ("sluice-sink/Cargo.toml".to_owned(), sdk.join("Cargo.toml"));
    let wit = ("sink.wit".to_owned(), root.join("wit/0.2/sink.wit"));
    files.extend([manifest, wit]);
    files.sort();

    let mut list = "pub(super) const FILES: &[(&str, &[u8])] = &[\n".to_owned();
    for (name, path) in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        list += &format!("    ({name:?}, include_bytes!({path:?})),\n");
    }
    list += "];\n";
    fs::write(out_dir.join("templates.rs"), list)?;
    Ok(())
}

/// Adds the files below a folder, with their paths in it after `prefix`.
fn add_files(
    folder: &Path,
    prefix: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or("a file of the templates has a strange name")?;
        if path.is_dir() {
            add_files(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            files.push((format!("{prefix}{name}"), path));
        }
    }
    Ok(())
}
