//! `docs/errors.md` against the sources: each code that something can be refused with has one section and one meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;
use windlass_project::spec::codes;

const PAGE: &str = include_str!("../../../../docs/errors.md");

/// The codes that more than one file names, and why that is one meaning.
const NAMED_TWICE: [(&str, &str); 16] = [
    ("WL0344", "an export is not written, be it by its saver or into its folder"),
    ("WL0376", "the scheduler tells it apart from other failures of planning"),
    ("WL0378", "a query is valid and cannot be run, be it a stage's or a question"),
    ("WL0384", "a file is left out, of a source or of the project"),
    ("WL0422", "an incremental run tells it apart from other failures of writing"),
    ("WL0425", "a constraint is checked when its stage is planned, and when rows are written"),
    ("WL0445", "the scheduler adds the table to the failure of a data file"),
    ("WL0446", "the scheduler adds the table to the failure of a data file"),
    ("WL0504", "the command adds the report of the panic"),
    ("WL0652", "a task of the driver breaks down, or the one that follows it"),
    ("WL0653", "the command adds the report of the panic"),
    ("WL0675", "the place of an export is checked in the project, and again with the home known"),
    ("WL0676", "the place of an export is checked in the project, and again with the home known"),
    ("WL0688", "counters tell an action that was stopped apart from one that failed"),
    ("WL0707", "a run ends badly, by itself or within a fixture"),
    ("WL1062", "rows of a fixture are not written, or not found to be deleted"),
];

/// The codes that a text names; `WL0530 to WL0532` names three.
fn codes_in(text: &str) -> Vec<String> {
    let code = Regex::new(r"WL(\d{4})(?: to WL(\d{4}))?").unwrap();
    let number = |group: regex::Match| group.as_str().parse::<u32>().unwrap();
    let ranges = code.captures_iter(text).map(|found| {
        let first = number(found.get(1).unwrap());
        first..=found.get(2).map_or(first, number)
    });
    ranges.flatten().map(|code| format!("WL{code:04}")).collect()
}

/// The codes that have a section: the first cell of a row, a head, or in bold where a paragraph is about it.
fn sections() -> Vec<String> {
    let head = Regex::new(r"(?m)^\| WL[^|]*\||^### WL.*$|\*\*WL\d{4}\*\*").unwrap();
    let heads: Vec<&str> = head.find_iter(PAGE).map(|head| head.as_str()).collect();
    codes_in(&heads.join("\n"))
}

/// Every code that a crate's sources hold as a text, with the files; what comments and unit tests say is left out.
fn sources() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let of_shared = fs::read_dir(root.join("shared")).unwrap().map(|entry| entry.unwrap().path());
    let members = of_shared.chain(["scheduler", "executor", "ui", "client"].map(|member| root.join(member)));
    let mut found = BTreeMap::new();
    for sources in members.map(|member| member.join("src")).filter(|sources| sources.is_dir()) {
        search(&sources, &mut found);
    }
    found
}

fn search(folder: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let comment = Regex::new(r"(?m)^\s*//.*$").unwrap();
    let literal = Regex::new(r#""(WL\d{4})""#).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        } else if path.file_name().is_some_and(|name| name == "tests.rs") {
            // Unit tests in a file of their own.
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            for named in literal.captures_iter(&comment.replace_all(code, "")) {
                found.entry(named[1].to_owned()).or_default().insert(path.display().to_string());
            }
        }
    }
}

#[test]
fn the_codes_of_projects_are_documented_in_their_words() {
    for (code, meaning) in codes::ALL {
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| {code} |")));
        assert!(row.is_some_and(|row| row.contains(meaning)), "{code} {meaning}");
    }
    let rows = PAGE.lines().filter(|line| line.starts_with("| WL01") || line.starts_with("| WL02")).count();
    assert_eq!(rows, codes::ALL.len());
}

#[test]
fn the_page_has_a_section_for_each_code_of_the_sources_and_no_other() {
    let used: BTreeSet<String> = sources().into_keys().collect();
    let documented: BTreeSet<String> = sections().into_iter().collect();
    assert_eq!(used, documented);
}

#[test]
fn each_code_has_one_section() {
    let mut seen = BTreeSet::new();
    let twice: Vec<String> = sections().into_iter().filter(|code| !seen.insert(code.clone())).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn each_code_has_one_meaning() {
    let several: BTreeMap<String, BTreeSet<String>> =
        sources().into_iter().filter(|(_, files)| files.len() > 1).collect();
    let known: Vec<&str> = NAMED_TWICE.iter().map(|(code, _)| *code).collect();
    assert_eq!(several.keys().collect::<Vec<_>>(), known, "{several:#?}");
}
