//! The text of a plan: Z85, which is denser than hexadecimal and has no characters that editors change, in lines.

use std::sync::Arc;

use super::span::Span;

/// The version of DataFusion whose plans this version of Windlass reads and writes: the wire form of a plan is not the
/// same from one to the next.
pub const ENGINE_VERSION: &str = "55.2.0";

/// Characters in a line of a plan.
const LINE: usize = 100;

/// The characters that a plan is written with.
const ALPHABET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The bytes of a plan as text, wrapped.
pub fn write(bytes: &[u8]) -> String {
    let encoded = z85::encode(bytes);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push('\n');
    text
}

/// Why a text is no plan, and where in it.
pub(super) struct Unreadable {
    pub(super) reason: String,
    pub(super) span: Span,
}

/// The bytes of the plan that stands in `text`, which begins at the byte `base` of `file`, and its first line. White
/// space is passed over.
pub(super) fn read(file: &Arc<str>, text: &str, base: usize) -> Result<(Vec<u8>, Span), Unreadable> {
    let indent = text.len() - text.trim_start().len();
    let first_line = text.trim_start().lines().next().unwrap_or_default().trim_end().len();
    let line = Span::new(file, base + indent, base + indent + first_line);
    let mut encoded = String::with_capacity(text.len());
    for (at, character) in text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
        if !ALPHABET.contains(character) {
            let span = Span::new(file, base + at, base + at + character.len_utf8());
            return Err(Unreadable { reason: format!("`{character}` is not a character of Z85"), span });
        }
        encoded.push(character);
    }
    if encoded.is_empty() {
        let reason = "there is none behind the header".to_owned();
        return Err(Unreadable { reason, span: Span::new(file, base, base) });
    }
    match z85::decode(&encoded) {
        Ok(bytes) => Ok((bytes, line)),
        Err(_) => Err(Unreadable { reason: "a part of it is missing or was changed".to_owned(), span: line }),
    }
}
