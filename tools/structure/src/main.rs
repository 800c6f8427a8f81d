//! Checks what the compiler does not: that no files or folders import each
//! other in circles, that crates respect their borders, that the texts of
//! Consul's errors stay in the crates that may know them, that one file of the
//! host creates all its files, and that files and functions stay short. `make structure` runs it.

mod borders;
mod circles;
mod creation_calls;
mod error_texts;
mod file_creation;
mod graph;
mod imports;
mod lexer;
mod manifest;
mod parser;
#[cfg(test)]
mod planted;
mod problem;
mod resolve;
mod scope;
mod sizes;
mod source;
mod test_code;
mod use_tree;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use workspace::Report;

const HELP: &str = "\
Checks the structure of a Rust workspace.

usage: sluice-structure [FOLDER]

FOLDER is the root of the workspace; the current folder if it is left out.
Prints one problem per line, as path:line: what is wrong and the remedy.
Exit code 0: no problem, 1: problems, 2: the check could not run.

Checked, without tests and benches:
  - no circle of imports between the files of a crate, or between its folders.
    A mod.rs or lib.rs that only declares and re-exports is looked through.
    Files and folders of one folder are compared with each other; a.rs beside
    a folder a is a part of that folder.
  - no dependency that the table in tools/structure/src/borders.rs forbids
  - no text of Consul's errors in the host outside sluice-consul and
    sluice-coordinator
  - no file or directory created by the host outside sluice_types::files
  - no file over 400 lines, no function over 60 lines, a median function of at
    most 9 lines, a README of at most 150 lines";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let root = match argument.as_deref() {
        Some("-h" | "--help") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(folder) => folder,
        None => ".",
    };
    match workspace::check(Path::new(root)) {
        Ok(report) => show(&report),
        Err(error) => {
            eprintln!("sluice-structure: failed to {error}");
            ExitCode::from(2)
        }
    }
}

fn show(report: &Report) -> ExitCode {
    for problem in &report.problems {
        println!("{problem}");
    }
    let figures = &report.figures;
    match report.problems.len() {
        0 => {
            println!("structure: no problems in {figures}");
            ExitCode::SUCCESS
        }
        problems => {
            eprintln!("structure: {problems} problems in {figures}");
            ExitCode::FAILURE
        }
    }
}
