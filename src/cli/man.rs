//! `deepme man`.

use super::{CliError, Result, command, note};
use clap::Args;
use std::io;
use std::path::PathBuf;

pub(super) const HELP: &str = "Examples:
  deepme man | man -l -                            read it
  sudo deepme man --to /usr/local/share/man/man1   a page for every command";

/// Options of `man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for every command into this directory, which is made if it is not there.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(super) fn run(options: &Man) -> Result {
    let Some(directory) = &options.to else {
        clap_mangen::Man::new(command()).render(&mut io::stdout())?;
        return Ok(());
    };
    let shown = directory.display();
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command(), directory))
        .map_err(|e| CliError::Failed(format!("cannot write to {shown}: {e}")))?;
    note(format_args!(
        "written to {shown}: try man -l {shown}/deepme.1"
    ))
}
