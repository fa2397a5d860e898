//! The command line.
//!
//! Owns the commands and how they end: output on stdout, everything else on stderr, exit code 0
//! for success, 1 for failure, 2 for wrong usage or configuration. One file a subcommand; the
//! wiring of the whole program is in [`wiring`]. Invariants: no password needs to stand in
//! argv; nothing is destroyed without asking; a reader that goes away is no error.

mod backend;
mod backup;
mod chat;
mod chat_screen;
mod completions;
mod config;
mod db;
mod declared;
mod doctor;
mod keyfiles;
mod keys;
mod logging;
mod logins;
mod man;
mod migrate;
mod once;
mod owner;
mod prompt;
mod reload;
mod rights;
mod safety;
mod sealing;
mod serve;
mod signals;
mod simulate;
mod systemd;
mod terminal;
mod top;
mod user;
mod wiring;

use crate::client::ClientError;
use crate::domain::{Error, ErrorCode};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// 감정 대화 백엔드 · A self-hosted emotion-chat backend.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The configuration file. Default: ./config.toml, then /etc/deepme/config.toml, if there.
    #[arg(long, global = true, env = "DEEPME_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve REST and WebSocket until SIGTERM.
    #[command(after_help = serve::HELP)]
    Serve(serve::Serve),
    /// Talk in the terminal with a server, or with one started on the spot.
    #[command(after_help = chat::HELP)]
    Chat(chat::Chat),
    /// Look after accounts.
    #[command(after_help = user::HELP)]
    User(user::User),
    /// See when an account talked, and what was said, for a reason that the person can see.
    #[command(after_help = rights::HELP)]
    Session(rights::Session),
    /// Look after the prompts that the model is given.
    #[command(after_help = prompt::HELP)]
    Prompt(prompt::Prompt),
    /// Let a scripted person talk with a server, and check what they are answered.
    #[command(after_help = simulate::HELP)]
    Simulate(simulate::Simulate),
    /// Measure the safety gate, and count what it said.
    #[command(after_help = safety::HELP)]
    Safety(safety::Safety),
    /// Make, show or rotate the keys of a server.
    #[command(after_help = keys::HELP)]
    Keys(keys::KeysCommand),
    /// Show or update the schema of the database.
    #[command(after_help = migrate::HELP)]
    Migrate(migrate::Migrate),
    /// Copy a whole database into another.
    #[command(after_help = db::HELP)]
    Db(db::Db),
    /// Back the database up, and put a backup back.
    #[command(after_help = backup::HELP)]
    Backup(backup::Backup),
    /// Find what is wrong, here or on the way to a server, and how to put it right.
    #[command(after_help = doctor::HELP)]
    Doctor(doctor::Doctor),
    /// Watch a running server: turns, tokens, delays, models, queues.
    #[command(after_help = top::HELP)]
    Top(top::Top),
    /// Check or show the configuration.
    #[command(after_help = config::HELP)]
    Config(config::Config),
    /// Print or write the manual pages.
    #[command(after_help = man::HELP)]
    Man(man::Man),
    /// Print what makes a shell complete the words of these commands.
    #[command(after_help = completions::HELP)]
    Completions(completions::Completions),
}

/// Every command with its help. A subcommand shows those examples of its command that are about it.
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    for name in names(&command) {
        command = command.mut_subcommand(&name, |sub| with_examples(sub, &name));
    }
    command
}

fn names(command: &clap::Command) -> Vec<String> {
    let names = command.get_subcommands().map(clap::Command::get_name);
    names.map(str::to_owned).collect()
}

fn with_examples(mut command: clap::Command, called: &str) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    for name in names(&command) {
        let called = format!("{called} {name}");
        let examples = examples(&help, &called);
        command = command.mut_subcommand(&name, |sub| {
            let sub = match sub.get_after_help() {
                Some(_) => sub,
                None if examples.is_empty() => sub,
                None => sub.after_help(format!("Examples:\n{examples}")),
            };
            with_examples(sub, &called)
        });
    }
    command
}

