//! Values of every type, given, processed by the engine and expected.

use windlass_client::fixture_runner::{FindingKind, Fixtures};

use super::write;

const TYPES: &str = "{ id: long, text: string, i: integer, s: short, b: byte, f: float, d: double, yes: boolean, \
     bytes: binary, day: date, at: timestamp, clock: timestamp_ntz, price: 'decimal(12,3)', list: array<string>, \
     pair: 'struct<a: long, b: array<double>>', map: 'map<string, long>' }";
const FULL: &str = "{ id: 1, text: 'null', i: -2147483648, s: 32767, b: -128, f: 0.1, d: 0.1, yes: true, \
     bytes: '0x00ff', day: 1969-12-31, at: '2026-01-31T12:00:00.25+02:00', clock: '2026-01-31 12:00:00', \
     price: -0.125, list: [a, null, ''], pair: { a: 1, b: [0.5, null] }, map: { x: 1, y: null } }";
/// The same, written differently.
const SAME: &str = "{ id: 1, text: \"null\", i: -2147483648, s: 32767, b: -128, f: 0.1, d: 1e-1, yes: true, \
     bytes: '0x00FF', day: '1969-12-31', at: '2026-01-31T10:00:00.250Z', clock: '2026-01-31T12:00:00', \
     price: '-0.1250', list: [a, ~, \"\"], pair: { b: [0.5, null], a: 1 }, map: { y: null, x: 1 } }";

fn project(dir: &std::path::Path, fixture: &str) -> Fixtures {
    let manifest = "name: types\nsources: { all_types: { kind: delta, location: nowhere } }\n";
    let stage = "/* windlass\nio: { key: [id] }\n*/\nSELECT * FROM all_types";
    write(dir, &[("windlass.yaml", manifest), ("stages/copied.sql", stage), ("tests/types.yaml", fixture)]);
    Fixtures::open(dir, None).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = format!(
        "turns:
  - given: {{ all_types: {{ key: [id], columns: {TYPES}, rows: [{FULL}, {{ id: 2 }}] }} }}
    expect: {{ copied: [{{ id: 2 }}, {SAME}] }}
  - given: {{ all_types: {{ upsert: [{{ id: 2, list: [] }}], delete: [{{ id: 1, price: -0.125, text: 'null' }}] }} }}
    expect: {{ copied: [{{ id: 2, list: [], map: null }}] }}
"
    );
    let reports = project(dir.path(), &fixture).run(&Default::default(), |_| {}).await.unwrap();
    assert!(reports[0].passed && reports[0].turns == 2, "{}", reports[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_project_are_used_unless_others_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "name: p\nsources:\n  items: { kind: delta, location: nowhere }\n  days: { kind: rows, rows: [{ day: mon, weight: 2 }] }\n";
    let stage = "SELECT id, weight FROM items JOIN days USING (day)";
    let with = |days: &str, weight: i64| {
        format!(
            "given:\n  items: [{{ id: 1, day: mon }}]\n{days}expect: {{ weighed: [{{ id: 1, weight: {weight} }}] }}\n"
        )
    };
    write(
        dir.path(),
        &[
            ("windlass.yaml", manifest),
            ("stages/weighed.sql", stage),
            ("tests/kept.yaml", &with("", 2)),
            ("tests/given.yaml", &with("  days: [{ day: mon, weight: 7 }]\n", 7)),
        ],
    );
    let fixtures = Fixtures::open(dir.path(), None).unwrap_or_else(|error| panic!("{error}"));
    let reports = fixtures.run(&Default::default(), |_| {}).await.unwrap();
    assert!(reports.len() == 2 && reports.iter().all(|report| report.passed), "{} {}", reports[0], reports[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_in_any_type_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let changes = [
        ("'null'", "null"),
        ("i: -2147483648", "i: -2147483647"),
        ("s: 32767", "s: 32766"),
        ("b: -128", "b: -127"),
        ("f: 0.1", "f: 0.10000001"),
        ("d: 0.1", "d: 0.10000000000000002"),
        ("true", "false"),
        ("0x00ff", "0x00fe"),
        ("1969-12-31", "1970-01-01"),
        ("12:00:00.25", "12:00:00.250001"),
        ("12:00:00'", "12:00:01'"),
        ("-0.125", "0.125"),
        ("[a, null, '']", "[a, '', null]"),
        ("b: [0.5, null]", "b: [0.5]"),
        ("{ x: 1, y: null }", "{ x: null, y: 1 }"),
    ];
    // Column by column, all in one row: each is checked separately.
    let changed = changes.iter().fold(FULL.to_owned(), |row, (from, to)| {
        assert!(row.contains(from), "{from}");
        row.replacen(from, to, 1)
    });
    let fixture =
        format!("given: {{ all_types: {{ columns: {TYPES}, rows: [{FULL}] }} }}\nexpect: {{ copied: [{changed}] }}\n");
    let reports = project(dir.path(), &fixture).run(&Default::default(), |_| {}).await.unwrap();
    let FindingKind::Rows { diff, .. } = &reports[0].findings[0].kind else { panic!("{}", reports[0]) };
    assert_eq!(diff.changed[0].differs, (1..=changes.len()).collect::<Vec<_>>(), "{}", reports[0]);
    insta::assert_snapshot!(reports[0]);
}
