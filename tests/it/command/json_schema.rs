//! Whether a JSON document is as a JSON Schema says: of the keywords, those that our schemas have. Any other is a failure of
//! the test, so that none is overlooked. (The crates that know all of them would change features of the engine's.)

use serde_json::{Map, Value};

/// Keywords that say nothing about which documents are valid.
const ANNOTATIONS: [&str; 7] = ["$schema", "$id", "$defs", "title", "description", "default", "format"];

/// The first thing in `document` that is not as `schema` says, with its place.
pub(crate) fn violation(schema: &Value, document: &Value) -> Option<String> {
    Checker { root: schema }.check(schema, document).err()
}

struct Checker<'s> {
    root: &'s Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("there must be no {value}")),
            Value::Object(keywords) => keywords,
            other => panic!("{other} is no schema"),
        };
        keywords.iter().try_for_each(|(keyword, expected)| self.keyword(keyword, expected, keywords, value))
    }

    fn keyword(&self, keyword: &str, expected: &Value, all: &Map<String, Value>, value: &Value) -> Result<(), String> {
        let list = || expected.as_array().unwrap();
        let matching = || list().iter().filter(|schema| self.check(schema, value).is_ok()).count();
        let ensure = |holds: bool| match holds {
            true => Ok(()),
            false => Err(format!("`{keyword}: {expected}` does not hold for {value}")),
        };
        match keyword {
            _ if ANNOTATIONS.contains(&keyword) => Ok(()),
            "$ref" => {
                let pointer = expected.as_str().unwrap().strip_prefix('#').unwrap();
                self.check(self.root.pointer(pointer).unwrap(), value)
            }
            "type" => ensure(match expected {
                Value::Array(types) => types.iter().any(|name| is_of_type(name, value)),
                name => is_of_type(name, value),
            }),
            "const" => ensure(value == expected),
            "enum" => ensure(list().contains(value)),
            "minimum" => ensure(value.as_f64().is_none_or(|number| number >= expected.as_f64().unwrap())),
            "maximum" => ensure(value.as_f64().is_none_or(|number| number <= expected.as_f64().unwrap())),
            "minItems" => ensure(value.as_array().is_none_or(|items| items.len() as u64 >= expected.as_u64().unwrap())),
            "maxItems" => ensure(value.as_array().is_none_or(|items| items.len() as u64 <= expected.as_u64().unwrap())),
            "allOf" => list().iter().try_for_each(|schema| self.check(schema, value)),
            "anyOf" => ensure(matching() > 0),
            "oneOf" => ensure(matching() == 1),
            "required" => ensure(
                value.as_object().is_none_or(|of| list().iter().all(|name| of.contains_key(name.as_str().unwrap()))),
            ),
            "properties" => {
                let Some(object) = value.as_object() else { return Ok(()) };
                expected.as_object().unwrap().iter().try_for_each(|(name, schema)| match object.get(name) {
                    Some(value) => self.check(schema, value).map_err(|error| format!("{name}: {error}")),
                    None => Ok(()),
                })
            }
            "additionalProperties" => {
                let Some(object) = value.as_object() else { return Ok(()) };
                let named = all.get("properties").and_then(Value::as_object);
                let others = object.iter().filter(|(name, _)| named.is_none_or(|named| !named.contains_key(*name)));
                let mut others = others;
                others.try_for_each(|(name, value)| {
                    self.check(expected, value).map_err(|error| format!("{name}: {error}"))
                })
            }
            "prefixItems" => {
                let Some(items) = value.as_array() else { return Ok(()) };
                list().iter().zip(items).try_for_each(|(schema, value)| self.check(schema, value))
            }
            "items" => {
                let Some(items) = value.as_array() else { return Ok(()) };
                let before = all.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                let mut items = items.iter().enumerate().skip(before);
                items.try_for_each(|(index, value)| {
                    self.check(expected, value).map_err(|error| format!("[{index}]: {error}"))
                })
            }
            other => panic!("the keyword `{other}: {expected}` is unknown here"),
        }
    }
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("there is no type {other}"),
    }
}

#[test]
fn a_schema_refuses_what_it_does_not_describe() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "n": { "type": ["integer", "null"], "minimum": 0 }, "of": { "$ref": "#/$defs/kind" } },
        "required": ["n"],
        "additionalProperties": { "type": "array", "items": { "type": "string" } },
        "$defs": { "kind": { "oneOf": [{ "const": "a" }, { "enum": ["b", "c"] }] } },
    });
    let refused = |document: Value| violation(&schema, &document);
    for right in [
        serde_json::json!({ "n": 3 }),
        serde_json::json!({ "n": null, "of": "c" }),
        serde_json::json!({ "n": 0, "more": ["x"] }),
    ] {
        assert_eq!(refused(right.clone()), None, "{right}");
    }
    for (wrong, place) in [
        (serde_json::json!([]), "type"),
        (serde_json::json!({}), "required"),
        (serde_json::json!({ "n": "3" }), "n: `type"),
        (serde_json::json!({ "n": 0.5 }), "n: `type"),
        (serde_json::json!({ "n": -1 }), "n: `minimum"),
        (serde_json::json!({ "n": 1, "of": "d" }), "of: `oneOf"),
        (serde_json::json!({ "n": 1, "more": [1] }), "more: [0]: `type"),
    ] {
        let error = refused(wrong.clone()).unwrap_or_else(|| panic!("{wrong} is not refused"));
        assert!(error.contains(place), "{wrong}: {error}");
    }
}
