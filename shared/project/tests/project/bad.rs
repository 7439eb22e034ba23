//! Malformed projects: the exact messages, and correct positions.
//!
//! The files in `bad/` contain the cases. In each, `§` stands before the place of every problem; it is taken out before
//! the project is read. A case that gives no `windlass.yaml` or no stage has a good one, unless it says `bare`.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_base::error::ErrorCode;
use windlass_project::fixture_tests::check_with_fixtures;
use windlass_project::graph::check;
use windlass_project::spec::files::{MAX_FILE_BYTES, MAX_STAGES};
use windlass_project::spec::{Position, Problem, ProblemReport, Problems, ProjectFiles, RenderStyle, Span};

const MARK: char = '§';

struct Case {
    name: String,
    files: ProjectFiles,
    places: BTreeSet<Position>,
}

/// The cases of a file: `=== name [bare]`, then `--- path` and the text of each file.
fn cases(text: &str) -> Vec<Case> {
    text.split("\n=== ").map(|case| case_of(case.strip_prefix("=== ").unwrap_or(case))).collect()
}

fn case_of(text: &str) -> Case {
    let (title, body) = text.split_once('\n').expect("a case has a title and files");
    let (name, bare) = title.strip_suffix(" bare").map_or((title, false), |name| (name, true));
    let mut case = Case { name: name.to_owned(), files: ProjectFiles::new(), places: BTreeSet::new() };
    if !bare {
        case.files.insert("windlass.yaml", "name: p\n");
    }
    let mut stages = 0;
    for part in format!("\n{body}\n").split("\n--- ").skip(1) {
        let (path, text) = part.split_once('\n').expect("a file has a path and a text");
        let text = format!("{}\n", text.trim_end_matches('\n')).replace('␍', "\r");
        stages += usize::from(path.starts_with("stages/"));
        case.places.extend(marks(path, &text));
        case.files.insert(path, &text.replace(MARK, ""));
    }
    if stages == 0 && !bare {
        case.files.insert("stages/one.sql", "SELECT 1 AS x\n");
    }
    case
}

/// The locations of the marks, by line and column of the text without them.
fn marks(path: &str, text: &str) -> Vec<Position> {
    let mut places = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (before, (at, _)) in line.match_indices(MARK).enumerate() {
            let column = line[..at].chars().count() + 1 - before;
            places.push(Position { file: path.to_owned(), line: index + 1, column });
        }
    }
    places
}

fn place_of(report: &ProblemReport) -> Option<Position> {
    Some(Position { file: report.file.clone()?, line: report.line?, column: report.column? })
}

fn problems_of(case: &Case) -> Problems {
    check_with_fixtures(&case.files).err().unwrap_or_else(|| panic!("{} has no problem", case.name))
}

/// Checks the locations of every case, and returns the messages.
fn rendered(text: &str) -> String {
    let mut reported = String::new();
    let mut wrong = Vec::new();
    for case in cases(text) {
        let problems = problems_of(&case);
        let reports = problems.reports();
        assert!(!reports.is_empty());
        let found: BTreeSet<Position> = reports.iter().filter_map(place_of).collect();
        if found != case.places {
            let list =
                |places: &BTreeSet<Position>| places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            wrong.push(format!("{}: marked {}, found {}", case.name, list(&case.places), list(&found)));
        }
        reported.push_str(&format!("=== {}\n{}\n", case.name, problems.render(RenderStyle::default())));
    }
    assert!(wrong.is_empty(), "{}\n\n{reported}", wrong.join("\n"));
    reported
}

macro_rules! groups {
    ($($name:ident),*) => {
        const GROUPS: &[&str] = &[$(include_str!(concat!("bad/", stringify!($name), ".txt"))),*];

        $(#[test]
        fn $name() {
            insta::assert_snapshot!(rendered(include_str!(concat!("bad/", stringify!($name), ".txt"))));
        })*
    };
}

groups!(
    yaml,
    manifest,
    sources,
    params,
    header,
    sql,
    graph,
    plan,
    tags,
    contracts,
    expect,
    fixtures,
    subdags,
    datasets,
    maintenance
);

