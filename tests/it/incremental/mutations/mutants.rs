//! Single changes of a project: relevant to a stage's rows, or not.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Whitespace};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};

use super::parts::{Parts, Section, base, set, words};

/// The stages with tables.
pub(super) const TABLES: [&str; 5] = ["totals", "named", "converted", "lengths", "top"];

/// A changed project.
pub(super) struct Mutant {
    pub(super) parts: Parts,
    /// What was changed, as a sentence.
    pub(super) what: String,
    /// What kind of change it is.
    pub(super) class: &'static str,
    /// The stages whose rows the change can affect; none if it does not matter.
    pub(super) affects: &'static [&'static str],
}

/// What a change was, and which stages it affects.
type Change = (String, &'static [&'static str]);
type Mutation = fn(&mut Parts, &mut StdRng) -> Change;

const MATTERS: [(&str, Mutation); 9] = [
    ("literal", literal),
    ("operator", operator),
    ("piece of SQL", piece),
    ("io", io),
    ("parameter", parameter),
    ("session", session),
    ("source", source),
    ("limit", limit),
    ("aggregate", sum_of_more),
];

const DOES_NOT_MATTER: [(&str, Mutation); 13] = [
    ("scale", scale),
    ("white space", white_space),
    ("SQL comment", sql_comment),
    ("letter case", letter_case),
    ("key order", key_order),
    ("YAML comment", yaml_comment),
    ("description", description),
    ("tags", tags),
    ("how runs behave", run_settings),
    ("the machine", machine),
    ("maintenance", maintenance),
    ("what is not used", not_used),
    ("folder", folder),
];

/// A mutant that matters to some stage.
pub(super) fn that_matters(random: &mut StdRng) -> Mutant {
    make(&MATTERS, random)
}

/// A mutant that matters to none.
pub(super) fn that_does_not(random: &mut StdRng) -> Mutant {
    make(&DOES_NOT_MATTER, random)
}

/// All kinds of change.
pub(super) fn classes() -> impl Iterator<Item = &'static str> {
    MATTERS.iter().chain(&DOES_NOT_MATTER).map(|(class, _)| *class)
}

