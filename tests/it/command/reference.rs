//! docs/commands.md is what the command says about itself. `UPDATE_DOCS=1` writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use assert_cmd::Command;

use super::binary;

const PAGE: &str = "../docs/commands.md";
const HEAD: &str = "\
# Commands

What `windlass COMMAND --help` prints, for all commands. The global options, which every command takes, are at the end. The servers
`windlass scheduler` and `windlass executor` have settings of their own: [configuration.md](configuration.md). What commands print with
`--output json` is in [json-output.md](json-output.md).
";
/// The commands that have a page of their own, or explain themselves.
const ELSEWHERE: [&str; 3] = ["help", "scheduler", "executor"];

fn help_of(command: &[&str]) -> String {
    let mut called = Command::new(binary());
    called.args(command).arg("--help").env("COLUMNS", "100").env("NO_COLOR", "1");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WINDLASS_")) {
        called.env_remove(name);
    }
    let output = called.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let Some((_, commands)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let commands = commands.split("\n\n").next().unwrap_or_default();
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && !ELSEWHERE.contains(name)).map(str::to_owned).collect()
}

/// The help without the options that all commands have, and these.
fn apart(help: &str) -> (String, String) {
    let Some((own, rest)) = help.split_once("Global options:\n") else { return (help.to_owned(), String::new()) };
    let after = rest.find("\nExample").map_or(rest.len(), |at| at + 1);
    let (global, after) = rest.split_at(after);
    (format!("{}\n\n{after}", own.trim_end()), global.trim_end().to_owned())
}

fn add(page: &mut String, command: &[&str]) {
    let help = help_of(command);
    let (own, _) = apart(&help);
    let lines: Vec<&str> = own.lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    writeln!(page, "\n## windlass {}\n\n```text\n{}\n```", command.join(" "), text.trim()).unwrap();
    for name in listed(&help) {
        add(page, &[command, &[name.as_str()]].concat());
    }
}

#[test]
fn the_page_of_commands_is_what_the_command_says() {
    let mut page = HEAD.to_owned();
    let help = help_of(&[]);
    for name in listed(&help) {
        add(&mut page, &[&name]);
    }
    let (_, global) = apart(&help);
    let global: Vec<&str> = global.lines().map(str::trim_end).collect();
    writeln!(page, "\n## Global options\n\n```text\n{}\n```", global.join("\n")).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), page, "write docs/commands.md with UPDATE_DOCS=1");
}