/// The lines of a help that call this command, with those that continue them.
fn examples(help: &str, called: &str) -> String {
    let mut lines = Vec::new();
    let mut continued = false;
    for line in help.lines() {
        let words = line.split_whitespace().skip_while(|word| *word != "deepme");
        let begins = words
            .skip(1)
            .zip(called.split(' '))
            .filter(|(word, name)| word == name);
        if continued || begins.count() == called.split(' ').count() {
            lines.push(line);
            continued = line.ends_with('\\');
        }
    }
    lines.join("\n")
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CliError {
    /// By the rules of the house.
    Domain(Error),
    /// At a server.
    Client(ClientError),
    /// At a file, a pipe or the terminal.
    Io(io::Error),
    /// By what the user asked for.
    Usage(String),
    /// By how it went.
    Failed(String),
    /// It has been said already.
    Silent,
}

type Result<T = ()> = std::result::Result<T, CliError>;

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(error) => {
                write!(f, "{error}")?;
                let causes = error.causes();
                if causes.is_empty() || error.message().contains(&causes) {
                    Ok(())
                } else {
                    write!(f, " ({causes})")
                }
            }
            Self::Client(error) => write!(f, "{error}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
            Self::Silent => Ok(()),
        }
    }
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Domain(error) if error.code() == ErrorCode::Config => 2,
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    // The usual message may quote the value that it was about, which may be somebody's words.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(io::stderr(), "deepme: a defect at {place}");
    }));
    no_core_dumps();
    let cli = match Cli::from_arg_matches(&command().get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let Err(error) = run(cli) else {
        return ExitCode::SUCCESS;
    };
    let code = error.exit_code();
    if code != 0 && !matches!(error, CliError::Silent) {
        let _ = writeln!(io::stderr(), "deepme: {error}");
    }
    ExitCode::from(code)
}

/// What is in memory, people's words and the keys to them, is written to no file when the process dies, and read
/// by no other process of the same account.
fn no_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Where the system does not know of it there is nothing to forbid.
    let _ = setrlimit(Resource::Core, nothing);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

fn run(cli: Cli) -> Result {
    let global = cli.global;
    match cli.command {
        Command::Serve(command) => serve::run(&global, command),
        Command::Chat(command) => chat::run(&global, command),
        Command::User(command) => user::run(&global, command),
        Command::Session(command) => rights::run(&global, command),
        Command::Prompt(command) => prompt::run(&global, command),
        Command::Simulate(command) => simulate::run(&global, command),
        Command::Safety(command) => safety::run(&global, &command),
        Command::Keys(command) => keys::run(&global, &command),
        Command::Migrate(command) => migrate::run(&global, command),
        Command::Db(command) => db::run(&global, command),
        Command::Backup(command) => backup::run(&global, command),
        Command::Doctor(command) => doctor::run(&global, command),
        Command::Top(command) => top::run(&global, &command),
        Command::Config(command) => config::run(&global, &command),
        Command::Man(command) => man::run(&command),
        Command::Completions(command) => completions::run(&command),
    }
}

/// A line on stdout.
fn say(line: impl fmt::Display) -> Result {
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

/// A value as JSON on stdout.
fn say_json(value: &serde_json::Value) -> Result {
    say(format_args!("{value:#}"))
}

/// A line on stderr, for what is about the output and not part of it.
fn note(line: impl fmt::Display) -> Result {
    writeln!(io::stderr(), "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{command, examples};

    /// Every command and subcommand with what it is called and what its help ends with.
    fn helps(command: &clap::Command, called: &str, found: &mut Vec<(String, String)>) {
        for sub in command.get_subcommands() {
            let called = format!("{called} {}", sub.get_name());
            let help = sub.get_after_help().map(ToString::to_string);
            found.push((called.clone(), help.unwrap_or_default()));
            helps(sub, &called, found);
        }
    }

    #[test]
    fn the_commands_are_well_formed_and_each_has_an_example() {
        let command = command();
        command.clone().debug_assert();
        let mut found = Vec::new();
        helps(&command, "deepme", &mut found);
        assert!(found.len() > 35, "{found:?}");
        for (called, help) in found {
            assert!(
                help.contains("Examples:\n") && help.contains(&called),
                "{called}: {help:?}"
            );
        }
    }

    #[test]
    fn an_example_is_that_of_the_command_it_calls() {
        let help = "Examples:\n  deepme db copy --from a \\\n      --to b\n  deepme db\n  X=1 deepme db copy  again\n  deepme db copyist";
        assert_eq!(
            examples(help, "db copy"),
            "  deepme db copy --from a \\\n      --to b\n  X=1 deepme db copy  again"
        );
    }
}
