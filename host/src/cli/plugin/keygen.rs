//! `sluice plugin keygen`: makes a key that signs components.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::error::PluginCommandError;
use crate::cli::failure::Failure;
use crate::minisign::SecretKey;
use sluice_types::files;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin keygen --out release      writes release.key and release.pub
  sluice node --trusted-key release.pub   runs only what release.key has signed

Both files have minisign's form. NAME.key is not protected by a password: keep it where components are
released, not on the nodes. A key with a password can be made and used by minisign itself (minisign -G,
minisign -S); nodes take its signatures as well.";

#[derive(Debug, Args)]
pub(in crate::cli) struct KeygenArgs {
    /// The name of the files, without .key and .pub
    #[arg(long, value_name = "NAME", default_value = "sluice")]
    out: PathBuf,
}

impl KeygenArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let key = SecretKey::generate().map_err(PluginCommandError::Keygen)?;
        let [secret, public] = ["key", "pub"].map(|extension| {
            let mut name = self.out.clone().into_os_string();
            name.push(".");
            name.push(extension);
            PathBuf::from(name)
        });
        let failed = |file: &PathBuf, cause| match io::Error::kind(&cause) {
            io::ErrorKind::AlreadyExists => PluginCommandError::KeyExists(file.clone()),
            _ => PluginCommandError::Write {
                file: file.clone(),
                cause,
            },
        };
        if public.exists() {
            return Err(failed(&public, io::ErrorKind::AlreadyExists.into()).into());
        }
        files::create_new_own(&secret)
            .and_then(|mut file| file.write_all(key.file().as_bytes()))
            .map_err(|cause| failed(&secret, cause))?;
        files::write_shared(&public, key.public_key().file().as_bytes())
            .map_err(|cause| failed(&public, cause))?;
        println!("wrote {}, which signs: keep it secret", secret.display());
        println!(
            "wrote {}, for --trusted-key: {}",
            public.display(),
            key.public_key()
        );
        Ok(ExitCode::SUCCESS)
    }
}
