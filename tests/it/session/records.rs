//! Unusual CSV and JSON files: exact values, or a refusal that names the file and the line.

use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_engine::session::SessionError;
use windlass_evidence::artifact::Registration;
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::source::{FileFormat, ListingSource};

use super::support::{Fixture, listing, listing_source, write};

const CSV: FileFormat = FileFormat::Csv { has_header: true, delimiter: b',' };
const BARE: FileFormat = FileFormat::Csv { has_header: false, delimiter: b',' };

fn declared(format: FileFormat, columns: &[(&str, &str)]) -> ListingSource {
    let column = |(name, of): &(&str, &str)| ((*name).to_owned(), ColumnType::parse(of).unwrap());
    ListingSource { schema: Some(columns.iter().map(column).collect()), ..listing_source(format) }
}

/// A folder of files as a source, in a separate session.
struct Folder {
    folder: tempfile::TempDir,
    fixture: Fixture,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(folder.path(), path, text);
        }
        // In one partition rows come in the order of the files and of their lines.
        let settings = SessionSettings { target_partitions: 1, ..SessionSettings::default() };
        Self { folder, fixture: Fixture::with(settings) }
    }

    async fn register(&self, source: ListingSource) -> Result<Registration, SessionError> {
        self.fixture.register("t", listing(self.folder.path(), source)).await
    }

    /// The rows of `sql`, a text for each.
    async fn rows(&self, sql: &str) -> Result<Vec<String>, String> {
        use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
        let query = self.fixture.ctx.sql(sql).await.unwrap();
        let batches = query.collect().await.map_err(|error| error.to_string())?;
        let options = FormatOptions::new().with_null("∅");
        let rows = batches.iter().flat_map(|batch| {
            let columns: Vec<_> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"))
                .collect::<Vec<_>>()
        });
        Ok(rows.collect())
    }
}

/// The types and rows of files, or why they are refused, when they are listed or read.
async fn read(files: &[(&str, &str)], source: ListingSource) -> Result<(Vec<String>, Vec<String>), String> {
    let folder = Folder::new(files);
    let record = match folder.register(source).await {
        Ok(record) => record,
        Err(error) => {
            assert!(error.help().is_some());
            return Err(format!("{} {error}", error.code()));
        }
    };
    let types = record.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    Ok((types, folder.rows("SELECT * FROM t").await?))
}

async fn refused(files: &[(&str, &str)], source: ListingSource) -> String {
    read(files, source).await.unwrap_err()
}

