//! Every command in the documents and in the help is one that the program takes; what can run here is run.

mod found;
mod run;
mod shell;

use clap::error::ErrorKind;
use deepme::cli::command;
use found::{examples, in_blocks, in_prose};

/// Parsed as the program does it; what is wrong with it.
fn wrong(args: &[String]) -> Option<String> {
    let words = std::iter::once("deepme".to_owned()).chain(args.iter().cloned());
    let error = command().try_get_matches_from(words).err()?;
    let fine = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    (!fine.contains(&error.kind())).then(|| error.to_string())
}

#[test]
fn every_command_in_the_documents_is_one_that_the_program_takes() {
    let mut calls = in_blocks();
    let documented = calls.len();
    calls.extend(examples());
    assert!(documented > 40 && calls.len() > documented + 40);
    let wrong: Vec<String> = calls
        .iter()
        .filter_map(|(place, call)| {
            let why = wrong(&call.args)?;
            Some(format!("{place}: deepme {}: {why}", call.args.join(" ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The commands that a word of a text means: `passwd|disable` means two.
fn below<'a>(commands: &[&'a clap::Command], word: &str) -> Option<Vec<&'a clap::Command>> {
    let one = |name: &str| {
        let mut found = commands.iter();
        found.find_map(|command| command.find_subcommand(name))
    };
    word.split('|').map(one).collect()
}

/// In a text a command may be half of one: its name and its options are looked at, not whether anything is missing.
#[test]
fn every_command_and_option_in_the_prose_is_there() {
    let root = command();
    let global: Vec<&str> = root
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    let (mut seen, mut wrong) = (0, Vec::new());
    for (place, args) in in_prose() {
        let mut commands = vec![&root];
        let mut words = args.iter().peekable();
        while let Some(further) = words.peek().and_then(|word| below(&commands, word)) {
            commands = further;
            words.next();
        }
        let named = commands
            .iter()
            .all(|command| command.get_name() != "deepme");
        let takes = |word: &str| {
            let name = word.trim_start_matches('-');
            let name = name.split('=').next().unwrap_or_default();
            ["help", "version"].contains(&name)
                || global.contains(&name)
                || commands.iter().any(|command| {
                    let mut longs = command.get_arguments().filter_map(clap::Arg::get_long);
                    longs.any(|long| long == name)
                })
        };
        // A command that has others below it takes no other word.
        let group = commands.iter().all(|command| command.has_subcommands());
        let other = words
            .clone()
            .next()
            .filter(|word| group && !word.starts_with('-'));
        let options = words.clone().flat_map(|word| word.split('|'));
        let strange = options
            .filter(|word| word.starts_with("--"))
            .find(|word| !takes(word));
        seen += 1;
        if !named || other.is_some() || strange.is_some() {
            wrong.push(format!("{place}: deepme {}", args.join(" ")));
        }
    }
    assert!(seen > 60, "{seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
