//! Runs `sluice step-down`.

use std::process::ExitCode;

use super::args::StepDownArgs;
use super::{by_consul, by_people};
use crate::cli::api::ApiClient;
use crate::cli::failure::Failure;
use crate::cli::runtime;

pub(in crate::cli) fn run(args: &StepDownArgs) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        match ApiClient::open(&args.cluster).await? {
            Some(api) => by_people::step_down(args, &api).await,
            None => by_consul::step_down(args).await,
        }
    })
}
