//! A page of the documentation as the steps that a reader would take.
//!
//! ````text
//! ```sh                    commands                       <!-- fails -->          the last command fails
//! ```text                  what they have printed         <!-- picture -->        not output
//! ```yaml, sql, csv, …     a file, or a part of one       <!-- file: PATH -->, <!-- part of: PATH -->
//!                          commands that nobody sees      <!-- run: … -->, <!-- run and fail: … -->
//! ````

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Comments that are not about an example.
const OTHER_COMMENTS: [&str; 1] = ["from here on made by a test"];

/// A page.
pub(super) struct Page {
    /// The path in the repository.
    pub(super) name: String,
    /// All of its lines.
    pub(super) lines: Vec<String>,
    /// Its examples, in order.
    pub(super) steps: Vec<Step>,
}

/// A block of the page, or hidden commands.
pub(super) struct Step {
    /// The lines of the page between the fences, from 0.
    pub(super) lines: Range<usize>,
    /// What to do with them.
    pub(super) kind: Kind,
    /// The text without the indentation of the block.
    pub(super) text: String,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Commands, of which the last one fails or none.
    Commands { fails: bool },
    /// What the commands before have printed.
    Output,
    /// A picture, the grammar of something: text that no command prints.
    Picture,
    /// A file of the project.
    File(String),
    /// A part of a file of the repository.
    PartOf(String),
    /// Anything else.
    Other,
}

/// The folder of the repository.
pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Page {
    /// Reads the page with this path in the repository.
    pub(super) fn read(name: &str) -> Self {
        let text = fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(name, &text)
    }

    /// Where a step begins, for messages.
    pub(super) fn position(&self, step: &Step) -> String {
        format!("{}:{}", self.name, step.lines.start + 1)
    }

    /// The steps of a text.
    pub(super) fn parse(name: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut steps = Vec::new();
        // What the comment before the next block says.
        let mut said: Option<String> = None;
        let mut at = 0;
        while at < lines.len() {
            let trimmed = lines[at].trim_start();
            let position = format!("{name}:{}", at + 1);
            if trimmed.starts_with("<!--") {
                let end = (at..lines.len()).find(|line| lines[*line].contains("-->"));
                let end = end.unwrap_or_else(|| panic!("{position}: the comment has no end"));
                let comment = lines[at..=end].join("\n");
                let comment = comment.trim().trim_start_matches("<!--").trim_end_matches("-->").trim().to_owned();
                assert!(said.is_none(), "{position}: two comments about one block");
                match hidden(&comment) {
                    Some((fails, text)) => {
                        steps.push(Step { lines: at..end + 1, kind: Kind::Commands { fails }, text })
                    }
                    None if OTHER_COMMENTS.iter().any(|other| comment.starts_with(other)) => {}
                    None => said = Some(comment),
                }
                at = end + 1;
            } else if let Some(info) = trimmed.strip_prefix("```") {
                let indent = lines[at].len() - trimmed.len();
                let end = (at + 1..lines.len()).find(|line| lines[*line].trim() == "```");
                let end = end.unwrap_or_else(|| panic!("{position}: the block has no end"));
                let inner =
                    lines[at + 1..end].iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()));
                let kind = kind(info, said.take().as_deref()).unwrap_or_else(|why| panic!("{position}: {why}"));
                steps.push(Step { lines: at + 1..end, kind, text: inner.collect() });
                at = end + 1;
            } else {
                assert!(trimmed.is_empty() || said.is_none(), "{position}: a block must follow the comment {said:?}");
                at += 1;
            }
        }
        Self { name: name.to_owned(), lines, steps }
    }
}

/// The commands in a comment, and whether the last one fails.
fn hidden(comment: &str) -> Option<(bool, String)> {
    let (fails, commands) = match comment.strip_prefix("run and fail:") {
        Some(commands) => (true, commands),
        None => (false, comment.strip_prefix("run:")?),
    };
    Some((fails, format!("{}\n", commands.trim())))
}

fn kind(language: &str, said: Option<&str>) -> Result<Kind, String> {
    let (word, path) = match said.map(|said| said.split_once(": ").unwrap_or((said, ""))) {
        Some((word, path)) => (Some(word), path.to_owned()),
        None => (None, String::new()),
    };
    match (language, word) {
        ("sh", None) => Ok(Kind::Commands { fails: false }),
        ("sh", Some("fails")) => Ok(Kind::Commands { fails: true }),
        ("text", None) | (_, Some("output")) => Ok(Kind::Output),
        ("text" | "mermaid", Some("picture")) => Ok(Kind::Picture),
        ("", _) => Err("the block has no language".to_owned()),
        (_, None) => Ok(Kind::Other),
        (_, Some("file")) if !path.is_empty() => Ok(Kind::File(path)),
        (_, Some("part of")) if !path.is_empty() => Ok(Kind::PartOf(path)),
        (_, Some(word)) => Err(format!("`{word}` says nothing about a block of `{language}`")),
    }
}

#[test]
fn comments_say_what_blocks_are() {
    let page = "text\n<!-- file: a/b.sql -->\n```sql\nSELECT 1\n```\n\n<!-- run:\nmkdir x\ncd x -->\n1. List:\n\n   ```sh\n   ls\n   \
                ```\n<!-- picture -->\n```text\n→\n```\n```text\nx\n```\n";
    let page = Page::parse("p.md", page);
    let steps: Vec<(Kind, &str)> = page.steps.iter().map(|step| (step.kind.clone(), step.text.as_str())).collect();
    let commands = || Kind::Commands { fails: false };
    assert_eq!(
        steps,
        [
            (Kind::File("a/b.sql".to_owned()), "SELECT 1\n"),
            (commands(), "mkdir x\ncd x\n"),
            (commands(), "ls\n"),
            (Kind::Picture, "→\n"),
            (Kind::Output, "x\n"),
        ]
    );
}
