//! Checks that an Avro file is complete. Its reader treats a truncated block as the end of the file.

use datafusion::error::DataFusionError;
use object_store::{ObjectMeta, ObjectStore};

const MAGIC: &[u8] = b"Obj\x01";

/// The size of the sync marker that ends the header and every block.
const MARKER: usize = 16;

/// The number of bytes at the start of a file in which its header is first searched for.
const HEAD: u64 = 1 << 16;

/// Checks that a file ends where a block or, if there is none, its header ends: with the marker that its header names.
///
/// # Errors
/// What is wrong with the file, or what the store says.
pub(super) async fn check_end(store: &dyn ObjectStore, object: &ObjectMeta) -> Result<(), DataFusionError> {
    let cut = || Err(DataFusionError::Execution("it was cut short: it does not end at the end of a block".to_owned()));
    let mut length = HEAD;
    loop {
        let ranges = [0..length.min(object.size), object.size.saturating_sub(MARKER as u64)..object.size];
        let parts = store.get_ranges(&object.location, &ranges).await?;
        let [head, end] = parts.as_slice() else { return cut() };
        match marker(head) {
            Ok(marker) if marker == end.as_ref() => return Ok(()),
            Ok(_) => return cut(),
            Err(Unread::Longer) if length >= object.size => return cut(),
            Err(Unread::Longer) => length = length.saturating_mul(16),
            Err(Unread::Malformed) => {
                return Err(DataFusionError::Execution("its header is not that of an Avro file".to_owned()));
            }
        }
    }
}

/// Why a header cannot be read.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// It continues beyond the bytes that exist.
    Longer,
    /// It is not the header of an Avro file.
    Malformed,
}

/// The sync marker in the header of a file: a magic number, a map of texts to bytes in blocks, the marker.
fn marker(head: &[u8]) -> Result<&[u8], Unread> {
    let mut rest = Rest(head);
    if rest.take(MAGIC.len())? != MAGIC {
        return Err(Unread::Malformed);
    }
    loop {
        let entries = rest.long()?;
        if entries == 0 {
            return rest.take(MARKER);
        }
        // A negative count is followed by the length of the block.
        if entries < 0 {
            rest.long()?;
        }
        for _key_or_value in 0..entries.unsigned_abs().saturating_mul(2) {
            let length = usize::try_from(rest.long()?).map_err(|_| Unread::Malformed)?;
            rest.take(length)?;
        }
    }
}

/// The remaining bytes.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Unread> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unread::Longer)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A zigzag varint.
    fn long(&mut self) -> Result<i64, Unread> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Unread::Longer)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Unread::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_groups_of_seven_bits() {
        for (bytes, value) in [
            (&b"\x00"[..], Ok(0)),
            (b"\x01", Ok(-1)),
            (b"\x02", Ok(1)),
            (b"\x7f", Ok(-64)),
            (b"\x80\x01", Ok(64)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok(i64::MIN)),
            (b"\x80", Err(Unread::Longer)),
            (b"", Err(Unread::Longer)),
            (&[0x80; 11], Err(Unread::Malformed)),
        ] {
            assert_eq!(Rest(bytes).long(), value, "{bytes:?}");
        }
    }

    #[test]
    fn the_marker_is_behind_the_entries_of_the_header() {
        let sixteen = b"0123456789abcdef";
        let header = |entries: &[u8]| [MAGIC, entries, sixteen, b"rows"].concat();
        for entries in [
            &b"\x00"[..],
            b"\x02\x02k\x04vv\x00",
            b"\x04\x02k\x00\x02l\x04vv\x00",
            // Two blocks, the first of which says how long it is.
            b"\x01\x0a\x02k\x04vv\x02\x02l\x00\x00",
        ] {
            let head = header(entries);
            assert_eq!(marker(&head).unwrap(), sixteen, "{entries:?}");
            for cut in 0..head.len() - b"rows".len() {
                assert_eq!(marker(&head[..cut]), Err(Unread::Longer), "{entries:?} cut at {cut}");
            }
        }
        // A length below zero.
        for malformed in [&b"PAR1PAR1"[..], b"Obj\x01\x02\x01"] {
            assert_eq!(marker(malformed), Err(Unread::Malformed), "{malformed:?}");
        }
    }
}
