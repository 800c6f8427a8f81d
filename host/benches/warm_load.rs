//! Measures how long a node needs for a large sink that it has compiled before:
//! from the file of the component to a sink that can be opened. The component has
//! 18 MB, a Python interpreter among them.
//!
//! Run it with `make bench-warm-load`.

mod common;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Fallible, is_wanted, setting, spread};
use sha2::{Digest, Sha256};
use sluice_sandbox::{
    Compiled, Compiler, Engine, Limits, Network, NodeStdout, Prepared, Setup, core_instances,
};
use sluice_types::plugin::Identity;

/// The component, compressed, and the window that it was compressed with, as a
/// power of two.
const PACKED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/components/python-0.1.0.wasm.zst"
);
const WINDOW_LOG: u32 = 27;

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let rounds: usize = setting("SLUICE_BENCH_ROUNDS", 15)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let component = folder.path().join("python.wasm");
    unpack(&component)?;
    runtime.block_on(async {
        let compiled = compile(folder.path(), &component).await?;
        println!("compiling: {:.0} ms", milliseconds(compiled));
        let mut steps: [Vec<f64>; 4] = Default::default();
        for _ in 0..rounds {
            let times = warm_load(folder.path(), &component).await?;
            for (step, time) in steps.iter_mut().zip(times) {
                step.push(milliseconds(time));
            }
        }
        println!("a warm load, ms, {rounds} rounds: min, median, max; compiling as a multiple");
        let names = ["read, digest", "load the code", "link, try out", "all"];
        for (name, step) in names.iter().zip(steps) {
            let [least, middle, most] = spread(step);
            let ratio = milliseconds(compiled) / middle;
            println!("    {name:14} {least:7.1} {middle:7.1} {most:7.1} {ratio:7.0}");
        }
        Ok(())
    })
}

fn unpack(component: &Path) -> Fallible<()> {
    let mut decoder = zstd::Decoder::new(File::open(PACKED)?)?;
    decoder.window_log_max(WINDOW_LOG)?;
    std::io::copy(&mut decoder, &mut File::create(component)?)?;
    Ok(())
}

/// An engine, as of a node that has just started.
fn engine(folder: &Path) -> Fallible<Engine> {
    let compiled = Compiled::open(folder.join("compiled"), &folder.join("key"))?;
    let engine = Engine::new(Compiler::InProcess, Some(compiled), Network::none())?;
    Ok(engine)
}

/// Reads the component, as a node does before it looks for its code.
fn read(component: &Path) -> Fallible<(Vec<u8>, Identity, Setup)> {
    let bytes = std::fs::read(component)?;
    let identity = Identity {
        source: format!("file://{}", component.display()),
        sha256: hex::encode(Sha256::digest(&bytes)),
    };
    let mut limits = Limits::default();
    limits.core_instances = core_instances(&bytes, limits.memory);
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    Ok((bytes, identity, setup))
}

async fn compile(folder: &Path, component: &Path) -> Fallible<Duration> {
    let started = Instant::now();
    let (bytes, identity, _) = read(component)?;
    engine(folder)?.compile(bytes.into(), &identity).await?;
    Ok(started.elapsed())
}

/// The time of each step, and of all.
async fn warm_load(folder: &Path, component: &Path) -> Fallible<[Duration; 4]> {
    let engine = engine(folder)?;
    let null = File::options().write(true).open("/dev/null")?;
    let stdout = NodeStdout::new(null.into())?;
    let started = Instant::now();
    let (_bytes, identity, setup) = read(component)?;
    let read = started.elapsed();
    let code = engine.cached(&identity).ok_or("the code was not kept")?;
    let loaded = started.elapsed();
    let prepared = Prepared::link(&engine, &code, identity, setup, stdout)?;
    prepared.try_out().await?;
    let all = started.elapsed();
    Ok([read, loaded - read, all - loaded, all])
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
