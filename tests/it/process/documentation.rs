//! docs/configuration.md names every setting, with its default and its meaning.

use super::{BINARIES, server, stdout};

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// A row of the page for each setting that `--help` shows.
fn rows(name: &str) -> Vec<String> {
    let help = stdout(&server(name).arg("--help").env("COLUMNS", "500").output().unwrap());
    let options = help.split_once("Options:").unwrap().1.split_once("Each setting").unwrap().0;
    let mut settings: Vec<String> = Vec::new();
    for line in options.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.starts_with('-') {
            true => settings.push(line.to_owned()),
            false => settings.last_mut().unwrap().push_str(&format!(" {line}")),
        }
    }
    let settings = settings.iter().filter(|setting| setting.starts_with("--") && setting.contains('<'));
    settings.filter(|setting| !setting.starts_with("--config ")).map(|setting| row(setting)).collect()
}

/// `--memory <SIZE>  What queries may hold [default: a lot]` as a row.
fn row(setting: &str) -> String {
    let (flag, text) = setting.split_once('>').unwrap();
    let flag = flag.replace('<', "");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (meaning, default) = match text.rsplit_once(" [") {
        Some((meaning, default)) => (meaning, default.trim_end_matches(']')),
        None => (text.as_str(), "none"),
    };
    let default = match default.strip_prefix("default: ") {
        Some(value) if value.contains(' ') => value.to_owned(),
        Some(value) => format!("`{value}`"),
        None => default.to_owned(),
    };
    format!("| `{flag}` | {default} | {meaning} |")
}

#[test]
fn the_page_has_the_settings_that_the_servers_have() {
    for name in BINARIES {
        let rows = rows(name);
        let (_, section) = PAGE.split_once(&format!("\n## {name}\n")).unwrap();
        let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
        let written: Vec<&str> = section.lines().filter(|line| line.starts_with("| `--")).collect();
        assert_eq!(written, rows, "docs/configuration.md should have\n{}", rows.join("\n"));
    }
}
