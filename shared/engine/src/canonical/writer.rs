//! Hashes parts.

/// Hexadecimal digits of a hash: 128 bits of BLAKE3.
const DIGITS: usize = 32;

/// Hashes parts so that different sequences of parts have different hashes: each part is tagged or length-prefixed.
#[derive(Default)]
pub(super) struct Writer(blake3::Hasher);

impl Writer {
    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.0.update(&number.to_le_bytes());
    }

    pub(super) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.0.update(&[u8::from(flag)]);
    }

    /// 32 hexadecimal digits.
    pub(super) fn finish(&self) -> String {
        self.0.finalize().to_hex()[..DIGITS].to_owned()
    }
}
