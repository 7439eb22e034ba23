//! The types of a contract: Delta's names, including nested types; Arrow's names are accepted as well.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::spec::column_type::ColumnType;

/// Help text on how to write a type.
pub const TYPE_HELP: &str = "types are string, long, integer, short, byte, float, double, boolean, binary, date, timestamp, \
     timestamp_ntz, decimal(p,s), array<T>, map<K, V> and struct<name: T, …>, or what Arrow calls them";

/// A column type of the Delta protocol. Inside nested types every value may be null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub enum ContractType {
    /// One value.
    Primitive(ColumnType),
    /// A list.
    Array(Box<ContractType>),
    /// Keys with values.
    Map(Box<ContractType>, Box<ContractType>),
    /// Named fields.
    Struct(Vec<(String, ContractType)>),
}

impl ContractType {
    /// Reads a type, such as `long`, `array<string>`, `struct<a: long, b: date>` or Arrow's `Int64`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let found = parser.data_type()?;
        parser.rest.trim().is_empty().then_some(found)
    }

    /// Whether every value of this type is also a value of `other`, so that casting loses nothing: the widenings of the
    /// Delta protocol ("Type Widening"). A type does not widen to itself.
    pub fn widens_to(&self, other: &Self) -> bool {
        use ColumnType as T;
        let (Self::Primitive(from), Self::Primitive(to)) = (self, other) else { return false };
        match (*from, *to) {
            (T::Byte, T::Short | T::Integer | T::Long | T::Double)
            | (T::Short, T::Integer | T::Long | T::Double)
            | (T::Integer, T::Long | T::Double)
            | (T::Float, T::Double)
            | (T::Date, T::TimestampNtz) => true,
            (T::Byte | T::Short | T::Integer, T::Decimal { precision, scale }) => precision - scale >= 10,
            (T::Long, T::Decimal { precision, scale }) => precision - scale >= 20,
            (T::Decimal { precision: p1, scale: s1 }, T::Decimal { precision: p2, scale: s2 }) => {
                (p1, s1) != (p2, s2) && s2 >= s1 && p2 - s2 >= p1 - s1
            }
            _ => false,
        }
    }
}

impl fmt::Display for ContractType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive(primitive) => primitive.fmt(f),
            Self::Array(item) => write!(f, "array<{item}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (place, (name, data_type)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {data_type}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
        }
    }
}

impl From<ContractType> for String {
    fn from(value: ContractType) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for ContractType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a type"))
    }
}

/// Reads a type from the front of a text.
struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn data_type(&mut self) -> Option<ContractType> {
        let name = self.word()?;
        let folded: String = name.to_ascii_lowercase().replace('_', "");
        Some(match folded.as_str() {
            "array" | "list" | "largelist" | "listview" => {
                self.take('<')?;
                let item = self.data_type()?;
                self.take('>')?;
                ContractType::Array(Box::new(item))
            }
            "map" => {
                self.take('<')?;
                let key = self.data_type()?;
                self.take(',')?;
                let value = self.data_type()?;
                self.take('>')?;
                ContractType::Map(Box::new(key), Box::new(value))
            }
            "struct" => self.fields()?,
            other => ContractType::Primitive(self.primitive(name, other)?),
        })
    }

    fn fields(&mut self) -> Option<ContractType> {
        self.take('<')?;
        let mut fields: Vec<(String, ContractType)> = Vec::new();
        loop {
            let (name, rest) = self.rest.split_once(':')?;
            let name = name.trim().to_owned();
            self.rest = rest;
            let data_type = self.data_type()?;
            if name.is_empty() || fields.iter().any(|(other, _)| *other == name) {
                return None;
            }
            fields.push((name, data_type));
            if self.take('>').is_some() {
                return Some(ContractType::Struct(fields));
            }
            self.take(',')?;
        }
    }

    /// A primitive type by its Delta name, or by the name of an Arrow type that is stored as this type.
    fn primitive(&mut self, name: &str, folded: &str) -> Option<ColumnType> {
        Some(match folded {
            "decimal" | "decimal32" | "decimal64" | "decimal128" | "decimal256" => {
                let inside = self.in_brackets()?;
                return ColumnType::parse(&format!("decimal({inside})"));
            }
            "timestamp" => match self.in_brackets() {
                None => ColumnType::Timestamp,
                // Arrow's: a unit, and a zone if there is one.
                Some(inside) => match inside.split_once(',').map(|(_, zone)| zone.trim()) {
                    None | Some("None") => ColumnType::TimestampNtz,
                    Some(_) => ColumnType::Timestamp,
                },
            },
            "utf8" | "largeutf8" | "utf8view" => ColumnType::String,
            "largebinary" | "binaryview" | "fixedsizebinary" => ColumnType::Binary,
            "int64" | "uint32" | "uint64" => ColumnType::Long,
            "int32" | "uint16" => ColumnType::Integer,
            "int16" | "uint8" => ColumnType::Short,
            "int8" => ColumnType::Byte,
            "float16" | "float32" => ColumnType::Float,
            "float64" => ColumnType::Double,
            "bool" => ColumnType::Boolean,
            "date32" | "date64" => ColumnType::Date,
            _ => return ColumnType::parse(name),
        })
    }

    fn word(&mut self) -> Option<&'t str> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(wanted)?;
        Some(())
    }

    fn in_brackets(&mut self) -> Option<&'t str> {
        let (inside, rest) = self.rest.trim_start().strip_prefix('(')?.split_once(')')?;
        self.rest = rest;
        Some(inside)
    }
}