#[test]
fn enough_bad_projects_are_covered() {
    let count: usize = GROUPS.iter().map(|group| cases(group).len()).sum();
    assert!(count >= 110, "{count}");
}

#[test]
fn every_style_can_be_drawn() {
    for group in GROUPS {
        for case in cases(group) {
            let problems = problems_of(&case);
            for (colour, unicode) in [(true, true), (false, false)] {
                let text = problems.render(RenderStyle { colour, unicode, width: 60 });
                assert_eq!(text.contains('\u{1b}'), colour, "{}", case.name);
                assert!(unicode || !text.contains('╭'), "{}", case.name);
            }
        }
    }
}

#[test]
fn problems_as_json() {
    let mut files = ProjectFiles::new();
    files.insert("windlass.yaml", "name: p\nrun:\n  retires: 1\n");
    files.insert("stages/a.sql", "SELECT * FROM b");
    files.insert("stages/b.sql", "SELECT * FROM a");
    insta::assert_json_snapshot!(check(&files).unwrap_err());
}

#[test]
fn problems_about_one_place_are_shown_together() {
    let file: Arc<str> = "stages/a.sql".into();
    let mut files = ProjectFiles::new();
    files.insert(&*file, "SELECT 1\n");
    let problem = |message: &str, at: usize, help: &str| {
        Problem::new(ErrorCode("WL1002"), message).at(&Span::new(&file, at, at + 6)).help(help)
    };
    let list = vec![problem("one", 0, "do this"), problem("two", 0, "do this"), problem("three", 0, "do that")];
    let problems = Problems::check(list, &files).unwrap_err();
    assert_eq!(problems.count(), 3);
    insta::assert_snapshot!(problems.render(RenderStyle::default()), @r"
    WL1002

      × one
      × two
       ╭─[stages/a.sql:1:1]
     1 │ SELECT 1
       · ──────
       ╰────
      help: do this

    WL1002

      × three
       ╭─[stages/a.sql:1:1]
     1 │ SELECT 1
       · ──────
       ╰────
      help: do that
    ");
}

#[test]
fn passwords_are_never_shown() {
    let mut files = ProjectFiles::new();
    let text =
        "name: p\nsources:\n  a: { kind: delta, location: 's3://key:hunter2@bucket/a' }\n  b: { kind: deltaa }\n";
    files.insert("windlass.yaml", text);
    let problems = check(&files).unwrap_err();
    let shown =
        [problems.render(RenderStyle::default()), problems.to_string(), serde_json::to_string(&problems).unwrap()];
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn limits() {
    let good = "name: p\n";
    let messages = |manifest: &str, stages: &[(String, String)]| {
        let mut files = ProjectFiles::new();
        files.insert("windlass.yaml", manifest);
        for (path, text) in stages {
            files.insert(path.as_str(), text);
        }
        let problems = check(&files).unwrap_err();
        problems.reports().iter().map(|report| format!("{report}\n")).collect::<String>()
    };
    let stage = |text: String| vec![("stages/a.sql".to_owned(), text)];
    let many: Vec<_> = (0..=MAX_STAGES).map(|n| (format!("stages/s{n}.sql"), "SELECT 1".to_owned())).collect();
    let one = stage("SELECT 1".to_owned());
    let cases = [
        messages(&format!("name: p\n# {}\n", "x".repeat(MAX_FILE_BYTES)), &one),
        messages(good, &stage(format!("SELECT '{}'", "x".repeat(MAX_FILE_BYTES)))),
        messages(good, &many),
        messages(&format!("name: p\ndescription: {}1{}\n", "[".repeat(70), "]".repeat(70)), &one),
        messages(&format!("name: p\ndescription: {}", "[".repeat(100_000)), &one),
        messages(good, &stage(format!("SELECT 1{}", " + 1".repeat(100_000)))),
        messages(good, &stage(format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(30_000)))),
        messages(good, &stage(format!("SELECT {}1{}", "(".repeat(200_000), ")".repeat(200_000)))),
        messages(good, &stage(format!("SELECT {}1", "NOT ".repeat(200_000)))),
        messages(good, &stage(format!("SELECT {}1", "- ".repeat(200_000)))),
    ];
    insta::assert_snapshot!(cases.concat());
}

/// Queries near the limits: none may exhaust the stack or take long, whether they are accepted or not.
#[test]
fn long_and_deep_queries_do_not_crash() {
    let nested = |open: &str, middle: &str, close: &str, depth: usize| {
        format!("SELECT {}{middle}{}", open.repeat(depth), close.repeat(depth))
    };
    let mut queries = vec![
        format!("SELECT 1{}", " + 1".repeat(2_450)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(490)),
        format!("SELECT 1{}", " IS NULL".repeat(2_000)),
        format!("SELECT 1{}", "::bigint".repeat(2_000)),
        format!("SELECT x{}", ".x".repeat(2_000)),
        format!("SELECT x{}", "[1]".repeat(2_000)),
        format!("SELECT {}1", "NOT ".repeat(4_000)),
        format!("SELECT {}1", "- ".repeat(4_000)),
        format!("SELECT {}1", "INTERVAL ".repeat(4_000)),
        format!("SELECT CAST(1 AS {}INT", "ARRAY<".repeat(2_000)),
        format!("SELECT 1 FROM a{}", " CROSS JOIN a".repeat(1_500)),
        format!("WITH {} SELECT 1", "a AS (SELECT 1), ".repeat(1_000)),
    ];
    for depth in [20, 45, 300, 3_000] {
        queries.push(nested("(", "1", ")", depth));
        queries.push(nested("[", "1", "]", depth));
        queries.push(nested("CASE WHEN ", "1", " THEN 1 END", depth));
        queries.push(nested("(SELECT ", "1", ")", depth));
        queries.push(nested("f(", "1", ")", depth));
        queries.push(nested("CAST(1 AS ", "INT", ")", depth));
        queries.push(nested("{a: ", "1", "}", depth));
        queries.push(nested("x IN (SELECT ", "1", ")", depth));
        queries.push(nested("EXISTS (SELECT ", "1", ")", depth));
        queries.push(nested("a -> ", "1", "", depth));
        queries.push(nested("PRIOR ", "1", "", depth));
        queries.push(nested("x AT TIME ZONE ", "'UTC'", "", depth));
        queries.push(nested("x BETWEEN 1 AND ", "1", "", depth));
        queries.push(nested("x LIKE ", "'y'", "", depth));
        queries.push(nested("x OVER (PARTITION BY ", "1", ")", depth));
        for (open, close) in
            [("ARRAY<", ">"), ("STRUCT<a ", ">"), ("MAP<INT, ", ">"), ("Nullable(", ")"), ("Tuple(", ")")]
        {
            queries.push(format!("SELECT CAST(1 AS {}INT{})", open.repeat(depth), close.repeat(depth)));
        }
        queries.push(nested("1 FROM (SELECT ", "1", ") AS t", depth));
        queries.push(format!("SELECT * FROM {}t{}", "(".repeat(depth), ")".repeat(depth)));
        queries.push(format!("{}SELECT 1{}", "(".repeat(depth), ")".repeat(depth)));
        queries.push(format!("{}SELECT 1", "WITH a AS (SELECT 1) ".repeat(depth)));
        queries.push(format!("{}SELECT 1{}", "WITH a AS (".repeat(depth), ") SELECT 1".repeat(depth)));
        queries.push(format!("SELECT 1 FROM {}a{}", "a JOIN ".repeat(depth), " ON true".repeat(depth)));
        queries.push(format!("SELECT 1 FROM {}a", "LATERAL ".repeat(depth)));
        queries.push(format!("SELECT 1 FROM a {}", "PIVOT (sum(x) FOR y IN (1)) ".repeat(depth)));
        queries.push(format!(
            "SELECT 1 FROM a MATCH_RECOGNIZE (PATTERN ({}a{}) DEFINE a AS true)",
            "(".repeat(depth),
            ")".repeat(depth)
        ));
    }
    for query in queries {
        let files: ProjectFiles = [("windlass.yaml", "name: p\n"), ("stages/s.sql", &query)].into_iter().collect();
        match check(&files) {
            Ok(graph) => assert_eq!(graph.stages.len(), 1),
            Err(problems) => assert!(problems.count() >= 1),
        }
    }
}
