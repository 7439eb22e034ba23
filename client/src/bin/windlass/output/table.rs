//! Tables of text that adapt to the width of the terminal.
//!
//! ```text
//! enough room            columns side by side, as wide as their cells
//! less                   prose is wrapped, then optional columns are left out, then names are broken, then preferred
//!                        columns are left out
//! not even that          every row becomes a block of lines, each with a heading and a value, and nothing is left out
//! ```

use super::terminal::{Layout, Tone};
use super::wrap::{width_of, wrap};

/// The space between columns.
const GAP: usize = 2;

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    heading: String,
    kind: Kind,
    need: Need,
}

impl Column {
    /// The column, to be left out where names would be broken otherwise.
    pub(crate) fn optional(self) -> Self {
        Self { need: Need::Optional, ..self }
    }

    /// The column, to be left out where broken names do not make enough room for it.
    pub(crate) fn preferred(self) -> Self {
        Self { need: Need::Preferred, ..self }
    }

    fn new(heading: &str, kind: Kind) -> Self {
        Self { heading: heading.to_owned(), kind, need: Need::Always }
    }
}

/// Whether a column may be left out; those that are needed least come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Optional,
    Preferred,
    Always,
}

/// How a column behaves when there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Right-aligned, never wrapped.
    Number,
    /// Never wrapped.
    Word,
    /// Broken if there is no other way.
    Name,
    /// Wrapped first.
    Prose,
}

/// The steps in which columns give way: the kind, and the width to which its columns are reduced.
const STEPS: [(Kind, usize); 5] =
    [(Kind::Prose, 24), (Kind::Name, 20), (Kind::Prose, 14), (Kind::Name, 12), (Kind::Prose, 10)];

/// The number of these steps that are taken before optional columns are left out.
const STEPS_BEFORE_OPTIONAL: usize = 1;

/// Where prose of readable tables is wrapped if lines may have any length.
const READABLE_COLUMNS: usize = 80;

/// The width to which a column that may be left out is reduced.
const OPTIONAL_COLUMNS: usize = 20;

/// A column of numbers.
pub(crate) fn number(heading: &str) -> Column {
    Column::new(heading, Kind::Number)
}

/// A column of short words.
pub(crate) fn word(heading: &str) -> Column {
    Column::new(heading, Kind::Word)
}

/// A column of names.
pub(crate) fn name(heading: &str) -> Column {
    Column::new(heading, Kind::Name)
}

/// A column of sentences, locations and other long text.
pub(crate) fn prose(heading: &str) -> Column {
    Column::new(heading, Kind::Prose)
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A cell in the colour of its tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone: Some(tone) }
    }

    /// A line of the cell's text in its colour.
    fn painted(&self, layout: Layout, line: &str) -> String {
        match self.tone {
            Some(tone) => layout.paint(tone, line),
            None => line.to_owned(),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: None }
    }
}

/// Rows of text under headings.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    framed: bool,
    readable: bool,
}

