//! `deepme man` and `deepme completions`, and the files beside them that are installed.

use super::Machine;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_command_has_a_page_that_names_its_options_and_shows_an_example() {
    let machine = Machine::new();
    let outcome = machine.run(&["man", "--to", "share/man1"], "").ok();
    assert!(outcome.out.is_empty() && outcome.err.contains("share/man1"));
    let pages: BTreeSet<String> = std::fs::read_dir(machine.path("share/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in [
        "deepme.1",
        "deepme-serve.1",
        "deepme-user.1",
        "deepme-user-add.1",
        "deepme-db-copy.1",
    ] {
        assert!(pages.contains(page), "{pages:?}");
    }
    for page in &pages {
        let text = std::fs::read_to_string(machine.path("share/man1").join(page)).unwrap();
        assert!(
            text.contains("\n.TH ") && text.contains("\n.SH OPTIONS\n"),
            "{page}"
        );
        assert!(page == "deepme.1" || text.contains("Examples:\n"), "{page}");
    }
    let one = machine.run(&["man"], "").ok().out;
    assert!(
        one.contains(".TH deepme 1") && one.contains("deepme\\-serve(1)"),
        "{one}"
    );
    std::fs::write(machine.path("file"), "").unwrap();
    machine
        .run(&["man", "--to", "file/man1"], "")
        .failed(1, "file");
}

#[test]
fn a_shell_is_told_of_every_command() {
    let machine = Machine::new();
    for (shell, says) in [
        ("bash", "complete -F _deepme"),
        ("zsh", "#compdef deepme"),
        ("fish", "complete -c deepme"),
    ] {
        let script = machine.run(&["completions", shell], "").ok().out;
        assert!(script.contains(says), "{shell}");
        for word in ["serve", "rollback", "password-stdin"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    machine.run(&["completions", "tcsh"], "").failed(2, "tcsh");
}

/// The words of the unit after this key.
fn setting(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key));
    let words = lines.filter_map(|line| line.strip_prefix('='));
    words
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

#[test]
fn one_unit_fits_the_package_and_an_installation_by_hand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let unit = read("systemd/deepme.service");
    // By name: systemd looks in /usr/local/bin and in /usr/bin; both may be executed, neither has to be there.
    assert_eq!(setting(&unit, "ExecStart"), ["deepme", "serve"]);
    let allowed = setting(&unit, "ExecPaths");
    for path in ["-/usr/local/bin/deepme", "-/usr/bin/deepme"] {
        assert!(allowed.iter().any(|one| one == path), "{allowed:?}");
    }
    let socket = read("systemd/deepme.socket");
    let config = deepme::config::Config::default();
    assert_eq!(
        setting(&socket, "ListenStream"),
        [config.server.listen.to_string()]
    );
    // The package's configuration is one, and is where the unit keeps the data.
    let machine = Machine::new();
    let file = machine.write("packaged.toml", &read("packaging/config.toml"));
    let shown = machine.run(
        &[
            "--config",
            file.to_str().unwrap(),
            "config",
            "show",
            "--json",
        ],
        "",
    );
    let url = shown.ok().json()["database"]["url"].clone();
    assert_eq!(url, "sqlite:///var/lib/deepme/data/deepme.db");
    assert_eq!(setting(&unit, "StateDirectory"), ["deepme"]);
    // What the package takes is there.
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let package = &manifest["package"]["metadata"]["deb"];
    for asset in package["assets"].as_array().unwrap() {
        let path = asset[0].as_str().unwrap();
        if !path.starts_with("target/") && !path.contains('*') {
            assert!(root.join(path).is_file(), "{path}");
        }
    }
}
