//! Problems that are sent to another process and shown there.

use windlass_base::error::ErrorCode;
use windlass_project::graph::check;
use windlass_project::spec::{Problem, Problems, ProjectFiles, RenderStyle, Span};

fn bad_project() -> ProjectFiles {
    let manifest = "name: p\nparams: { days: { type: long, defualt: 1 } }\nsources: [a]\n";
    let query = "/* windlass\ntags: { a: b }\n*/\n-- grün\nSELECT * FROM nowhere WHERE x > $dys";
    [("windlass.yaml", manifest), ("stages/one.sql", query), ("stages/two.sql", "SELECT * FROM two")]
        .into_iter()
        .collect()
}

/// What the receiver has after the problems were sent, with its own copy of the files.
fn sent(problems: &Problems, files: &ProjectFiles) -> Problems {
    let list: Vec<&Problem> = problems.iter().collect();
    let wire = serde_json::to_vec(&list).unwrap();
    let list: Vec<Problem> = serde_json::from_slice(&wire).unwrap();
    assert_eq!(problems.iter().collect::<Vec<_>>(), list.iter().collect::<Vec<_>>());
    Problems::check(list, files).unwrap_err()
}

#[test]
fn problems_look_alike_where_they_were_found_and_where_they_were_sent() {
    let problems = check(&bad_project()).unwrap_err();
    assert!(problems.count() > 3, "{problems}");
    let other_side = sent(&problems, &bad_project());
    assert_eq!(other_side.render(RenderStyle::default()), problems.render(RenderStyle::default()));
    assert_eq!(other_side.reports(), problems.reports());
}

/// The files may have been edited before the problems are shown; the locations are then wrong, but nothing breaks.
#[test]
fn problems_are_shown_when_the_files_differ() {
    let problems = check(&bad_project()).unwrap_err();
    for text in ["", "ä", "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü", "\n\n\n"]
    {
        let files: ProjectFiles = bad_project().iter().map(|(path, _)| (&**path, text)).collect();
        let shown = sent(&problems, &files).render(RenderStyle::default());
        assert!(problems.iter().all(|problem| shown.contains(problem.code.0)), "{shown}");
    }
    let none = sent(&problems, &ProjectFiles::new());
    assert_eq!(none.count(), problems.count());
    assert!(!none.render(RenderStyle::default()).is_empty());

    let span = Span { file: "windlass.yaml".into(), start: usize::MAX, end: 3 };
    let odd = Problem::new(ErrorCode("WL0101"), "odd").at(&span);
    assert!(Problems::one(odd, &bad_project()).render(RenderStyle::default()).contains("odd"));
}

#[test]
fn codes_of_another_version_are_kept_and_other_texts_refused() {
    let later: ErrorCode = serde_json::from_str("\"WL9876\"").unwrap();
    assert_eq!(later, ErrorCode("WL9876"));
    assert_eq!(ErrorCode::parse("WL0101"), Some(windlass_project::spec::codes::YAML_SYNTAX));
    for text in ["", "WL", "WL01", "WL01011", "XX0101", "WL010a", "WL٠١٠١"] {
        assert_eq!(ErrorCode::parse(text), None, "{text}");
    }
    assert!(serde_json::from_str::<ErrorCode>("\"boom\"").is_err());
}