/// A line of a cell, and the spaces around it.
struct Piece {
    before: usize,
    text: String,
    after: usize,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), framed: false, readable: false }
    }

    /// The table with more rows. Cells that are missing at the end of a row are empty.
    pub(crate) fn with(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The table with lines around its cells.
    pub(crate) fn framed(self) -> Self {
        Self { framed: true, ..self }
    }

    /// The table for people, wherever it goes: where lines may have any length its prose is wrapped nevertheless.
    pub(crate) fn readable(self) -> Self {
        Self { readable: true, ..self }
    }

    /// The table as text.
    pub(crate) fn render(&self, layout: Layout) -> String {
        let mut narrower = Some(self.clone());
        while let Some(table) = narrower {
            if let Some(widths) = table.widths(layout.width) {
                return table.side_by_side(layout, &widths);
            }
            narrower = table.without_one();
        }
        self.blocks(layout)
    }

    /// The columns side by side, as wide as `widths` says.
    fn side_by_side(&self, layout: Layout, widths: &[usize]) -> String {
        let headings: Vec<Cell> =
            self.columns.iter().map(|column| Cell::toned(column.heading.clone(), Tone::Heading)).collect();
        let mut text = String::new();
        if !self.framed {
            for row in std::iter::once(&headings).chain(&self.rows) {
                self.plain_row(&mut text, layout, widths, row);
            }
            return text;
        }
        let lines: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        let rule = format!("+{}+\n", lines.join("+"));
        text.push_str(&rule);
        self.framed_row(&mut text, layout, widths, &headings);
        text.push_str(&rule);
        for row in &self.rows {
            self.framed_row(&mut text, layout, widths, row);
        }
        text.push_str(&rule);
        text
    }

    /// The table without the column that is needed least, the last of several, unless all are needed.
    fn without_one(&self) -> Option<Self> {
        let least = self.columns.iter().map(|column| column.need).min().filter(|need| *need != Need::Always)?;
        let last = self.columns.iter().rposition(|column| column.need == least)?;
        let mut table = self.clone();
        table.columns.remove(last);
        for row in table.rows.iter_mut().filter(|row| row.len() > last) {
            row.remove(last);
        }
        Some(table)
    }

    /// The widths of the columns; `None` if there is not enough room for them.
    fn widths(&self, room: Option<usize>) -> Option<Vec<usize>> {
        let is_limited = room.is_some();
        let least: Vec<usize> = self.columns.iter().map(|column| width_of(&column.heading)).collect();
        let mut widths = least.clone();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = width_of(&cell.text).max(*width);
            }
        }
        let between = if self.framed { widths.len() * 3 + 1 } else { widths.len().saturating_sub(1) * GAP };
        let Some(room) = room.or(self.readable.then_some(READABLE_COLUMNS)) else { return Some(widths) };
        let room = match is_limited {
            true => room.checked_sub(between)?,
            false => room.saturating_sub(between),
        };
        let has_optional = self.columns.iter().any(|column| column.need == Need::Optional);
        let steps = if is_limited && has_optional { STEPS_BEFORE_OPTIONAL } else { STEPS.len() };
        for (kind, step) in STEPS.into_iter().take(steps).filter(|(kind, _)| is_limited || *kind == Kind::Prose) {
            while widths.iter().sum::<usize>() > room {
                let is_reducible = |index: &usize| {
                    let column = &self.columns[*index];
                    let step = if column.need == Need::Always { step } else { OPTIONAL_COLUMNS };
                    column.kind == kind && widths[*index] > step.max(least[*index])
                };
                match (0..widths.len()).filter(is_reducible).max_by_key(|index| widths[*index]) {
                    Some(widest) => widths[widest] -= 1,
                    None => break,
                }
            }
        }
        (!is_limited || widths.iter().sum::<usize>() <= room).then_some(widths)
    }

    /// The lines of a row, each as the pieces of its cells.
    fn lines(&self, layout: Layout, widths: &[usize], row: &[Cell]) -> Vec<Vec<Piece>> {
        let empty = Cell::default();
        let cells: Vec<&Cell> = (0..widths.len()).map(|index| row.get(index).unwrap_or(&empty)).collect();
        let wrapped: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| wrap(&cell.text, *width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or_default();
        let piece = |line: usize, index: usize| {
            let text = wrapped[index].get(line).map_or("", String::as_str);
            let room = widths[index].saturating_sub(width_of(text));
            let before = if self.columns[index].kind == Kind::Number { room } else { 0 };
            Piece { before, text: cells[index].painted(layout, text), after: room - before }
        };
        (0..height).map(|line| (0..widths.len()).map(|index| piece(line, index)).collect()).collect()
    }

    /// A row without lines around it; nothing ends with spaces.
    fn plain_row(&self, text: &mut String, layout: Layout, widths: &[usize], row: &[Cell]) {
        for pieces in self.lines(layout, widths, row) {
            let mut spaces = 0;
            for piece in pieces {
                spaces += piece.before;
                if !piece.text.is_empty() {
                    text.push_str(&" ".repeat(spaces));
                    text.push_str(&piece.text);
                    spaces = 0;
                }
                spaces += piece.after + GAP;
            }
            text.push('\n');
        }
    }

    fn framed_row(&self, text: &mut String, layout: Layout, widths: &[usize], row: &[Cell]) {
        for pieces in self.lines(layout, widths, row) {
            for Piece { before, text: piece, after } in pieces {
                text.push_str(&format!("| {}{piece}{} ", " ".repeat(before), " ".repeat(after)));
            }
            text.push_str("|\n");
        }
    }

    /// Every row as a block of lines.
    fn blocks(&self, layout: Layout) -> String {
        let block = |row: &Vec<Cell>| {
            let cells = self.columns.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty());
            fields(cells.map(|(column, cell)| (column.heading.as_str(), cell.clone())), layout)
        };
        self.rows.iter().map(block).collect::<Vec<_>>().join("\n")
    }
}

