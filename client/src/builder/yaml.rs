//! Writes values as YAML that the project format reads back unchanged.

use std::fmt::{Display, Write};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    /// Text, quoted if necessary.
    Text(String),
    /// A number or a boolean.
    Plain(String),
    List(Vec<Yaml>),
    Map(Map),
}

/// A mapping in insertion order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Map(Vec<(String, Yaml)>);

impl Yaml {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn plain(value: impl Display) -> Self {
        Self::Plain(value.to_string())
    }

    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }
}

impl Map {
    /// Sets a key, or adds it after the others.
    pub(super) fn set(&mut self, key: &str, value: Yaml) {
        match self.0.iter_mut().find(|(other, _)| other == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Adds a key even if it exists already, which the check of the project then reports.
    pub(super) fn add(&mut self, key: &str, value: Yaml) {
        self.0.push((key.to_owned(), value));
    }

    pub(super) fn set_some<T>(&mut self, key: &str, value: &Option<T>, yaml: impl FnOnce(&T) -> Yaml) {
        if let Some(value) = value {
            self.set(key, yaml(value));
        }
    }

    /// Sets a mapping unless it is empty.
    pub(super) fn set_map(&mut self, key: &str, map: Map) {
        if !map.is_empty() {
            self.set(key, Yaml::Map(map));
        }
    }

    /// Sets a list of texts unless it is empty.
    pub(super) fn set_texts(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.set(key, Yaml::texts(texts));
        }
    }

    /// Adds an item to the list at `key`.
    pub(super) fn push(&mut self, key: &str, item: Yaml) {
        match self.0.iter_mut().find(|(other, _)| other == key) {
            Some((_, Yaml::List(items))) => items.push(item),
            _ => self.set(key, Yaml::List(vec![item])),
        }
    }

    /// Adds an entry to the mapping at `key`.
    pub(super) fn enter(&mut self, key: &str, inner: &str, value: Yaml) {
        match self.0.iter_mut().find(|(other, _)| other == key) {
            Some((_, Yaml::Map(map))) => map.add(inner, value),
            _ => {
                let mut map = Map::default();
                map.add(inner, value);
                self.set(key, Yaml::Map(map));
            }
        }
    }

    /// Removes the mapping at `key`, if any.
    pub(super) fn take_map(&mut self, key: &str) -> Map {
        match self.0.iter().position(|(other, _)| other == key).map(|at| self.0.remove(at)) {
            Some((_, Yaml::Map(map))) => map,
            _ => Map::default(),
        }
    }

    pub(super) fn into_entries(self) -> Vec<(String, Yaml)> {
        self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mapping as lines.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, depth: usize) {
        for (key, value) in &self.0 {
            for _ in 0..depth {
                text.push_str("  ");
            }
            text.push_str(&scalar(key));
            match value {
                Yaml::Map(map) if !map.is_empty() => {
                    text.push_str(":\n");
                    map.write(text, depth + 1);
                }
                value => {
                    text.push_str(": ");
                    flow(text, value);
                    text.push('\n');
                }
            }
        }
    }
}

/// A value on one line.
fn flow(text: &mut String, value: &Yaml) {
    match value {
        Yaml::Text(value) => text.push_str(&scalar(value)),
        Yaml::Plain(value) => text.push_str(value),
        Yaml::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                flow(text, item);
            }
            text.push(']');
        }
        Yaml::Map(map) => {
            text.push('{');
            for (index, (key, value)) in map.0.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { " " });
                text.push_str(&scalar(key));
                text.push_str(": ");
                flow(text, value);
            }
            text.push_str(if map.is_empty() { "}" } else { " }" });
        }
    }
}

/// Text without quotes if it is unambiguous, otherwise in double quotes.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let simple = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'));
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if first && simple && !word && text.parse::<f64>().is_err() { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' => escape(&mut quoted, character),
            other if other.is_control() => escape(&mut quoted, other),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(quoted: &mut String, character: char) {
    // Writing to a String cannot fail. All characters that are escaped are in the basic plane.
    let _ = write!(quoted, "\\u{:04X}", u32::from(character));
}
