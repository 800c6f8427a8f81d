//! `sluice-producer`: numbered messages for Sluice, and load.

mod args;
mod bench;
mod connection;
mod leader;
mod numbered;
mod report;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("sluice-producer: another TLS provider is installed already");
    }
    let args = args::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = runtime.block_on(async {
        match args.command {
            None => numbered::run(args.numbered).await,
            Some(args::Command::Bench(bench)) => bench::run(bench).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("sluice-producer: failed to {}", chain(error));
    ExitCode::FAILURE
}

/// An error with all that caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