fn make(mutations: &[(&'static str, Mutation)], random: &mut StdRng) -> Mutant {
    let (class, mutation) = *mutations.choose(random).unwrap();
    let mut parts = base();
    let (what, affects) = mutation(&mut parts, random);
    Mutant { parts, what: format!("{class}: {what}"), class, affects }
}

/// The stages whose rows depend on a stage's SQL: itself, or the readers of a view.
fn affected(stage: &str) -> &'static [&'static str] {
    match stage {
        "paid" => &["totals", "named"],
        "totals" => &["totals"],
        "named" => &["named"],
        "converted" => &["converted"],
        "lengths" => &["lengths"],
        "top" => &["top"],
        // A view that nobody reads.
        _ => &[],
    }
}

/// Changes one of the tokens of the SQL for which `change` has a replacement, in any stage that is read.
fn change_token(
    parts: &mut Parts,
    random: &mut StdRng,
    change: impl Fn(&Token, &mut StdRng) -> Option<Token>,
) -> Change {
    let mut places = Vec::new();
    for stage in parts.stages.iter().filter(|stage| stage.name != "spare") {
        for (index, token) in stage.tokens().iter().enumerate() {
            if let Some(new) = change(token, random) {
                places.push((stage.name, index, new));
            }
        }
    }
    let (stage, index, new) = places.into_iter().choose(random).unwrap();
    let file = parts.stage(stage);
    let mut tokens = file.tokens();
    let what = format!("{} becomes {new} in {stage}", tokens[index]);
    tokens[index] = new;
    file.set_tokens(&tokens);
    (what, affected(stage))
}

fn literal(parts: &mut Parts, random: &mut StdRng) -> Change {
    change_token(parts, random, |token, random| match token {
        // Numbers that are in no literal of the base.
        Token::Number(_, long) => Some(Token::Number(random.random_range(101..100_000).to_string(), *long)),
        Token::SingleQuotedString(text) if text.starts_with("2026") => {
            let day = format!("2025-{:02}-{:02}", random.random_range(1..13), random.random_range(1..29));
            Some(Token::SingleQuotedString(day))
        }
        Token::SingleQuotedString(_) => Some(Token::SingleQuotedString(words(random))),
        _ => None,
    })
}

fn operator(parts: &mut Parts, random: &mut StdRng) -> Change {
    change_token(parts, random, |token, random| {
        let others: &[Token] = match token {
            Token::Gt => &[Token::GtEq, Token::Lt, Token::LtEq, Token::Eq, Token::Neq],
            Token::GtEq => &[Token::Gt, Token::Lt, Token::LtEq, Token::Eq, Token::Neq],
            Token::Lt => &[Token::Gt, Token::GtEq, Token::LtEq, Token::Eq, Token::Neq],
            Token::Eq => &[Token::Neq, Token::Gt, Token::Lt, Token::GtEq, Token::LtEq],
            Token::Neq => &[Token::Eq, Token::Gt, Token::Lt, Token::GtEq, Token::LtEq],
            Token::Word(word) if word.keyword == Keyword::AND => return Some(Token::make_keyword("OR")),
            Token::Word(word) if word.keyword == Keyword::OR => return Some(Token::make_keyword("AND")),
            _ => return None,
        };
        others.choose(random).cloned()
    })
}

/// Parts of SQL and their replacements: other columns, functions, joins, names.
const PIECES: [(&str, &str, &str); 23] = [
    ("paid", "o.customer", "o.id AS customer"),
    ("paid", "o.amount,", "o.id AS amount,"),
    ("paid", "SELECT", "SELECT DISTINCT"),
    ("totals", "sum(", "max("),
    ("totals", "sum(", "avg("),
    ("totals", "sum(p.amount)", "sum(p.id)"),
    ("totals", " HAVING count(*) > 1", ""),
    ("totals", "AS orders", "AS orders_paid"),
    ("totals", "count(*) AS", "count(p.amount) AS"),
    ("totals", "count(*) AS", "count(DISTINCT p.day) AS"),
    ("named", " JOIN ", " FULL JOIN "),
    ("named", "p.customer = c.id", "p.id = c.id"),
    ("named", "p.amount * 2", "p.amount + 2"),
    ("named", "c.name,", "upper(c.name) AS name,"),
    ("named", "c.name,", "c.region AS name,"),
    ("converted", "LEFT JOIN", "JOIN"),
    ("converted", "LEFT JOIN", "RIGHT JOIN"),
    ("converted", "o.amount * r.rate", "o.amount / r.rate"),
    ("converted", "o.amount * r.rate", "o.amount"),
    ("lengths", "character_length(n.content)", "octet_length(n.content)"),
    ("lengths", "AS letters", "AS characters"),
    ("top", "t.total FROM", "t.orders AS total FROM"),
    ("top", " WHERE t.total > 10", ""),
];

fn piece(parts: &mut Parts, random: &mut StdRng) -> Change {
    let (stage, old, new) = *PIECES.choose(random).unwrap();
    let file = parts.stage(stage);
    assert!(file.sql.contains(old), "{stage} has no {old}");
    file.sql = file.sql.replacen(old, new, 1);
    (format!("`{old}` becomes `{new}` in {stage}"), affected(stage))
}

fn limit(parts: &mut Parts, random: &mut StdRng) -> Change {
    let stage = *TABLES.choose(random).unwrap();
    let rows = random.random_range(1..1_000_000);
    parts.stage(stage).sql.push_str(&format!(" LIMIT {rows}"));
    (format!("limit {rows} in {stage}"), affected(stage))
}

/// A sum of something else.
fn sum_of_more(parts: &mut Parts, random: &mut StdRng) -> Change {
    let more = random.random_range(1..1_000_000);
    let file = parts.stage("totals");
    file.sql = file.sql.replacen("sum(p.amount)", &format!("sum(p.amount + {more})"), 1);
    (format!("{more} more in totals"), &["totals"])
}

fn io(parts: &mut Parts, random: &mut StdRng) -> Change {
    let number = random.random_range(1..100_000);
    let constraint = format!("{{ some: twice > -{number} }}");
    let changes: [(&'static str, &str, &str); 8] = [
        ("totals", "key", "[customer, orders]"),
        ("named", "key", "[id, name]"),
        ("named", "partition_by", "[name]"),
        ("named", "partition_by", "[region, name]"),
        ("converted", "not_null", "[id]"),
        ("lengths", "not_null", "[path, letters]"),
        ("top", "key", "[customer, total]"),
        ("named", "constraints", &constraint),
    ];
    // The constraint has many values, the others one each.
    let (stage, key, value) = if random.random_bool(0.5) { changes[7] } else { *changes.choose(random).unwrap() };
    set(&mut parts.stage(stage).io, key, value);
    (format!("{key} of {stage} becomes {value}"), affected(stage))
}

fn parameter(parts: &mut Parts, random: &mut StdRng) -> Change {
    if random.random_bool(0.5) {
        let value = random.random_range(4..1_000_000).to_string();
        set(parts.member("params", "least"), "default", value.as_str());
        (format!("least is {value}"), &["totals", "named"])
    } else {
        let value = words(random);
        set(parts.member("params", "label"), "default", value.as_str());
        (format!("label is {value}"), &["converted"])
    }
}

/// What names in SQL mean matters to every stage.
fn session(parts: &mut Parts, random: &mut StdRng) -> Change {
    let (of_scale, _) = if random.random_bool(0.5) { scale(parts, random) } else { ("nothing".to_owned(), &[] as _) };
    set(parts.flow("session"), "normalize_identifiers", "false");
    (format!("names are taken as written, and {of_scale} besides"), &TABLES)
}

/// How much is done at once does not affect the result.
fn scale(parts: &mut Parts, random: &mut StdRng) -> Change {
    let (key, value) = match random.random_range(0..3) {
        0 => ("target_partitions", *["3", "8"].choose(random).unwrap()),
        1 => ("batch_size", *["512", "4096"].choose(random).unwrap()),
        _ => ("parquet_pushdown", "false"),
    };
    set(parts.flow("session"), key, value);
    (format!("session.{key} is {value}"), &[])
}

fn source(parts: &mut Parts, random: &mut StdRng) -> Change {
    let bytes = format!("{}KiB", random.random_range(1..1_000));
    let exclude = format!("[\"{}/**\"]", words(random).replace(' ', "_"));
    let changes: [(&str, &str, &str, &'static [&'static str]); 11] = [
        ("orders", "location", "orders_2", &["totals", "named", "converted"]),
        ("customers", "location", "customers_2", &["named"]),
        ("rates", "location", "rates_2.csv", &["converted"]),
        ("rates", "delimiter", "\";\"", &["converted"]),
        ("rates", "has_header", "false", &["converted"]),
        ("rates", "schema", "{ currency: string, rate: float }", &["converted"]),
        ("notes", "location", "notes_2", &["lengths"]),
        ("notes", "include", "[\"**/*.txt\", \"**/*.md\"]", &["lengths"]),
        ("notes", "include", "[\"*.txt\"]", &["lengths"]),
        ("notes", "max_file_bytes", &bytes, &["lengths"]),
        ("notes", "exclude", &exclude, &["lengths"]),
    ];
    let (source, key, value, affects) = *changes.choose(random).unwrap();
    set(parts.member("sources", source), key, value);
    (format!("{key} of {source} becomes {value}"), affects)
}

/// Inserts one or more tokens where there is white space already.
fn at_a_gap(parts: &mut Parts, random: &mut StdRng, new: Token) -> Change {
    let file = parts.stages.iter_mut().choose(random).unwrap();
    let mut tokens = file.tokens();
    let gaps = tokens.iter().enumerate().filter(|(_, token)| matches!(token, Token::Whitespace(_)));
    let place = gaps.map(|(index, _)| index).choose(random).unwrap();
    let what = format!("{new:?} at {place} of {}", file.name);
    tokens.insert(place, new);
    file.set_tokens(&tokens);
    (what, &[])
}

fn white_space(parts: &mut Parts, random: &mut StdRng) -> Change {
    let space = [Whitespace::Space, Whitespace::Newline, Whitespace::Tab].into_iter().choose(random).unwrap();
    at_a_gap(parts, random, Token::Whitespace(space))
}

fn sql_comment(parts: &mut Parts, random: &mut StdRng) -> Change {
    let text = format!(" {} ", words(random));
    let comment = match random.random_bool(0.5) {
        true => Whitespace::MultiLineComment(text),
        false => Whitespace::SingleLineComment { comment: format!("{text}\n"), prefix: "--".to_owned() },
    };
    at_a_gap(parts, random, Token::Whitespace(comment))
}

fn letter_case(parts: &mut Parts, random: &mut StdRng) -> Change {
    let file = parts.stages.iter_mut().choose(random).unwrap();
    let mut tokens = file.tokens();
    let mut changed = Vec::new();
    for token in &mut tokens {
        if let Token::Word(word) = token
            && word.keyword != Keyword::NoKeyword
            && random.random_bool(0.4)
        {
            let other: String = word
                .value
                .chars()
                .map(|char| if random.random_bool(0.5) { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() })
                .collect();
            changed.push(other.clone());
            word.value = other;
        }
    }
    let what = format!("{changed:?} in {}", file.name);
    file.set_tokens(&tokens);
    (what, &[])
}

fn key_order(parts: &mut Parts, random: &mut StdRng) -> Change {
    parts.shuffle(random);
    ("all keys".to_owned(), &[])
}

fn yaml_comment(parts: &mut Parts, random: &mut StdRng) -> Change {
    let note = format!("# {}", words(random));
    if random.random_bool(0.5) {
        let place = random.random_range(0..100);
        parts.notes.push((place, note.clone()));
    } else {
        let stage = *TABLES.choose(random).unwrap();
        parts.stage(stage).notes.push(note.clone());
    }
    (note, &[])
}

fn description(parts: &mut Parts, random: &mut StdRng) -> Change {
    let text = words(random);
    match random.random_range(0..3) {
        0 => {
            let source = ["orders", "customers", "rates", "notes"].choose(random).unwrap();
            set(parts.member("sources", source), "description", text.as_str());
        }
        1 => {
            let param = ["least", "label", "unused"].choose(random).unwrap();
            set(parts.member("params", param), "description", text.as_str());
        }
        _ => {
            let stage = *TABLES.choose(random).unwrap();
            set(&mut parts.stage(stage).header, "description", text.as_str());
        }
    }
    (text, &[])
}

fn tags(parts: &mut Parts, random: &mut StdRng) -> Change {
    let text = format!("{{ layer: {} }}", words(random).replace(' ', "_"));
    if random.random_bool(0.3) {
        set(parts.member("sources", "orders"), "tags", text.as_str());
    } else {
        let stage = *TABLES.choose(random).unwrap();
        set(&mut parts.stage(stage).header, "tags", text.as_str());
    }
    (text, &[])
}

fn run_settings(parts: &mut Parts, random: &mut StdRng) -> Change {
    let number = random.random_range(3..100).to_string();
    match random.random_range(0..4) {
        0 => set(parts.flow("run"), "max_parallel_stages", number.as_str()),
        1 => set(parts.flow("run"), "retries", number.as_str()),
        2 => set(parts.flow("run"), "fail_fast", "true"),
        _ => {
            let stage = *TABLES.choose(random).unwrap();
            set(&mut parts.stage(stage).header, "retries", number.as_str());
        }
    }
    (number, &[])
}

fn machine(parts: &mut Parts, random: &mut StdRng) -> Change {
    let size = format!("{}MiB", random.random_range(64..4_096));
    let key = *["metadata_cache_bytes", "memory_limit_bytes"].choose(random).unwrap();
    set(parts.flow("session"), key, size.as_str());
    (format!("{key} is {size}"), &[])
}

/// How files are kept does not affect rows.
fn maintenance(parts: &mut Parts, random: &mut StdRng) -> Change {
    let number = random.random_range(1..100);
    let settings = [
        format!("{{ checkpoint_every: {number} }}"),
        format!("{{ optimize: {{ small_files: {number}, zorder: [id] }} }}"),
        format!("{{ vacuum: off, keep: {{ runs: {number} }}, readers: any }}"),
    ];
    let text = settings.choose(random).unwrap().as_str();
    if random.random_bool(0.3) {
        parts.manifest.push(Section::Line(("maintenance".to_owned(), text.to_owned())));
    } else {
        let stage = *TABLES.choose(random).unwrap();
        set(&mut parts.stage(stage).io, "maintenance", text);
    }
    (text.to_owned(), &[])
}

fn not_used(parts: &mut Parts, random: &mut StdRng) -> Change {
    let number = random.random_range(2..1_000_000);
    match random.random_range(0..4) {
        0 => {
            set(parts.member("params", "unused"), "default", number.to_string());
            (format!("the parameter nobody uses is {number}"), &[])
        }
        1 => {
            parts.members("params").push((
                format!("more_{number}"),
                vec![("type".to_owned(), "date".to_owned()), ("default".to_owned(), "2026-01-01".to_owned())],
            ));
            (format!("a parameter more_{number}"), &[])
        }
        2 => {
            let file = parts.stage("spare");
            file.sql = format!("SELECT c.id, {number} AS number FROM customers AS c");
            (format!("{number} in the view that nobody reads"), &[])
        }
        _ => {
            let source =
                vec![("kind".to_owned(), "delta".to_owned()), ("location".to_owned(), "customers_2".to_owned())];
            parts.members("sources").push((format!("more_{number}"), source));
            (format!("a source more_{number}"), &[])
        }
    }
}

fn folder(parts: &mut Parts, random: &mut StdRng) -> Change {
    let file = parts.stages.iter_mut().choose(random).unwrap();
    file.folder = format!("stages/{}", words(random).replace(' ', "_"));
    (format!("{} is now in {}", file.name, file.folder), &[])
}
