//! `syntax_nodes` and `stable_id` through SQL.

use std::sync::Arc;

use super::support::{Fixture, text_files, write};

const NODES: &str = "SELECT n['node_id'] AS id, n['parent_id'] AS parent, n['kind'] AS kind, n['field'] AS field, \
     n['name'] AS name, n['start_line'] AS line, n['start_byte'] AS start, n['end_byte'] AS stop \
     FROM (SELECT unnest(syntax_nodes(content, language)) AS n FROM (VALUES";

async fn nodes(fixture: &Fixture, content: &str, language: &str) -> String {
    let content = content.replace('\'', "''");
    fixture.rows(&format!("{NODES} ('{content}', '{language}')) AS t (content, language)) ORDER BY id")).await
}

#[tokio::test]
async fn rust_nodes_have_parents_fields_and_names() {
    let fixture = Fixture::new();
    let source = "use std::fmt::{self, Debug};\nfn go(n: &Vec<u8>) { a::b::call::<u8>(n.len()); warn!(\"x\") }\n";
    insta::assert_snapshot!(nodes(&fixture, source, "rust").await);
}

#[tokio::test]
async fn python_nodes_have_parents_fields_and_names() {
    let fixture = Fixture::new();
    let source = "from ..pkg import a as b\nimport os.path\nclass C(Base):\n    def go(self, n=1):\n        return x.y.call(n)\n";
    insta::assert_snapshot!(nodes(&fixture, source, "py").await);
}

#[tokio::test]
async fn malformed_source_has_error_and_missing_nodes() {
    let fixture = Fixture::new();
    let broken = nodes(&fixture, "fn ok() {}\nfn ) broken { let = ; \nstruct S { a: u8 }\n", "rs").await;
    assert!(broken.contains("| ERROR "), "{broken}");
    let missing = nodes(&fixture, "fn f() { let a = 1 }\n", "rust").await;
    insta::assert_snapshot!(missing);
    for rubbish in ["", "\u{0}\u{0}", "((((((((((", "}}}}", "'''", "\u{1F980}\u{1F980} fn"] {
        nodes(&fixture, rubbish, "rust").await;
        nodes(&fixture, rubbish, "python").await;
    }
}

#[tokio::test]
async fn a_tree_of_any_depth_is_walked() {
    let fixture = Fixture::new();
    let deep = format!("fn f() {{ {}1{} }}", "(".repeat(20_000), ")".repeat(20_000));
    let sql = format!("SELECT cardinality(syntax_nodes('{deep}', 'rust'))");
    let count: usize = fixture.value(&sql).await.parse().unwrap();
    assert!(count >= 1, "{count}");
}

#[tokio::test]
async fn null_content_and_unknown_languages_have_no_nodes() {
    let fixture = Fixture::new();
    let sql = "SELECT id, cardinality(syntax_nodes(content, language)) AS nodes FROM (VALUES \
         (1, 'x = 1', 'python'), (2, NULL, 'python'), (3, 'x = 1', 'cobol'), (4, 'x = 1', NULL), (5, 'x = 1', 'PY') \
         ) AS t (id, content, language) ORDER BY id";
    insta::assert_snapshot!(fixture.rows(sql).await, @r"
    +----+-------+
    | id | nodes |
    +----+-------+
    | 1  | 5     |
    | 2  |       |
    | 3  |       |
    | 4  |       |
    | 5  | 5     |
    +----+-------+
    ");
    assert_eq!(fixture.value("SELECT syntax_nodes('x', NULL) IS NULL").await, "true");
    assert_eq!(fixture.value("SELECT syntax_nodes(NULL, 'rust') IS NULL").await, "true");
    let failure = fixture.failure("SELECT syntax_nodes('x', 'cobol')").await;
    assert!(failure.contains("does not know the language `cobol`"), "{failure}");
    assert!(failure.contains("py, pyi, python, rs, rust"), "{failure}");
}

#[tokio::test]
async fn long_names_are_cut_at_a_character() {
    let fixture = Fixture::new();
    let sql = format!(
        "SELECT max(octet_length(n['name'])) FROM (SELECT unnest(syntax_nodes('fn {}() {{}}', 'rust')) AS n)",
        "é".repeat(500)
    );
    assert_eq!(fixture.value(&sql).await, "256");
}

#[tokio::test]
async fn nodes_of_files_and_of_literals_agree() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.rs", "fn a() {}");
    write(folder.path(), "b.rs", "fn b() { a() }");
    let fixture = Fixture::new();
    fixture.register("files", text_files(folder.path(), &["*.rs"], &[])).await.unwrap();
    let sql = "SELECT count(*) FROM files WHERE \
         (path = 'a.rs' AND syntax_nodes(content, 'rust') = syntax_nodes('fn a() {}', 'rust')) OR \
         (path = 'b.rs' AND syntax_nodes(content, 'rust') = syntax_nodes('fn b() { a() }', 'rust'))";
    assert_eq!(fixture.value(sql).await, "2");
}

#[tokio::test]
async fn a_library_user_can_add_languages() {
    use windlass_base::config::SessionSettings;
    use windlass_engine::function::{Functions, Language, Languages, syntax_nodes};
    use windlass_engine::session::Sessions;
    let snake = Language::new("Snake", tree_sitter_python()).also_known_as("sn").named_by("call", "function");
    let functions = Functions::standard().with_scalar(syntax_nodes(Languages::standard().with(snake)));
    let sessions = Sessions::new(SessionSettings::default(), functions).unwrap();
    let fixture = Fixture { ctx: sessions.context().unwrap(), sessions };
    assert!(nodes(&fixture, "f(x)", "sn").await.contains("| call "));
}

/// A grammar: the one that `Languages` already holds for Python.
fn tree_sitter_python() -> windlass_engine::function::Grammar {
    windlass_engine::function::Languages::standard().get("python").unwrap().grammar().clone()
}

/// These ids are in users' tables: they must never change.
#[tokio::test]
async fn stable_ids_never_change() {
    let fixture = Fixture::new();
    let sql = "SELECT part, id FROM (VALUES \
         ('a, bc', stable_id('a', 'bc')), ('ab, c', stable_id('ab', 'c')), ('abc', stable_id('abc')), \
         ('empty', stable_id('')), ('null', stable_id(NULL)), ('a, null', stable_id('a', NULL)), \
         ('1', stable_id(1)), ('text 1', stable_id('1')), ('true', stable_id(true)), \
         ('1.5', stable_id(CAST(1.5 AS DOUBLE))), ('date', stable_id(DATE '2026-01-02')), \
         ('bytes', stable_id(CAST('abc' AS BYTEA))), ('decimal', stable_id(CAST(12.30 AS DECIMAL(9, 2)))), \
         ('crab', stable_id('src/lib.rs', 12, '🦀')) \
         ) AS t (part, id)";
    insta::assert_snapshot!(fixture.rows(sql).await);
}

#[tokio::test]
async fn stable_ids_of_columns_and_of_literals_agree() {
    let fixture = Fixture::new();
    let batch = super::support::labelled(0..50);
    let table = datafusion::datasource::MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    fixture.ctx.register_table("t", Arc::new(table)).unwrap();
    let sql = "SELECT count(*) FROM t WHERE stable_id('x', id, label) = stable_id('x', 7, 'label 7')";
    assert_eq!(fixture.value(sql).await, "1");
    assert_eq!(fixture.value("SELECT count(DISTINCT stable_id(label, NULL, id)) FROM t").await, "50");
    let failure = fixture.failure("SELECT stable_id()").await;
    assert!(failure.contains("stable_id"), "{failure}");
}
