//! `sluice-producer`: sends numbered messages to a Sluice cluster, or load.

mod args;
mod bench;
mod connection;
mod consul;
mod error_chain;
mod journal;
mod leader;
mod numbered;
mod report;
mod setup_error;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::error_chain::chain;

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("sluice-producer: another TLS provider is already installed");
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
