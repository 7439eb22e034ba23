//! Single values: text, numbers, sizes, choices, lists and mappings of them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use windlass_base::count::{count, counted};
use windlass_base::suggest::did_you_mean;

use super::fields::entries;
use crate::spec::codes;
use crate::spec::duration::{LONGEST, TIME_UNITS, duration_text, parse_duration};
use crate::spec::problem::Problem;
use crate::spec::render::passwords;
use crate::spec::size::{UNITS, parse_bytes};
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{Node, Scalar, Value};
use crate::tag::{ITEM_SEPARATOR, JOIN_KEY_SEPARATOR, Tags, keys};

/// Reports that `what` is of the wrong type, unless that was noted before.
pub(super) fn wrong_type<T>(node: &Node, what: &str, wanted: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let message = match &node.value {
        Value::Refused => return None,
        Value::Scalar(scalar) if scalar.is_null() => format!("{what} has no value; it must be {wanted}"),
        _ => format!("{what} must be {wanted}, not {}", node.describe()),
    };
    problems.push(Problem::new(codes::WRONG_TYPE, message).at(&node.span));
    None
}

fn scalar<'n>(node: &'n Node, what: &str, wanted: &str, problems: &mut Vec<Problem>) -> Option<&'n Scalar> {
    match &node.value {
        Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
        _ => wrong_type(node, what, wanted, problems),
    }
}

/// Text. A bare number or boolean is refused, so as not to guess whether `1.10` or `no` was meant as text.
pub(super) fn text(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let scalar = scalar(node, what, "text", problems)?;
    if scalar.as_bool().is_some() || scalar.as_float().is_some() {
        let message = format!("{what} must be text, not {}", node.describe());
        let problem = Problem::new(codes::WRONG_TYPE, message).at(&node.span);
        problems.push(problem.help(format!("quote it: \"{}\"", scalar.text)));
        return None;
    }
    Some(scalar.text.clone())
}

/// Text with at least one character that is not white space.
pub(super) fn filled_text(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let text = text(node, what, problems)?;
    if text.trim().is_empty() {
        problems.push(Problem::new(codes::BAD_VALUE, format!("{what} must not be empty")).at(&node.span));
        return None;
    }
    Some(text)
}

/// The text of any scalar, as written; for values that are stored as text anyway, such as tags.
pub(super) fn any_text(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
    scalar(node, what, "text", problems).map(|scalar| scalar.text.clone())
}

/// A path or URL. Credentials in it are refused: they belong in the environment of each process.
pub(super) fn location(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let text = filled_text(node, what, problems)?;
    if !passwords(&text).is_empty() {
        let problem = Problem::new(codes::CREDENTIALS, format!("{what} contains credentials")).at(&node.span);
        problems.push(problem.help("give storage credentials in the environment of each process, never in a project"));
        return None;
    }
    Some(text)
}

/// True or false.
pub(super) fn boolean(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<bool> {
    let scalar = scalar(node, what, "`true` or `false`", problems)?;
    scalar.as_bool().or_else(|| wrong_type(node, what, "`true` or `false`", problems))
}

/// An integer in a range.
pub(super) fn whole<N>(node: &Node, what: &str, range: RangeInclusive<N>, problems: &mut Vec<Problem>) -> Option<N>
where
    N: TryFrom<i128> + PartialOrd + Display,
{
    let scalar = scalar(node, what, "a whole number", problems)?;
    let Some(number) = scalar.as_integer() else {
        return wrong_type(node, what, "a whole number", problems);
    };
    match N::try_from(number) {
        Ok(number) if range.contains(&number) => Some(number),
        _ => {
            let message = format!("{what} must be from {} to {}, not {number}", range.start(), range.end());
            problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span));
            None
        }
    }
}

/// A size in bytes, such as `512MiB`, of at least `least` bytes.
pub(super) fn size(node: &Node, what: &str, least: u64, problems: &mut Vec<Problem>) -> Option<u64> {
    let scalar = scalar(node, what, "a size", problems)?;
    let Some(bytes) = parse_bytes(&scalar.text) else {
        let units = UNITS.map(|(name, _)| name).join(", ");
        let problem = Problem::new(codes::BAD_VALUE, format!("{what} must be a size, not {}", node.describe()))
            .at(&node.span)
            .help(format!("write a number and a unit, such as 512MiB; units are {units}"));
        problems.push(problem);
        return None;
    };
    if bytes < least {
        let message = format!("{what} must be at least {}, not {}", counted(least, "byte"), count(bytes));
        problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span));
        return None;
    }
    Some(bytes)
}

/// A [`size`] that is held in memory.
pub(super) fn memory_size(node: &Node, what: &str, least: u64, problems: &mut Vec<Problem>) -> Option<usize> {
    size(node, what, least, problems).and_then(|bytes| usize::try_from(bytes).ok())
}

/// A duration, such as `7d`.
pub(super) fn duration(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Duration> {
    let scalar = scalar(node, what, "a duration", problems)?;
    let Some(duration) = parse_duration(&scalar.text) else {
        let units = TIME_UNITS.map(|(name, _)| name).join(", ");
        let problem = Problem::new(codes::BAD_VALUE, format!("{what} must be a duration, not {}", node.describe()))
            .at(&node.span)
            .help(format!("write a whole number and a unit, such as 7d; units are {units}"));
        problems.push(problem);
        return None;
    };
    if duration > LONGEST {
        let message = format!("{what} must be at most {}, not {}", duration_text(LONGEST), scalar.text);
        problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span));
        return None;
    }
    Some(duration)
}