/// Lines with a heading and a value each; values are wrapped.
pub(crate) fn fields<'h>(fields: impl IntoIterator<Item = (&'h str, Cell)>, layout: Layout) -> String {
    let fields: Vec<(&str, Cell)> = fields.into_iter().collect();
    let indent = fields.iter().map(|(heading, _)| width_of(heading)).max().unwrap_or_default() + GAP;
    let room = layout.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(1));
    let mut text = String::new();
    for (heading, cell) in &fields {
        let spaces = " ".repeat(indent - width_of(heading));
        let mut before = format!("{}{spaces}", layout.paint(Tone::Heading, heading));
        for line in wrap(&cell.text, room) {
            text.push_str(&format!("{before}{}\n", cell.painted(layout, &line)));
            before = " ".repeat(indent);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let row = |stage: &str, status: &str, rows: &str, why: &str| {
            vec![Cell::from(stage), Cell::toned(status, Tone::Good), Cell::from(rows), Cell::from(why)]
        };
        Table::new([name("STAGE"), word("STATUS"), number("ROWS"), prose("WHY")]).with([
            row("orders_clean", "full", "1,204", "its table has no rows of a run yet"),
            row("customers_of_the_last_year", "reuse", "", "neither its definition nor what it reads has changed"),
        ])
    }

    fn shown(width: Option<usize>) -> String {
        let text = sample().render(Layout { width, colour: false });
        for line in text.lines() {
            assert!(width.is_none_or(|width| width_of(line) <= width), "{line}");
            assert_eq!(line, line.trim_end());
        }
        text
    }

    #[test]
    fn cells_are_wrapped_only_where_there_is_no_room() {
        assert_eq!(
            format!("\n{}", shown(None)),
            r"
STAGE                       STATUS   ROWS  WHY
orders_clean                full    1,204  its table has no rows of a run yet
customers_of_the_last_year  reuse          neither its definition nor what it reads has changed
"
        );
        assert_eq!(
            format!("\n{}", shown(Some(80))),
            r"
STAGE                       STATUS   ROWS  WHY
orders_clean                full    1,204  its table has no rows of a run yet
customers_of_the_last_year  reuse          neither its definition nor what it
                                           reads has changed
"
        );
        assert_eq!(
            format!("\n{}", shown(Some(60))),
            r"
STAGE                 STATUS   ROWS  WHY
orders_clean          full    1,204  its table has no rows
                                     of a run yet
customers_of_the_     reuse          neither its definition
last_year                            nor what it reads has
                                     changed
"
        );
    }

    #[test]
    fn prose_of_readable_tables_is_wrapped_wherever_it_goes() {
        assert_eq!(sample().readable().render(Layout { width: None, colour: false }), shown(Some(80)));
    }

    #[test]
    fn rows_become_blocks_where_columns_have_no_room() {
        assert_eq!(
            format!("\n{}", shown(Some(30))),
            r"
STAGE   orders_clean
STATUS  full
ROWS    1,204
WHY     its table has no rows
        of a run yet

STAGE   customers_of_the_last_
        year
STATUS  reuse
WHY     neither its definition
        nor what it reads has
        changed
"
        );
    }

    #[test]
    fn a_frame_is_as_wide_as_the_table() {
        let text = sample().framed().render(Layout { width: Some(70), colour: false });
        assert!(text.lines().all(|line| width_of(line) == 70), "{text}");
        assert_eq!(
            format!("\n{text}"),
            r"
+------------------------+--------+-------+--------------------------+
| STAGE                  | STATUS |  ROWS | WHY                      |
+------------------------+--------+-------+--------------------------+
| orders_clean           | full   | 1,204 | its table has no rows of |
|                        |        |       | a run yet                |
| customers_of_the_last_ | reuse  |       | neither its definition   |
| year                   |        |       | nor what it reads has    |
|                        |        |       | changed                  |
+------------------------+--------+-------+--------------------------+
"
        );
    }

    #[test]
    fn optional_columns_are_left_out_before_rows_become_blocks() {
        let row = vec![Cell::from("a_stage"), Cell::from("12"), Cell::from("a location of quite some length")];
        let table = Table::new([name("STAGE"), number("ROWS"), prose("LOCATION").optional()]).with([row]);
        let shown = |width| table.render(Layout { width: Some(width), colour: false });
        assert_eq!(
            shown(35),
            "STAGE    ROWS  LOCATION\na_stage    12  a location of quite\n               some length\n"
        );
        assert_eq!(shown(34), "STAGE    ROWS\na_stage    12\n");
        // Where there is no room for columns at all there is room for everything.
        assert!(shown(12).contains("LOCATION"));
    }

    #[test]
    fn optional_columns_are_left_out_before_names_are_broken_and_preferred_ones_after() {
        let row = ["orders_of_the_last_year", "incremental", "3", "12 MiB"].map(Cell::from);
        let columns =
            [name("STAGE"), word("STRATEGY").preferred(), number("TRIES").optional(), number("SIZE").optional()];
        let table = Table::new(columns).with([row.to_vec()]);
        let shown = |width| table.render(Layout { width: Some(width), colour: false });
        assert_eq!(
            shown(51),
            "STAGE                    STRATEGY     TRIES    SIZE\n\
             orders_of_the_last_year  incremental      3  12 MiB\n"
        );
        assert_eq!(
            shown(50),
            "STAGE                    STRATEGY     TRIES\norders_of_the_last_year  incremental      3\n"
        );
        assert_eq!(shown(42), "STAGE                    STRATEGY\norders_of_the_last_year  incremental\n");
        assert_eq!(shown(30), "STAGE              STRATEGY\norders_of_the_     incremental\nlast_year\n");
        assert_eq!(shown(24), "STAGE\norders_of_the_last_year\n");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        for width in [None, Some(80), Some(30)] {
            let coloured = sample().render(Layout { width, colour: true });
            assert!(coloured.contains("\x1b[32mfull\x1b[0m") && coloured.contains("\x1b[1mSTAGE\x1b[0m"), "{coloured}");
            let plain = ["\x1b[0m", "\x1b[1m", "\x1b[32m"].iter().fold(coloured, |text, code| text.replace(code, ""));
            assert_eq!(plain, sample().render(Layout { width, colour: false }));
        }
    }
}
