//! Asking the person at the terminal.
//!
//! Invariant: a password is read without echo, from a pipe or from a file, and never from argv.

use super::{CliError, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a password comes from; without these the terminal is asked.
#[derive(Debug, Args)]
pub(super) struct PasswordFrom {
    /// Read the password from the first line of standard input.
    #[arg(long, conflicts_with = "password_file")]
    pub(super) password_stdin: bool,
    /// Read the password from the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

impl PasswordFrom {
    /// The password. A new one is asked for twice.
    pub(super) fn read(&self, prompt: &str, new: bool) -> Result<String> {
        if self.password_stdin {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
        }
        if let Some(file) = &self.password_file {
            return first_line(file);
        }
        if !io::stdin().is_terminal() {
            return Err(CliError::Usage("there is no terminal to ask for the password: use --password-stdin or --password-file".into()));
        }
        let password = rpassword::prompt_password(format!("{prompt}: "))?;
        if new && rpassword::prompt_password("once more: ")? != password {
            return Err(CliError::Usage("the two passwords differ".into()));
        }
        Ok(password)
    }
}

/// The first line of a file, as a password.
pub(super) fn first_line(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| CliError::Usage(format!("cannot read {}: {e}", file.display())))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Asks a question that Enter answers with yes. Without a terminal the answer is no.
pub(super) fn yes(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    write!(io::stderr(), "{question} [Y/n] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_lowercase();
    Ok(answer.is_empty() || ["y", "yes", "예", "네", "ㅇ"].contains(&answer.as_str()))
}

/// Asks a question that only a written yes answers with yes. Without a terminal the answer is no.
pub(super) fn sure(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    write!(io::stderr(), "{question} [yes/no] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["yes", "예", "네"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Shows how far something is, on a terminal only.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    let bar = if io::stderr().is_terminal() {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    let style = "{msg:<20} [{wide_bar}] {human_pos}/{human_len} {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// Shows that something is going on, on a terminal only.
pub(super) fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Opens `$VISUAL` or `$EDITOR` on a text; the text as it is saved.
pub(super) fn edit(text: &str, suffix: &str) -> Result<String> {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    // Made private by the library: a prompt may be a person's own.
    let mut file = tempfile::Builder::new()
        .prefix("deepme-")
        .suffix(suffix)
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    // $EDITOR may hold arguments, as in "code --wait": a shell splits them as everywhere else.
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file.path())
        .status()?;
    if !status.success() {
        return Err(CliError::Usage(format!(
            "the editor ended with {status}: nothing was saved"
        )));
    }
    // Editors may replace the file rather than write to it.
    Ok(std::fs::read_to_string(file.path())?)
}
