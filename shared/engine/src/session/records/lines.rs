//! Reads the lines of a file with one JSON object per line.

use super::csv::Step;

/// Reads the non-empty lines.
#[derive(Debug)]
pub(super) struct Lines {
    line: u64,
    next_line: u64,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { line: 1, next_line: 1 }
    }

    /// The number of the last line; the first is 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next non-empty line of `input` that starts in its first `within` bytes, and returns its text. `at_end`
    /// says that nothing follows `input`.
    pub(super) fn read<'i>(&mut self, input: &'i [u8], at_end: bool, within: usize) -> (Step, &'i [u8]) {
        let mut start = 0;
        loop {
            // After empty lines, the next line may belong to another reader.
            if start >= within {
                return (Step::More(start), &[]);
            }
            self.line = self.next_line;
            let rest = &input[start..];
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                let text = rest.trim_ascii();
                return if at_end && !text.is_empty() {
                    (Step::Record(input.len()), text)
                } else {
                    (Step::More(if at_end { input.len() } else { start }), &[])
                };
            };
            start += length + 1;
            self.next_line += 1;
            let text = rest[..length].trim_ascii();
            if !text.is_empty() {
                return (Step::Record(start), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_empty_lines_have_their_numbers() {
        let text: &[u8] = b"\n{1}\r\n\n  \n{2}\n{3}";
        for piece in [1, 2, 3, 100] {
            let (mut lines, mut found, mut start) = (Lines::new(), Vec::new(), 0);
            for end in (0..text.len()).step_by(piece).chain([text.len()]) {
                loop {
                    let (step, line) = lines.read(&text[start..end], end == text.len(), usize::MAX);
                    match step {
                        Step::Record(read) => start += read,
                        Step::More(read) => {
                            start += read;
                            break;
                        }
                    }
                    found.push((lines.line(), String::from_utf8(line.to_vec()).unwrap()));
                }
            }
            assert_eq!(found, [(2, "{1}".to_owned()), (5, "{2}".to_owned()), (6, "{3}".to_owned())], "{piece}");
        }
    }
}
