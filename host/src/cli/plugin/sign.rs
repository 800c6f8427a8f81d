//! `sluice plugin sign`: signs a component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use super::error::PluginCommandError;
use crate::cli::failure::Failure;
use crate::minisign::SecretKey;
use crate::plugin::{Manifest, PERMISSIONS_FIELD, permissions_digest, sha256};
use sluice_types::files;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin sign mine.wasm --key release.key
  sluice plugin sign mine.wasm --key release.key --permissions manifest.json
  sluice plugin use ./mine.wasm --signature mine.wasm.minisig
  minisign -V -p release.pub -m mine.wasm

Writes FILE.minisig, and prints the fields for the manifest. With --permissions, nodes that trust the key
run the component only with the permissions of that manifest.";

#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The component
    file: PathBuf,

    /// The secret key, of `sluice plugin keygen` or `minisign -G -W`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A manifest whose permissions are signed as well
    #[arg(long, value_name = "MANIFEST")]
    permissions: Option<PathBuf>,
}

impl SignArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let component = read(&self.file)?;
        let text = String::from_utf8_lossy(&read(&self.key)?).into_owned();
        let key: SecretKey = text.parse().map_err(|cause| PluginCommandError::Key {
            file: self.key.clone(),
            cause,
        })?;
        let signature = key.sign(&component, self.comment()?).to_string();
        let mut name = self.file.clone().into_os_string();
        name.push(".minisig");
        let name = PathBuf::from(name);
        files::write_shared(&name, signature.as_bytes()).map_err(|cause| {
            let file = name.clone();
            PluginCommandError::Write { file, cause }
        })?;
        eprintln!("wrote {}; for the manifest:", name.display());
        let signature = serde_json::Value::from(signature);
        println!(
            r#""sha256": "{}", "signature": {signature}"#,
            sha256(&component)
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The comment that is signed as well, in minisign's form.
    fn comment(&self) -> Result<String, Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        // A name can hold anything, and the comment is one line of fields.
        let name = name.replace(char::is_control, "?");
        let comment = format!("timestamp:{now}\tfile:{name}\thashed");
        let Some(file) = &self.permissions else {
            return Ok(comment);
        };
        let manifest = Manifest::from_value(&read(file)?)?;
        let digest = permissions_digest(&manifest.map(|m| m.permissions).unwrap_or_default());
        Ok(format!("{comment}\t{PERMISSIONS_FIELD}:{digest}"))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, PluginCommandError> {
    fs::read(file).map_err(|cause| PluginCommandError::File {
        file: file.display().to_string(),
        cause,
    })
}
