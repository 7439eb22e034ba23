//! What the command answers to mistakes that are easily made: each answer names the place, the cause and the remedy.
//!
//! The files hold cases: `=== name`, then steps in order. A project without `windlass.yaml` gets one, and so does one without
//! stages.
//!
//! ```text
//! --- PATH      the following lines are written to that file
//! $ ARGUMENTS   the command is run and succeeds
//! ! ARGUMENTS   the command fails; its answer is shown
//! > ARGUMENTS   the command succeeds; what it prints is shown
//! % rm GLOB     files are removed; `% cut GLOB` halves them, `% spoil GLOB` overwrites them with something else
//! ```
//!
//! Variables may precede the arguments: `! NAME=value plan`. A mistake that is found without reading data is tested in
//! `shared/project/tests/project/bad` instead.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use tempfile::TempDir;

use super::binary;

/// Variables that would change what is tested.
const UNSET: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ALLOW_HTTP",
    "WINDLASS_HOME",
    "WINDLASS_CLUSTER",
];

/// A step of a case.
enum Step {
    Write { path: String, text: String },
    Files { what: String, glob: String },
    Run { line: String, fails: bool, shown: bool },
}

struct Case {
    name: String,
    steps: Vec<Step>,
}

fn cases(text: &str) -> Vec<Case> {
    format!("\n{text}").split("\n=== ").skip(1).map(case_of).collect()
}

fn case_of(text: &str) -> Case {
    let mut lines = text.lines();
    let name = lines.next().unwrap().trim().to_owned();
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in lines {
        let run = |line: &str, fails, shown| Step::Run { line: line.to_owned(), fails, shown };
        let step = match line.split_once(' ') {
            Some(("---", path)) => Step::Write { path: path.to_owned(), text: String::new() },
            Some(("$", line)) => run(line, false, false),
            Some(("!", line)) => run(line, true, true),
            Some((">", line)) => run(line, false, true),
            Some(("%", action)) => {
                let (what, glob) = action.split_once(' ').unwrap();
                Step::Files { what: what.to_owned(), glob: glob.to_owned() }
            }
            _ => {
                match steps.last_mut() {
                    Some(Step::Write { text, .. }) if inside => text.push_str(&format!("{line}\n")),
                    _ => assert!(line.trim().is_empty(), "{name}: `{line}` is no step"),
                }
                continue;
            }
        };
        inside = matches!(step, Step::Write { .. });
        steps.push(step);
    }
    Case { name, steps }
}

/// The files that match a path with `*` in its last part.
fn matching(dir: &Path, glob: &str) -> Vec<PathBuf> {
    let path = dir.join(glob);
    let pattern = regex::escape(&path.file_name().unwrap().to_string_lossy()).replace(r"\*", ".*");
    let pattern = Regex::new(&format!("^{pattern}$")).unwrap();
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> =
        entries.filter(|path| pattern.is_match(&path.file_name().unwrap().to_string_lossy())).collect();
    assert!(!found.is_empty(), "nothing matches {glob}");
    found
}

/// The words of a command line; quotes keep spaces together.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ') if begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            (None, ' ') => {}
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Runs a step's command; its exit code, and what it printed.
fn run(project: &Path, line: &str) -> (i32, String) {
    let words = words(line);
    let is_variable = |word: &&String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c == '_' || c.is_ascii_uppercase()))
    };
    let variables = words.iter().take_while(is_variable).count();
    let mut command = assert_cmd::Command::new(binary());
    // Wide enough for all lines: where one is wrapped would depend on the name of the temporary folder.
    command.current_dir(project).env("HOME", project.join("nobody")).env("COLUMNS", "1000");
    // Tests may run in a cloud.
    command.env("WINDLASS_INSTANCE_METADATA", "off");
    for name in UNSET {
        command.env_remove(name);
    }
    for variable in &words[..variables] {
        let (name, value) = variable.split_once('=').unwrap();
        command.env(name, value);
    }
    let output = command.args(&words[variables..]).output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), printed)
}

/// What was printed without what differs from run to run.
fn normal(printed: &str, project: &Path) -> String {
    let mut text = printed.to_owned();
    for dir in [project.canonicalize().unwrap(), project.to_owned()] {
        text =
            text.replace(&dir.display().to_string(), "…").replace(dir.to_string_lossy().trim_start_matches('/'), "…");
    }
    if let Some(around) = project.parent() {
        text = text.replace(&format!("{}/", around.display()), "<around>/");
    }
    for (pattern, replacement) in [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
        (r"\b[0-9a-f]{32}\b", "<id>"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "<time>"),
        (r"\b\d+(\.\d+)? ?(ms|µs|s)\b", "<duration>"),
        (r"(?m)^\d\d:\d\d:\d\d\S* ", "<clock> "),
        // Where half of a commit ends depends on the ids and times in it.
        (r"EOF while parsing an? \w+ at line \d+ column \d+", "<end>"),
        (r"[ \t]+\n", "\n"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    text.trim_end().to_owned()
}

/// Of the summary of a run only why stages failed: the rest is a table with times.
fn without_table(printed: &str) -> String {
    let mut shown = Vec::new();
    let mut in_table = false;
    for line in printed.lines() {
        in_table = (in_table && !line.is_empty()) || line.starts_with("STAGE ");
        if !in_table && !line.starts_with("bundle ") && !line.starts_with("run ") {
            shown.push(line);
        }
    }
    shown.join("\n")
}

fn answers(text: &str) -> String {
    let mut shown = String::new();
    for case in cases(text) {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("windlass.yaml"), "name: p\n").unwrap();
        shown.push_str(&format!("=== {}\n", case.name));
        for step in case.steps {
            match step {
                Step::Write { path, text } => {
                    let file = dir.path().join(path);
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, text.trim_end_matches('\n').to_owned() + "\n").unwrap();
                }
                Step::Files { what, glob } => {
                    for file in matching(dir.path(), &glob) {
                        match what.as_str() {
                            "rm" => fs::remove_file(file).unwrap(),
                            "cut" => {
                                let bytes = fs::read(&file).unwrap();
                                fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
                            }
                            "spoil" => fs::write(file, "something else\n").unwrap(),
                            other => panic!("{}: `{other}` is no action", case.name),
                        }
                    }
                }
                Step::Run { line, fails, shown: is_shown } => {
                    let (code, printed) = run(dir.path(), &line);
                    assert_eq!(code != 0, fails, "{}: `{line}` ends with {code}\n{printed}", case.name);
                    if is_shown {
                        let printed = without_table(&normal(&printed, dir.path()));
                        let code = if fails { format!(" → {code}") } else { String::new() };
                        shown.push_str(&format!("$ {line}{code}\n{}\n\n", printed.trim()));
                    }
                }
            }
        }
    }
    shown
}

macro_rules! groups {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            let shown = answers(include_str!(concat!(stringify!($name), ".txt")));
            for term in ["DataFusion error", "DataFusion's code", "Arrow error", "Schema error:", "Execution error:", "stack backtrace", "panicked at"] {
                assert!(!shown.contains(term), "an answer says `{term}`:\n{shown}");
            }
            insta::assert_snapshot!(shown);
        })*
    };
}

groups!(sources, queries, tables, checks, usage);
