//! How wide text for people may be, and whether it is coloured: the same rules for all commands, on stdout and stderr.
//!
//! ```text
//! width    COLUMNS, else that of the terminal; text that goes anywhere else is not wrapped
//! colour   NO_COLOR: never · CLICOLOR_FORCE: always · else on a terminal, unless CLICOLOR=0 or TERM=dumb
//! ```

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// Wider than this, lines are hard to read: prose is wrapped here even if the terminal has more columns.
const READABLE_COLUMNS: usize = 100;

/// How text for people is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The number of columns; `None` if lines may have any length.
    pub(crate) width: Option<usize>,
    /// Whether to colour with ANSI escapes.
    pub(crate) colour: bool,
}

/// What a piece of text stands for, from which its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Heading,
    Good,
    Notable,
    Bad,
    Faint,
}

impl Layout {
    /// That of stdout.
    pub(crate) fn stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// That of stderr.
    pub(crate) fn stderr() -> Self {
        Self::of(&io::stderr())
    }

    /// That of text in a file.
    pub(crate) fn file() -> Self {
        Self { width: None, colour: false }
    }

    fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_terminal = stream.is_terminal();
        Self {
            width: width(variable("COLUMNS").as_deref(), || is_terminal.then(|| columns_of(stream)).flatten()),
            colour: colour(variable, is_terminal),
        }
    }

    /// Columns to wrap prose at.
    pub(crate) fn prose_width(self) -> usize {
        self.width.unwrap_or(READABLE_COLUMNS).min(READABLE_COLUMNS)
    }

    /// The text in the colour of its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Heading => "1",
            Tone::Good => "32",
            Tone::Notable => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

fn width(columns: Option<&str>, terminal: impl FnOnce() -> Option<usize>) -> Option<usize> {
    columns.and_then(|columns| columns.parse().ok()).or_else(terminal).filter(|width| *width > 0)
}

fn columns_of(stream: &impl AsFd) -> Option<usize> {
    rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col))
}

/// `variable` gives the values of variables that are set to something.
fn colour(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let is = |name: &str, value: &str| variable(name).is_some_and(|set| set == value);
    if variable("NO_COLOR").is_some() {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_before_the_terminal() {
        assert_eq!(width(Some("60"), || Some(200)), Some(60));
        assert_eq!(width(None, || Some(200)), Some(200));
        assert_eq!(width(Some("many"), || Some(200)), Some(200));
        assert_eq!(width(None, || None), None);
        // A terminal that does not tell its width says 0.
        assert_eq!(width(None, || Some(0)), None);
    }

    #[test]
    fn no_color_outweighs_everything_else() {
        let with = |set: &[(&str, &str)], is_terminal| {
            let set: Vec<(String, String)> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            colour(|name| set.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()), is_terminal)
        };
        assert!(with(&[], true));
        assert!(!with(&[], false));
        assert!(with(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!with(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!with(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true));
        assert!(!with(&[("CLICOLOR", "0")], true));
        assert!(!with(&[("TERM", "dumb")], true));
    }
}
