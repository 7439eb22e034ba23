//! Splits CSV text into records.
//!
//! RFC 4180: a value in double quotes may hold delimiters, line breaks and, doubled, quotes. A line ends with `\n`, `\r\n`
//! or `\r`.

use super::fault::Fault;

/// One record: the text of its fields without their quotes.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    quoted: bool,
}

impl Record {
    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a field; `None` if it is not UTF-8.
    pub(super) fn field(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        std::str::from_utf8(self.text.get(start..*self.ends.get(index)?)?).ok()
    }

    /// Whether the record is an empty line.
    fn is_blank(&self) -> bool {
        self.text.is_empty() && self.ends.len() == 1 && !self.quoted
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.quoted = false;
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
    }
}

/// How a record ends within the available input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    /// The size of the record in bytes, including its line break.
    bytes: usize,
    /// Line breaks in it and at its end.
    lines: u64,
}

/// The result of reading from the start of an input, with the number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record.
    Record(usize),
    /// No complete record. The bytes that were read need not be passed again.
    More(usize),
}

/// Reads the records of one file.
#[derive(Debug)]
pub(super) struct Records {
    delimiter: u8,
    /// The number of fields per record, known from the first one.
    width: Option<usize>,
    /// Whether an empty line is a record while the number of fields is unknown.
    first_may_be_blank: bool,
    record: Record,
    /// The line at which `record` starts, and the following line; the first is 1.
    line: u64,
    next_line: u64,
}

impl Records {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, width: None, first_may_be_blank: false, record: Record::default(), line: 1, next_line: 1 }
    }

    /// Reads a file without a header that should have that many columns.
    pub(super) fn of_columns(delimiter: u8, columns: usize) -> Self {
        Self { first_may_be_blank: columns == 1, ..Self::new(delimiter) }
    }

    /// The last record.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The line at which it starts.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads the record at the start of `input`. `at_end` says that nothing follows `input`. An empty line is not a
    /// record, unless records have one field: then it is one without a value (for the first record, only if the number
    /// is known).
    pub(super) fn read(&mut self, input: &[u8], at_end: bool) -> Result<Step, Fault> {
        let mut start = 0;
        loop {
            self.line = self.next_line;
            if start == input.len() {
                return Ok(Step::More(start));
            }
            let Some(end) = self.split(&input[start..], at_end)? else { return Ok(Step::More(start)) };
            start += end.bytes;
            self.next_line += end.lines;
            if self.record.is_blank() && !self.width.map_or(self.first_may_be_blank, |width| width == 1) {
                continue;
            }
            let width = *self.width.get_or_insert(self.record.len());
            if self.record.len() != width {
                let reason = format!("the number of values is {}, and {width} in the first line", self.record.len());
                return Err(self.broken(reason));
            }
            return Ok(Step::Record(start));
        }
    }

    fn broken(&self, reason: impl Into<String>) -> Fault {
        Fault::Record { line: self.line, reason: reason.into() }
    }

    /// Splits the record at the start of `input` into its fields.
    fn split(&mut self, input: &[u8], at_end: bool) -> Result<Option<End>, Fault> {
        self.record.clear();
        let (mut at, mut lines) = (0, 0);
        loop {
            if input.get(at) == Some(&b'"') {
                let Some(after) = self.quoted(input, at + 1, at_end, &mut lines)? else { return Ok(None) };
                at = after;
            } else {
                let special = |byte: &u8| *byte == self.delimiter || *byte == b'\n' || *byte == b'\r';
                let length = input[at..].iter().position(special).unwrap_or(input.len() - at);
                self.record.text.extend_from_slice(&input[at..at + length]);
                at += length;
            }
            let Some(byte) = input.get(at) else {
                self.record.end_field();
                return Ok(at_end.then_some(End { bytes: at, lines }));
            };
            self.record.end_field();
            at += 1;
            match (byte, input.get(at)) {
                (b'\n', _) => return Ok(Some(End { bytes: at, lines: lines + 1 })),
                (b'\r', None) if !at_end => return Ok(None),
                (b'\r', Some(b'\n')) => return Ok(Some(End { bytes: at + 1, lines: lines + 1 })),
                (b'\r', _) => return Ok(Some(End { bytes: at, lines: lines + 1 })),
                _ => {}
            }
        }
    }

    /// Reads a value after its opening quote, and returns its end.
    fn quoted(&mut self, input: &[u8], start: usize, at_end: bool, lines: &mut u64) -> Result<Option<usize>, Fault> {
        self.record.quoted = true;
        let mut at = start;
        loop {
            let Some(length) = input[at..].iter().position(|byte| *byte == b'"') else {
                return if at_end { Err(self.broken("a quote is not closed")) } else { Ok(None) };
            };
            let text = &input[at..at + length];
            self.record.text.extend_from_slice(text);
            *lines += line_breaks(text);
            at += length + 1;
            match input.get(at) {
                Some(b'"') => {
                    self.record.text.push(b'"');
                    at += 1;
                }
                Some(byte) if *byte == self.delimiter || *byte == b'\n' || *byte == b'\r' => return Ok(Some(at)),
                Some(_) => return Err(self.broken("a closing quote is followed by more text")),
                None => return Ok(at_end.then_some(at)),
            }
        }
    }
}

