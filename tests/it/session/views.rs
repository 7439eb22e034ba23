//! Views and providers, and their records.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use windlass_base::error::Coded;
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::TableVersion;
use windlass_engine::session::{ProviderInput, TableInput};
use windlass_evidence::artifact::TableKind;

use super::support::{Fixture, labelled};

fn provider() -> TableInput {
    let batch = labelled(0..3);
    TableInput::Provider(ProviderInput {
        provider: Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap()),
        kind: TableKind::Delta,
        location: None,
        format: Some("parquet".to_owned()),
        version: Some(TableVersion(7)),
        partition_columns: Vec::new(),
        sort_order: Vec::new(),
        files: Some(1),
        bytes: Some(100),
        files_digest: None,
        scan_identity: ScanIdentity::of(&"a scan").unwrap(),
    })
}

#[tokio::test]
async fn a_view_is_inlined_into_its_reader() {
    let fixture = Fixture::new();
    let provided = fixture.register("things", provider()).await.unwrap();
    assert_eq!(provided.version, Some(TableVersion(7)));
    let sql = "SELECT id, upper(label) AS label FROM things WHERE id > 0";
    let view = fixture.register("loud", TableInput::Sql(sql.to_owned())).await.unwrap();
    assert_eq!(view.kind, TableKind::View);
    let columns: Vec<_> = view.columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str())).collect();
    assert_eq!(columns, [("id", "Int64"), ("label", "Utf8")]);
    insta::assert_snapshot!(fixture.rows("SELECT label FROM loud WHERE id = 2").await, @r"
    +---------+
    | label   |
    +---------+
    | LABEL 2 |
    +---------+
    ");
    let plan = fixture.ctx.state().create_logical_plan("SELECT * FROM loud").await.unwrap();
    let fixed = fixture.register("fixed", TableInput::Plan(plan)).await.unwrap();
    assert_eq!(fixed.columns, view.columns);
    assert_eq!(fixture.value("SELECT count(*) FROM fixed").await, "2");
}

#[tokio::test]
async fn a_name_is_kept_as_written() {
    let fixture = Fixture::new();
    fixture.register("Things", provider()).await.unwrap();
    fixture.register("Things", TableInput::Sql("SELECT 1 AS one".to_owned())).await.unwrap();
    assert_eq!(fixture.value(r#"SELECT one FROM "Things""#).await, "1");
}

#[tokio::test]
async fn a_view_is_one_query() {
    let fixture = Fixture::new();
    for sql in ["CREATE TABLE t AS SELECT 1", "SELECT * FROM nowhere", "SELECT 1; SELECT 2", "SELEC 1"] {
        let error = fixture.register("v", TableInput::Sql(sql.to_owned())).await.unwrap_err();
        assert_eq!(error.code().to_string(), "WL0311", "{sql}: {error}");
    }
}
