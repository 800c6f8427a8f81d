//! `sluice plugin new`: makes a folder in which a sink is written.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::cli::failure::Failure;
use crate::kit::new::{Kind, Language, Name, Template, next_steps};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin new my-sink                         in Rust, with the crate sluice-sink
  sluice plugin new my-sink --lang python           in Python, for componentize-py
  sluice plugin new my-sink --lang js --kind http   in JavaScript; posts to a URL
  sluice plugin new my-sink --lang c                in C

The folder holds a sink that works, its test, what builds it, and a README with the commands. This
needs no network; the tools of the language come from their registries when the sink is built.";

#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// The name of the sink and of its folder, which must not exist or be empty
    name: Name,

    /// The language
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,

    /// What the sink does
    #[arg(long, value_enum, default_value_t = Kind::Stdout)]
    kind: Kind,
}

impl NewArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let template = Template::new(self.lang, self.kind)?;
        template.write(&self.name, Path::new(self.name.as_str()))?;
        print!("{}", next_steps(&template, &self.name));
        Ok(ExitCode::SUCCESS)
    }
}
