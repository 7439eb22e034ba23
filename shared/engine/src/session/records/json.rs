//! Splits JSON values into their parts, each kept as raw text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Why a value cannot be split.
#[derive(Debug)]
pub(super) enum VisitError<E> {
    /// It is not JSON of that shape.
    Json(serde_json::Error),
    /// The visitor refused a part.
    Refused(E),
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a JSON string.
pub(super) fn text(value: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    serde_json::from_str::<Text<'_>>(value).map(|text| text.0)
}

/// Visits every key of a JSON object with its value.
pub(super) fn entries<'de, E>(
    object: &'de str,
    mut each: impl FnMut(&str, &'de str) -> Result<(), E>,
) -> Result<(), VisitError<E>> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(object);
    let visitor = Parts {
        each: |key: Option<&str>, value| each(key.unwrap_or_default(), value),
        refused: &mut refused,
        of: PhantomData,
    };
    let read = reader.deserialize_map(visitor).and_then(|()| reader.end());
    read.map_err(|error| refused.map_or(VisitError::Json(error), VisitError::Refused))
}

/// Visits every item of a JSON array.
pub(super) fn items<'de, E>(
    array: &'de str,
    mut each: impl FnMut(&'de str) -> Result<(), E>,
) -> Result<(), VisitError<E>> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(array);
    let visitor = Parts { each: |_: Option<&str>, value| each(value), refused: &mut refused, of: PhantomData };
    let read = reader.deserialize_seq(visitor).and_then(|()| reader.end());
    read.map_err(|error| refused.map_or(VisitError::Json(error), VisitError::Refused))
}

/// Whether lists and objects of a JSON text are nested more than `most` levels deep. The result for invalid JSON is
/// unspecified.
pub(super) fn is_deeper(text: &str, most: usize) -> bool {
    let (mut level, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => level += 1,
            b']' | b'}' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
        if level > most {
            return true;
        }
    }
    false
}

/// Visits the parts of an object with their keys, or those of an array.
struct Parts<'r, 'de, E, F> {
    each: F,
    /// The error of a refused part, because the parser's errors are texts.
    refused: &'r mut Option<E>,
    of: PhantomData<&'de str>,
}

impl<'de, E, F: FnMut(Option<&str>, &'de str) -> Result<(), E>> Parts<'_, 'de, E, F> {
    fn show<P: Error>(&mut self, key: Option<&str>, value: &'de RawValue) -> Result<(), P> {
        (self.each)(key, value.get()).map_err(|error| {
            *self.refused = Some(error);
            P::custom("refused")
        })
    }
}

impl<'de, E, F: FnMut(Option<&str>, &'de str) -> Result<(), E>> Visitor<'de> for Parts<'_, 'de, E, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let value = map.next_value()?;
            self.show(Some(&key.0), value)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(value) = array.next_element()? {
            self.show(None, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_shown_as_they_are_written() {
        let mut seen = Vec::new();
        let object = r#"{"a": 1.50, "b\n": {"c": [1, 2]}, "a": "x\"y"}"#;
        let all = entries::<()>(object, |key, value| {
            seen.push((key.to_owned(), value.to_owned()));
            Ok(())
        });
        assert!(all.is_ok());
        let expected = [("a", "1.50"), ("b\n", r#"{"c": [1, 2]}"#), ("a", r#""x\"y""#)];
        assert_eq!(seen, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let mut seen = Vec::new();
        assert!(
            items::<()>(r#"[null, [2], "c"]"#, |value| {
                seen.push(value.to_owned());
                Ok(())
            })
            .is_ok()
        );
        assert_eq!(seen, ["null", "[2]", "\"c\""]);
        assert_eq!(text(r#""x\"yä""#).unwrap(), "x\"yä");
    }

    #[test]
    fn levels_are_those_of_lists_and_objects_and_not_of_texts() {
        for (text, levels) in
            [(r#"{"a": [1], "b": {"c": []}}"#, 3), (r#"{"[[[\"{": "\\", "b": [["]]"]]}"#, 3), ("1", 0)]
        {
            assert!(!is_deeper(text, levels), "{text}");
            assert!(levels == 0 || is_deeper(text, levels - 1), "{text}");
        }
    }

    #[test]
    fn refusals_and_invalid_json_are_distinguished() {
        let refused = entries(r#"{"a": 1, "b": 2}"#, |key, _| if key == "b" { Err(key.to_owned()) } else { Ok(()) });
        assert!(matches!(refused, Err(VisitError::Refused(key)) if key == "b"));
        for broken in ["{\"a\": 1", "{\"a\": 1} {\"a\": 2}", "{\"a\": 01}", "[1]", "1", "{'a': 1}", ""] {
            assert!(matches!(entries::<()>(broken, |_, _| Ok(())), Err(VisitError::Json(_))), "{broken}");
        }
    }
}
