//! The metadata of a project: its tables, columns, lineage and semantic ids, queried with SQL.

use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use windlass_base::error::Coded;
use windlass_client::{Project, QueryOptions, Windlass};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

const PROJECT: &[(&str, &str)] = &[
    (
        "windlass.yaml",
        r"
name: p
sources:
  orders:
    kind: rows
    columns: { id: long, customer: long, amount: double, tags: 'array<string>', day: date }
    rows: []
    tags: { semantic_id: shop.order, entity: order }
  customers: { kind: rows, columns: { id: long, name: string, country: string }, rows: [] }
",
    ),
    (
        "contracts/totals.yaml",
        "columns:\n  name: { type: string, nullable: false, semantic_type: person.name }\n  total: { type: double, description: All of it. }\n  rank: long\nevolution: ignore_extra\n",
    ),
    (
        "stages/named.sql",
        "/* windlass\nmaterialize: view\n*/\nSELECT o.*, upper(c.name) || country AS name FROM orders o JOIN customers c ON o.customer = c.id WHERE o.day > '2020-01-01'",
    ),
    (
        "stages/totals.sql",
        "/* windlass\ntags: { semantic_id: shop.total, version: v2, join_keys: { name: shop.order } }\ncontract: totals\n*/\nWITH sums AS (SELECT name, sum(amount) AS total FROM named GROUP BY name)\nSELECT name, total, CAST(rank() OVER (ORDER BY total) AS BIGINT) AS rank FROM sums",
    ),
    (
        "stages/words.sql",
        "SELECT id, unnest(tags) AS word, 'tag' AS source, (SELECT max(total) FROM totals) AS most FROM named\nUNION ALL\nSELECT id, name AS word, 'name' AS source, 0.0 AS most FROM customers WHERE id IN (SELECT customer FROM orders)",
    ),
];

async fn ask(sql: &str) -> Result<String, windlass_client::ClientError> {
    let dir = tempfile::tempdir().unwrap();
    let files: ProjectFiles = PROJECT.iter().copied().collect();
    let project = Project::from_files(&files, dir.path(), None, &[])
        .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()));
    let home = Location::from_path(&dir.path().join("home")).unwrap();
    let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
    let rows = windlass.query(&project, sql, &QueryOptions::default()).await?;
    let batches: Vec<_> = rows.stream().try_collect().await.unwrap();
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_columns() {
    let tables = ask("SELECT * FROM information_schema.tables ORDER BY table_name").await.unwrap();
    let columns = ask("SELECT * FROM information_schema.columns ORDER BY table_name, ordinal_position").await.unwrap();
    insta::assert_snapshot!(format!("{tables}\n{columns}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_of_columns() {
    let sql = "SELECT table_name, column_name, array_sort(array_agg(from_table || '.' || from_column)) AS made_of \
               FROM information_schema.column_lineage WHERE kind = 'direct' GROUP BY 1, 2 ORDER BY 1, 2";
    insta::assert_snapshot!(ask(sql).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn semantic_ids_joined_with_other_tables() {
    let sql = "SELECT r.semantic_id, r.version, r.contract, r.producer, r.readers, count(c.column_name) AS columns \
               FROM information_schema.semantic_registry AS r \
               LEFT JOIN information_schema.columns AS c ON r.producer = c.table_name GROUP BY ALL ORDER BY 1";
    insta::assert_snapshot!(ask(sql).await.unwrap());
    let error = ask("SELECT * FROM information_schema.column").await.unwrap_err();
    assert_eq!(error.code().0, "WL0361");
    assert!(error.help().unwrap().contains("`columns`"), "{:?}", error.help());
}
