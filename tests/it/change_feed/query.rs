//! `table_changes` in SQL, through the client library on an embedded cluster.

use std::fs;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use tempfile::TempDir;
use windlass_base::error::Coded;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};

use super::tables::{append, create};

const PROJECT: &str = "
name: people
sources:
  people: { kind: delta, location: people }
  orders: { kind: listing, format: csv, location: orders.csv }
run: { retries: 0 }
";

const KEPT: &str = "/* windlass
io: { mode: append, properties: { delta.enableChangeDataFeed: \"true\" } }
*/
SELECT id, amount FROM orders";

const SILENT: &str = "/* windlass
io: { properties: { delta.enableChangeDataFeed: \"false\" } }
*/
SELECT id FROM orders";

fn write(dir: &Path) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), PROJECT).unwrap();
    fs::write(dir.join("orders.csv"), "id,amount\n1,5\n2,20\n").unwrap();
    fs::write(dir.join("stages/kept.sql"), KEPT).unwrap();
    fs::write(dir.join("stages/silent.sql"), SILENT).unwrap();
    fs::write(dir.join("stages/seen.sql"), "/* windlass\nmaterialize: view\n*/\nSELECT * FROM people").unwrap();
    Project::open(dir, None, &[]).unwrap()
}

async fn ask(windlass: &Windlass, project: &Project, sql: &str) -> String {
    let rows = windlass.query(project, sql, &QueryOptions::default()).await.unwrap();
    let batches: Vec<RecordBatch> = rows.stream().try_collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_can_be_asked_for_in_sql() {
    let dir = TempDir::new().unwrap();
    let project = write(dir.path());
    let table = append(create(&dir.path().join("people"), &["region"]).await, 0..4).await;
    let (table, _) = table.update().with_predicate("id = 2").with_update("value", "7").await.unwrap();
    table.delete().with_predicate("id = 0").await.unwrap();
    let windlass =
        Windlass::embedded(windlass_tests::embedded(project.home(None).unwrap(), project.graph.session.clone()));
    let windlass = windlass.await.unwrap();
    for _ in 0..2 {
        windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    }

    let both_ends = "SELECT id, region, value, _change_type, _commit_version FROM table_changes('people', 2, 3) \
                     ORDER BY _commit_version, _change_type";
    insta::assert_snapshot!(ask(&windlass, &project, both_ends).await, @r#"
    +----+--------+-------+------------------+-----------------+
    | id | region | value | _change_type     | _commit_version |
    +----+--------+-------+------------------+-----------------+
    | 2  |        | 7     | update_postimage | 2               |
    | 2  |        | 20    | update_preimage  | 2               |
    | 0  | north  |       | delete           | 3               |
    +----+--------+-------+------------------+-----------------+
    "#);
    let to_the_newest =
        "SELECT _commit_version, count(*) AS changes FROM TABLE_CHANGES('people', 0) c GROUP BY 1 ORDER BY 1";
    insta::assert_snapshot!(ask(&windlass, &project, to_the_newest).await, @r#"
    +-----------------+---------+
    | _commit_version | changes |
    +-----------------+---------+
    | 1               | 4       |
    | 2               | 2       |
    | 3               | 1       |
    +-----------------+---------+
    "#);
    let of_a_stage = "WITH new AS (SELECT * FROM table_changes('kept', 2, 2)) \
                      SELECT new.id, kept.amount, new._change_type FROM new JOIN kept USING (id) ORDER BY id, amount";
    insta::assert_snapshot!(ask(&windlass, &project, of_a_stage).await, @r#"
    +----+--------+--------------+
    | id | amount | _change_type |
    +----+--------+--------------+
    | 1  | 5      | insert       |
    | 1  | 5      | insert       |
    | 2  | 20     | insert       |
    | 2  | 20     | insert       |
    +----+--------+--------------+
    "#);

    let mut reported = Vec::new();
    for call in [
        "table_changes('peopel', 1)",
        "table_changes('orders', 1)",
        "table_changes('seen', 1)",
        "table_changes('people')",
        "table_changes('people', 3, 1)",
        "table_changes('people', 1 + 1)",
        "table_changes('people', 1, 9)",
        "table_changes('silent', 0)",
    ] {
        let refused = windlass.query(&project, &format!("SELECT * FROM {call}"), &QueryOptions::default()).await;
        let Err(error) = refused else { panic!("{call} is answered") };
        let failure = error.to_failure();
        let root = dir.path().canonicalize().unwrap();
        let message = failure.message.replace(&root.display().to_string(), "…");
        reported.push(format!("{call}\n  {} {message}", failure.code));
    }
    insta::assert_snapshot!(reported.join("\n"), @r#"
    table_changes('peopel', 1)
      WL0361 the project has no table, source or view `peopel`
    table_changes('orders', 1)
      WL0365 `orders` has no changes to read: it is a source of files, and only Delta tables have a change feed
    table_changes('seen', 1)
      WL0365 `seen` has no changes to read: it is a view, and only Delta tables have a change feed
    table_changes('people')
      WL0363 the query cannot be planned: `table_changes` cannot be called like this: it takes the name of a source or a stage and one or two versions, all written out: table_changes('orders', 3, 7) [WL0363]
    table_changes('people', 3, 1)
      WL0363 the query cannot be planned: `table_changes` is called for the changes of `people` from version 3 to version 1, which is earlier [WL0363]
    table_changes('people', 1 + 1)
      WL0363 the query cannot be planned: `table_changes` cannot be called like this: it takes the name of a source or a stage and one or two versions, all written out: table_changes('orders', 3, 7) [WL0363]
    table_changes('people', 1, 9)
      WL0410 the changes of `people` cannot be read: the changes of the Delta table at `…/people` cannot be read: version 9 is asked for, but the newest version is 3
    table_changes('silent', 0)
      WL0411 the changes of `silent` cannot be read: the changes of the Delta table at `…/.windlass/tables/silent` are not recorded in version 0: its change data feed was off
    "#);
}
