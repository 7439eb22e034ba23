//! What commands print: text that adapts to the terminal, or a single JSON document.
//!
//! ```text
//! Table ─render(Layout)→ text ─┬→ stdout (results)
//! documents ─json→ JSON ───────┘  stderr (progress, warnings, errors)
//! ```

mod table;
mod terminal;
mod wrap;

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use serde::Serialize;

pub(crate) use table::{Cell, Table, fields, name, number, prose, word};
pub(crate) use terminal::{Layout, Tone};
pub(crate) use windlass_base::count::{count, counted};
pub(crate) use wrap::{width_of, wrap};

/// What is shown instead of a number that nobody knows.
pub(crate) const UNKNOWN: &str = "?";
/// What is shown where there can be no value.
pub(crate) const NONE: &str = "-";

/// Prints one JSON document and nothing else.
pub(crate) fn json<T: Serialize>(value: &T) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    self::text(&text)
}

/// Prints a table on stdout.
pub(crate) fn table(table: &Table) -> io::Result<()> {
    text(&table.render(Layout::stdout()))
}

/// Prints a line on stderr. There is nobody to tell if that is not possible, as in `2>&1 | head`.
pub(crate) fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints text as it is; a closed pipe (`| head`) is not an error.
pub(crate) fn text(text: &str) -> io::Result<()> {
    match Stdout.write_all(text.as_bytes()).and_then(|()| Stdout.flush()) {
        Err(_) if reader_has_closed() => Ok(()),
        outcome => outcome,
    }
}

/// Whether anything was printed on stdout.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Whether anything was printed on stdout.
pub(crate) fn has_printed() -> bool {
    PRINTED.load(Ordering::Relaxed)
}

/// Whether the reader of stdout has closed it.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of stdout has closed it, like `head` after its last line.
pub(crate) fn reader_has_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Stdout, which records that its reader has closed it.
pub(crate) struct Stdout;

impl Stdout {
    fn note<T>(outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            CLOSED.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        PRINTED.fetch_or(!bytes.is_empty(), Ordering::Relaxed);
        Self::note(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::note(io::stdout().flush())
    }
}

/// Bytes in a suitable unit.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// Milliseconds as seconds or minutes.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// A time with its zone, UTC.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.format("%F %TZ").to_string()
}

/// A value, or [`UNKNOWN`].
pub(crate) fn or_unknown<T>(value: Option<T>, form: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), form)
}

/// A text, or [`NONE`].
pub(crate) fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}
