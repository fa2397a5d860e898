//! `deepme completions`.

use super::{Result, command};
use clap::Args;
use clap_complete::Shell;
use std::io::{self, Write as _};

pub(super) const HELP: &str = "Examples:
  deepme completions bash > ~/.local/share/bash-completion/completions/deepme
  deepme completions zsh > ~/.zfunc/_deepme                 with fpath+=~/.zfunc in .zshrc
  deepme completions fish > ~/.config/fish/completions/deepme.fish";

/// Options of `completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell.
    shell: Shell,
}

pub(super) fn run(options: &Completions) -> Result {
    // The generator gives up with a panic where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command(), "deepme", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}
