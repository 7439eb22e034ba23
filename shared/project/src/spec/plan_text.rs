//! The text of a plan: Z85, which is denser than hexadecimal and has no characters that editors change, in lines.

use std::sync::Arc;

use super::span::Span;

/// The DataFusion version whose plans this version of Windlass reads and writes: the encoding of plans differs between
/// versions.
pub const ENGINE_VERSION: &str = "55.2.0";

/// The line length of a plan text.
const LINE: usize = 100;

/// The alphabet of plan texts.
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

/// Why a text is not a plan, with the position.
pub(super) struct Unreadable {
    pub(super) reason: String,
    pub(super) span: Span,
}

/// Decodes the plan in `text`, which begins at byte `base` of `file`; returns its bytes and its first line. White space
/// is ignored.
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
        let reason = "there is none after the header".to_owned();
        return Err(Unreadable { reason, span: Span::new(file, base, base) });
    }
    match z85::decode(&encoded) {
        Ok(bytes) => Ok((bytes, line)),
        Err(_) => Err(Unreadable { reason: "a part of it is missing or was changed".to_owned(), span: line }),
    }
}