#[tokio::test]
async fn csv_columns_go_by_their_names() {
    let ab = [("a.csv", "net,tax\n100,19\n"), ("b.csv", "tax,net\n38,200\n")];
    let rows = vec!["100|19".to_owned(), "200|38".to_owned()];
    assert_eq!(read(&ab, listing_source(CSV)).await.unwrap().1, rows);
    assert_eq!(read(&ab, declared(CSV, &[("net", "long"), ("tax", "long")])).await.unwrap().1, rows);
    let swapped = read(&ab, declared(CSV, &[("tax", "short"), ("net", "string")])).await.unwrap();
    assert_eq!(swapped, (vec!["tax Int16".into(), "net Utf8".into()], vec!["19|100".into(), "38|200".into()]));
    let some = read(&[("a.csv", "x,a,\n1,2,3\n")], declared(CSV, &[("a", "long")])).await.unwrap();
    assert_eq!(some.1, ["2"]);
    let folder = Folder::new(&[("a.csv", "x,y,x2\n1,2,3\n"), ("empty.csv", ""), ("header.csv", "y,x2,x\n")]);
    folder.register(listing_source(CSV)).await.unwrap();
    assert_eq!(folder.rows("SELECT x2, count(*), x FROM t GROUP BY x2, x").await.unwrap(), ["3|1|1"]);
    assert_eq!(folder.rows("SELECT count(*) FROM t").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn csv_files_with_other_columns_are_refused_by_name() {
    let file = |text| [("good.csv", "net,tax\n1,2\n"), ("odd.csv", text)];
    let declared = || declared(CSV, &[("net", "long"), ("tax", "long")]);
    for (text, found, with_schema) in [
        ("net,discount\n1,2\n", Some("no column `tax`"), Some("no column `tax`")),
        ("net,tax,more\n1,2,3\n", Some("a column `more`"), None),
        ("net,Tax\n1,2\n", Some("a column `Tax`, and none that is spelled `tax`"), Some("spelled `tax`")),
        ("net,tax,net\n1,2,3\n", Some("two columns `net`"), Some("two columns `net`")),
        ("net,tax,\n1,2,3\n", Some("no name for its column 3"), None),
        ("net,tax\n1,2\n3\n", Some("line 3: the number of values is 1"), Some("line 3")),
        ("net,tax\n1,2\n\n3,4,5\n", Some("line 4: the number of values is 3"), Some("line 4")),
        ("net,tax\n1,\"2\n", Some("line 2: a quote is not closed"), Some("line 2")),
        ("net,tax\n\"1\"0,2\n", Some("line 2: a closing quote"), Some("line 2")),
    ] {
        for (source, expected) in [(listing_source(CSV), found), (declared(), with_schema)] {
            match (read(&file(text), source).await, expected) {
                (Err(refused), Some(expected)) => {
                    assert!(refused.contains("odd.csv`") && refused.contains(expected), "{text}: {refused}");
                }
                (Ok(_), None) => {}
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }
    let not_text = Folder::new(&[]);
    write(not_text.folder.path(), "a.csv", b"a\nx\n\xff\n");
    not_text.register(listing_source(CSV)).await.unwrap();
    assert!(not_text.rows("SELECT a FROM t").await.unwrap_err().contains("a.csv`, line 3: it is not UTF-8"));
    let nothing = refused(&[("a.csv", "\n\n")], listing_source(CSV)).await;
    assert!(nothing.contains("WL0382") && nothing.contains("a.csv"), "{nothing}");
    let bare = refused(&[("a.csv", "1,2\n"), ("b.csv", "1,2,3\n")], listing_source(BARE)).await;
    assert!(bare.contains("b.csv` has a column `column_3`"), "{bare}");
    let bare = refused(&[("a.csv", "1,2\n")], super::records::declared(BARE, &[("a", "long")])).await;
    assert!(bare.contains("a.csv` has 2 columns instead of 1"), "{bare}");
}

#[tokio::test]
async fn csv_texts_of_odd_shapes_are_read_as_they_are() {
    let long: String = (0..3000).map(|i| format!("{i},\"he said \"\"x\"\"\r\nline, {i}\"\r\n")).collect();
    let folder = Folder::new(&[("a.csv", &format!("\u{feff}id,note\r\n{long}"))]);
    for source in [listing_source(CSV), declared(CSV, &[("id", "long"), ("note", "string")])] {
        folder.register(source).await.unwrap();
        let sql = "SELECT count(*), sum(id), max(length(note)), min(split_part(note, ', ', 2)) FROM t";
        assert_eq!(folder.rows(sql).await.unwrap(), ["3000|4498500|23|0"]);
    }
    for (text, rows) in [
        ("\u{feff}\"a\",b\n1,2\n", vec!["1|2"]),
        ("a,b\r1,2\r3,4", vec!["1|2", "3|4"]),
        ("a,b\n5\" pipe,\"\"\n", vec!["5\" pipe|∅"]),
        ("a,b\n ,\"x\ny\"\n\n\n", vec![" |x\ny"]),
        ("a\n1\n\n3\n", vec!["1", "∅", "3"]),
        ("a,b\n", vec![]),
    ] {
        assert_eq!(read(&[("a.csv", text)], listing_source(CSV)).await.unwrap().1, rows, "{text:?}");
    }
    for source in [listing_source(BARE), declared(BARE, &[("a", "long")])] {
        let blank = read(&[("a.csv", "\n1\n\n2\n"), ("b.csv", "\n\n")], source).await.unwrap();
        assert_eq!(blank.1, ["∅", "1", "∅", "2", "∅", "∅"]);
    }
}

#[tokio::test]
async fn columns_have_the_type_that_holds_all_of_their_values() {
    for (values, data_type, rows) in [
        ("1\n2.5\n", "Float64", vec!["1.0", "2.5"]),
        ("007\n12\n", "Utf8", vec!["007", "12"]),
        ("9007199254740993\n1.5\n", "Utf8", vec!["9007199254740993", "1.5"]),
        ("18446744073709551615\n1\n", "Decimal128(38, 0)", vec!["18446744073709551615", "1"]),
        ("1.5\nNaN\n", "Float64", vec!["1.5", "NaN"]),
        ("true\nFALSE\n", "Boolean", vec!["true", "false"]),
        ("true\n1\n", "Utf8", vec!["true", "1"]),
        ("2026-01-31\n1969-12-31\n", "Date32", vec!["2026-01-31", "1969-12-31"]),
        ("2026-02-30\n", "Utf8", vec!["2026-02-30"]),
        ("2026-01-31 10:00:00+02:00\n", "Timestamp(µs, \"UTC\")", vec!["2026-01-31T08:00:00Z"]),
        ("2026-01-31T10:00:00.5\n", "Timestamp(µs)", vec!["2026-01-31T10:00:00.500"]),
        ("2026-01-31T10:00:00.0000005\n", "Timestamp(ns)", vec!["2026-01-31T10:00:00.000000500"]),
    ] {
        let read = read(&[("a.csv", &format!("a\n{values}"))], listing_source(CSV)).await.unwrap();
        assert_eq!(
            (read.0[0].as_str(), read.1),
            (format!("a {data_type}").as_str(), rows.iter().map(ToString::to_string).collect())
        );
    }
    let wide = read(&[("a.csv", "a,b\n1,\n"), ("b.csv", "b,a\nx,2.5\n")], listing_source(CSV)).await.unwrap();
    assert_eq!(wide, (vec!["a Float64".into(), "b Utf8".into()], vec!["1.0|∅".into(), "2.5|x".into()]));
}

#[tokio::test]
async fn json_is_read_to_its_last_line() {
    let late = |first: &str, last: &str| format!("{}{last}\n", format!("{first}\n").repeat(1200));
    for (last, columns, row) in [
        (r#"{"a": 2.9}"#, "a Float64", "2.9"),
        (r#"{"a": "007"}"#, "a Utf8", "007"),
        (r#"{"a": 2, "b": "new"}"#, "a Int64,b Utf8", "2|new"),
        (r#"{"a": 2, "b": {"c": [1, 2.5]}}"#, "a Int64,b Struct(\"c\": List(Float64))", "2|{c: [1.0, 2.5]}"),
        (r#"{"a": 123456789012345678901}"#, "a Decimal128(38, 0)", "123456789012345678901"),
        (r#"{"a": true}"#, "a Utf8", "true"),
    ] {
        let folder = Folder::new(&[("a.json", &late(r#"{"a": 1}"#, last))]);
        let record = folder.register(listing_source(FileFormat::Json)).await.unwrap();
        let found: Vec<_> =
            record.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        assert_eq!(found.join(","), columns);
        assert_eq!(folder.rows("SELECT * FROM t WHERE CAST(a AS VARCHAR) NOT IN ('1', '1.0')").await.unwrap(), [row]);
        assert_eq!(folder.rows("SELECT count(*) FROM t").await.unwrap(), ["1201"]);
    }
    let two = [("a.json", "{\"b\": 1}\n"), ("b.jsonl", "\n{\"a\": \"x\", \"b\": 2.5}\n{\"c\": null}")];
    let read = read(&two, listing_source(FileFormat::Json)).await.unwrap();
    assert_eq!(read.0, ["b Float64", "a Utf8", "c Utf8"]);
    assert_eq!(read.1, ["1.0|∅|∅", "2.5|x|∅", "∅|∅|∅"]);
}

#[tokio::test]
async fn inconsistent_json_is_refused_with_file_and_line() {
    for (text, expected) in [
        ("{\"a\": 1}\n{\"a\": [1]}\n", "line 2: `[1]` does not fit the column `a`, which is a single value"),
        ("{\"a\": {\"b\": 1}}\n\n{\"a\": {\"b\": {}}}\n", "line 3: `{}` does not fit the column `a.b`"),
        ("{\"a\": 1}\n{\"a\": 2,}\n", "line 2: "),
        ("[{\"a\": 1}]\n", "line 1: it is not a JSON object"),
        ("{\n\"a\": 1\n}\n", "line 1: "),
        ("\n", "has nothing that defines its columns"),
    ] {
        let refused = refused(&[("odd.json", text)], listing_source(FileFormat::Json)).await;
        assert!(refused.contains("odd.json`") && refused.contains(expected), "{text}: {refused}");
    }
    let nested = |levels| format!("{{\"a\": 1}}\n{{\"b\": {}1{}}}\n", "[".repeat(levels), "]".repeat(levels));
    for levels in [200, 200_000] {
        let deep = refused(&[("odd.json", &nested(levels))], listing_source(FileFormat::Json)).await;
        assert!(deep.contains("odd.json`, line 2: its values are nested more than 200 levels deep"), "{deep}");
    }
    let json = |columns: &[(&str, &str)]| declared(FileFormat::Json, columns);
    let left_out = read(&[("a.json", &nested(200_000))], json(&[("a", "long")])).await.unwrap();
    assert_eq!(left_out.1, ["1", "∅"]);
    let twice = refused(&[("odd.json", "{\"a\": 1, \"a\": 2}\n")], json(&[("a", "long")])).await;
    assert!(twice.contains("odd.json`, line 1: the key `a` is a duplicate"), "{twice}");
    let none = refused(&[("a.json", "{\"b\": 1}\n")], json(&[("a", "long")])).await;
    assert!(none.contains("WL0382") && none.contains("has the column `a`"), "{none}");
    let other_case = refused(&[("a.json", "{\"a\": 1}\n{\"A\": 1}\n")], json(&[("a", "long")])).await;
    assert!(other_case.contains("line 2: it has a key `A`"), "{other_case}");
    let ignored = read(&[("a.json", "{\"a\": 1, \"b\": 1}\n{\"b\": {}}\n")], json(&[("a", "long")])).await.unwrap();
    assert_eq!(ignored.1, ["1", "∅"]);
}

#[tokio::test]
async fn a_declared_type_accepts_exact_values_and_refuses_others() {
    // The type, the value in CSV and in JSON, and the result.
    for (of, csv, json, expected) in [
        ("decimal(10,2)", "1.239", "1.239", None),
        ("decimal(10,2)", "1.230", "1.230", Some("1.23")),
        ("decimal(10,2)", "123456789", "123456789", None),
        ("decimal(10,2)", "1e-2", "1e-2", Some("0.01")),
        ("decimal(10,2)", "12.5", "\"12.5\"", Some("12.50")),
        ("long", "1.9", "1.9", None),
        ("long", "1.0", "1.0", Some("1")),
        ("long", "1e3", "1E3", Some("1000")),
        ("long", "9223372036854775808", "9223372036854775808", None),
        ("long", "one", "\"one\"", None),
        ("long", "true", "true", None),
        ("integer", "2147483648", "2147483648", None),
        ("short", "-32768", "-32768", Some("-32768")),
        ("byte", "128", "128", None),
        ("double", "9007199254740993", "9007199254740993", None),
        ("double", "0.1", "0.1", Some("0.1")),
        ("double", "1e400", "1e400", None),
        ("float", "16777217", "16777217", None),
        ("boolean", "TRUE", "true", Some("true")),
        ("boolean", "1", "1", None),
        ("date", "2026-01-31", "\"2026-01-31\"", Some("2026-01-31")),
        ("date", "2026-01-31 10:00:00", "\"2026-01-31 10:00:00\"", None),
        ("date", "2026-13-31", "\"2026-13-31\"", None),
        ("timestamp", "2026-01-31 10:00:00+01:00", "\"2026-01-31 10:00:00+01:00\"", Some("2026-01-31T09:00:00Z")),
        ("timestamp", "2026-01-31 10:00:00.0000001Z", "\"2026-01-31 10:00:00.0000001Z\"", None),
        ("timestamp_ntz", "2026-01-31", "\"2026-01-31\"", Some("2026-01-31T00:00:00")),
        ("timestamp_ntz", "2026-01-31T10:00:00Z", "\"2026-01-31T10:00:00Z\"", None),
        ("string", "1.50", "1.50", Some("1.50")),
        ("string", "x", "\"x\"", Some("x")),
        ("binary", "ab", "\"ab\"", Some("6162")),
    ] {
        for (format, text) in
            [(CSV, format!("b,a\n0,{csv}\n")), (FileFormat::Json, format!("{{\"b\": 0, \"a\": {json}}}\n"))]
        {
            let name = format!("odd.{}", format.name());
            match (read(&[(name.as_str(), &text)], declared(format, &[("a", of)])).await, expected) {
                (Ok((_, rows)), Some(expected)) => assert_eq!(rows, [expected], "{of} {text}"),
                (Err(refused), None) => assert!(
                    refused.contains(&format!("{name}`, line ")) && refused.contains(&format!("`a`, which is {of}")),
                    "{of} {text}: {refused}"
                ),
                (other, _) => panic!("{of} {text}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn partition_columns_work_with_text_files() {
    for (format, one, other) in
        [(CSV, "n,day\n1,x\n", "day,n\nx,2\n"), (FileFormat::Json, "{\"n\": 1, \"day\": \"x\"}\n", "{\"n\": 2}\n")]
    {
        let name = format.name();
        let (a, b) = (format!("day=2026-01-01/a.{name}"), format!("day=2026-01-02/sub/b.{name}"));
        let folder = Folder::new(&[(&a, one), (&b, other)]);
        for schema in [None, Some(vec![("n".to_owned(), ColumnType::Long)])] {
            let mut source = ListingSource { schema, ..listing_source(format.clone()) };
            source.partition_columns = vec![("day".to_owned(), ColumnType::Date)];
            folder.register(source).await.unwrap();
            let rows = |sql: &'static str| folder.rows(sql);
            assert_eq!(
                rows("SELECT day, sum(n) FROM t GROUP BY day ORDER BY day").await.unwrap(),
                ["2026-01-01|1", "2026-01-02|2"]
            );
            assert_eq!(
                rows("SELECT n AS m, day, n FROM t WHERE day > '2026-01-01'").await.unwrap(),
                ["2|2026-01-02|2"]
            );
            assert_eq!(rows("SELECT max(day) FROM t").await.unwrap(), ["2026-01-02"]);
        }
    }
}

#[tokio::test]
async fn files_that_are_not_read_are_named() {
    for (name, format) in [("b.csv.gz", CSV), ("b.JSON.zst", FileFormat::Json), ("b.parquet.bz2", FileFormat::Parquet)]
    {
        let folder = Folder::new(&[("a.csv", "a\n1\n"), ("a.json", "{\"a\": 1}\n"), (name, "x"), ("notes.txt", "x")]);
        let error = folder.register(listing_source(format)).await.unwrap_err();
        assert_eq!(error.code().to_string(), "WL0384");
        assert!(error.to_string().contains(name), "{error}");
    }
    let empty = Folder::new(&[("a.parquet", "")]);
    let error = empty.register(listing_source(FileFormat::Parquet)).await.unwrap_err();
    assert!(error.code().to_string() == "WL0307" && error.to_string().contains("a.parquet"), "{error}");
}