/// A part of a whole: a number above 0, and at most 1.
pub(super) fn part(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<f64> {
    let scalar = scalar(node, what, "a number", problems)?;
    let Some(number) = scalar.as_float() else { return wrong_type(node, what, "a number", problems) };
    if number > 0.0 && number <= 1.0 {
        return Some(number);
    }
    let message = format!("{what} must be above 0 and at most 1, not {}", scalar.text);
    problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span).help("write a part such as 0.2, a fifth"));
    None
}

/// One of several words.
pub(super) fn choice<T: Copy>(
    node: &Node,
    what: &str,
    choices: &[(&'static str, T)],
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let word = text(node, what, problems)?;
    let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    if found.is_none() {
        let mut problem = Problem::new(codes::BAD_VALUE, format!("{what} cannot be `{word}`")).at(&node.span);
        problem.help = did_you_mean(&word, "it can be", choices.iter().map(|(name, _)| *name));
        problems.push(problem);
    }
    found
}

/// A list.
pub(super) fn list<'n>(node: &'n Node, what: &str, problems: &mut Vec<Problem>) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        _ => wrong_type(node, what, "a list", problems),
    }
}

/// A list of texts, each at most once.
pub(super) fn names(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<Spanned<String>>> {
    let mut found: Vec<Spanned<String>> = Vec::new();
    let item_of = format!("an item of {what}");
    for item in list(node, what, problems)? {
        let Some(name) = filled_text(item, &item_of, problems) else { continue };
        if let Some(first) = found.iter().find(|other| other.value == name) {
            let problem = Problem::new(codes::DUPLICATE_ITEM, format!("{what} names `{name}` twice"))
                .label(&item.span, "again here")
                .label(&first.span, "first here");
            problems.push(problem);
        } else {
            found.push(Spanned::new(name, item.span.clone()));
        }
    }
    Some(found)
}

/// [`names`] without their spans.
pub(super) fn plain_names(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
    names(node, what, problems).map(|names| names.into_iter().map(|name| name.value).collect())
}

/// A mapping of texts.
pub(super) fn text_map(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for entry in entries(node, what, problems)? {
        let key = &entry.key.value;
        if let Some(value) = any_text(&entry.value, &format!("`{key}` of {what}"), problems) {
            map.insert(key.clone(), value);
        }
    }
    Some(map)
}

/// Tags: a mapping of texts.
pub(super) fn tags(node: &Node, problems: &mut Vec<Problem>) -> Option<Tags> {
    if matches!(node.value, Value::List(_)) {
        let problem = Problem::new(codes::WRONG_TYPE, "`tags` must be a mapping, not a list").at(&node.span);
        problems.push(problem.help("write key and value pairs: `tags: { layer: semantic }`"));
        return None;
    }
    let mut found = Tags::default();
    for entry in entries(node, "`tags`", problems)? {
        let key = entry.key.value.as_str();
        selectable(key, &entry.key.span, problems);
        let value = match &entry.value.value {
            Value::List(_) | Value::Map(_) if keys::LISTS.contains(&key) => tag_items(key, &entry.value, problems),
            _ => any_text(&entry.value, &format!("`{key}` of `tags`"), problems).inspect(|value| {
                selectable(value, &entry.value.span, problems);
            }),
        };
        if let Some(value) = value {
            found.0.insert(key.to_owned(), value);
        }
    }
    Some(found)
}

/// The value of a tag that is a list of columns, or for join keys a mapping of columns to semantic ids.
fn tag_items(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    let what = format!("`{key}` of `tags`");
    let items: Vec<String> = match &node.value {
        Value::Map(entries) if key == keys::JOIN_KEYS => {
            let pairs = entries.iter().filter_map(|entry| {
                let to = filled_text(&entry.value, &format!("`{}` of {what}", entry.key.value), problems)?;
                selectable(&to, &entry.value.span, problems);
                selectable(&entry.key.value, &entry.key.span, problems);
                Some(format!("{}{JOIN_KEY_SEPARATOR}{to}", entry.key.value))
            });
            pairs.collect()
        }
        _ => names(node, &what, problems)?
            .into_iter()
            .map(|name| {
                selectable(&name.value, &name.span, problems);
                name.value
            })
            .collect(),
    };
    if items.is_empty() {
        problems.push(Problem::new(codes::BAD_VALUE, format!("{what} must not be empty")).at(&node.span));
        return None;
    }
    Some(items.join(&ITEM_SEPARATOR.to_string()))
}

/// Reports a part of a tag that a selection could not express.
fn selectable(text: &str, span: &Span, problems: &mut Vec<Problem>) {
    if text.contains(|c: char| c.is_whitespace() || ",=+".contains(c)) {
        let problem = Problem::new(codes::BAD_NAME, format!("the tag `{text}` cannot be selected by")).at(span);
        problems.push(problem.help("leave out white space and the characters `,` `=` `+`"));
    }
}

/// Where the value of each tag is written.
pub(super) fn tag_places(node: &Node) -> BTreeMap<String, Span> {
    match &node.value {
        Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.value.clone(), entry.value.span.clone())).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Whether `name` may be the name of a source, a stage, a parameter or a target: a SQL identifier that needs no quotes.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 128
}

/// Reports an invalid name; `what` is "a source".
pub(super) fn check_name(name: &Spanned<String>, what: &str, problems: &mut Vec<Problem>) -> bool {
    let good = is_name(&name.value);
    if !good {
        let problem = Problem::new(codes::BAD_NAME, format!("`{}` cannot be the name of {what}", name.value))
            .at(&name.span)
            .help("use ASCII letters, digits and `_`, not a digit first, at most 128 characters");
        problems.push(problem);
    }
    good
}