fn line_breaks(text: &[u8]) -> u64 {
    let is_break = |place: usize| match text[place] {
        b'\n' => true,
        b'\r' => text.get(place + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..text.len()).filter(|place| is_break(*place)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of `text`, each with its line, when it is read in pieces of `piece` bytes.
    fn records(text: &str, piece: usize) -> Result<Vec<(u64, Vec<String>)>, String> {
        records_of(Records::new(b','), text, piece)
    }

    fn records_of(mut records: Records, text: &str, piece: usize) -> Result<Vec<(u64, Vec<String>)>, String> {
        let (mut found, mut start) = (Vec::new(), 0);
        let bytes = text.as_bytes();
        for end in (0..=bytes.len()).step_by(piece).chain([bytes.len()]) {
            let at_end = end == bytes.len();
            loop {
                match records.read(&bytes[start..end], at_end).map_err(|fault| format!("{fault:?}"))? {
                    Step::Record(read) => start += read,
                    Step::More(read) => {
                        start += read;
                        break;
                    }
                }
                let record = records.record();
                let fields = (0..record.len()).map(|field| record.field(field).unwrap().to_owned()).collect();
                found.push((records.line(), fields));
            }
            if at_end {
                break;
            }
        }
        Ok(found)
    }

    fn fields(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    #[test]
    fn records_are_the_same_however_the_file_comes_in() {
        let text = "a,b\r\n1,\"x\r\ny \"\"z\"\"\"\n\n,\"\"\r3,5\" pipe\n\"\",\"ä,\nö\"\n7,8";
        let expected = vec![
            (1, fields(&["a", "b"])),
            (2, fields(&["1", "x\r\ny \"z\""])),
            (5, fields(&["", ""])),
            (6, fields(&["3", "5\" pipe"])),
            (7, fields(&["", "ä,\nö"])),
            (9, fields(&["7", "8"])),
        ];
        for piece in [1, 2, 3, 5, 7, 1000] {
            assert_eq!(records(text, piece).unwrap(), expected, "{piece}");
        }
    }

    #[test]
    fn an_empty_line_is_a_record_where_records_have_one_field() {
        let expected = vec![(1, fields(&["a"])), (2, fields(&["1"])), (3, fields(&[""])), (4, fields(&["3"]))];
        assert_eq!(records("a\n1\n\n3\n", 2).unwrap(), expected);
        assert_eq!(records("\n\n", 1).unwrap(), []);
        assert_eq!(records("", 1).unwrap(), []);
        let one = |text| records_of(Records::of_columns(b',', 1), text, 2).unwrap();
        assert_eq!(one("\n1\n"), [(1, fields(&[""])), (2, fields(&["1"]))]);
        assert_eq!(one("\r\n\n"), [(1, fields(&[""])), (2, fields(&[""]))]);
        assert_eq!(one(""), []);
        let two = records_of(Records::of_columns(b',', 2), "\n1,2\n", 2).unwrap();
        assert_eq!(two, [(2, fields(&["1", "2"]))]);
    }

    #[test]
    fn an_invalid_record_is_refused_with_its_line() {
        for (text, line, reason) in [
            ("a,b\n1,2\n3\n", 3, "number of values is 1"),
            ("a,b\n\n1,2,3\n", 3, "number of values is 3"),
            ("a,b\n\"1\n2\",3\n4,\"5\n", 4, "a quote is not closed"),
            ("a,b\n1,\"x\"y\n", 2, "a closing quote is followed"),
        ] {
            for piece in [1, 4, 100] {
                let refused = records(text, piece).unwrap_err();
                assert!(refused.contains(&format!("line: {line},")) && refused.contains(reason), "{text}: {refused}");
            }
        }
    }
}
