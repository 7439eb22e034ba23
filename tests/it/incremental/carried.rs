//! Rows that one row of an input becomes, found again by that row's key.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_client::embedded::{EmbeddedConfig, local_runs};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_shared::artifact::{PlanText, RunStatus, Strategy};
use windlass_shared::storage::Location;

use super::tables::open;
use crate::delta_read::tables::{append, array, batch};

/// `shelves` calls a key what is none: books share shelves.
const STAGES: [(&str, &str, &str); 4] = [
    ("pages", "key: [id]", "SELECT id, text FROM source"),
    ("shelves", "key: [shelf], incremental: off", "SELECT id % 2 AS shelf, text FROM source"),
    ("words", "key: [page, word]", "SELECT id AS page, unnest(string_to_array(text, ' ')) AS word FROM pages"),
    ("labels", "key: [shelf, word]", "SELECT shelf, unnest(string_to_array(text, ' ')) AS word FROM shelves"),
];

struct Library {
    project: Project,
    windlass: Windlass,
    home: Location,
    source: PathBuf,
}

impl Library {
    async fn new(dir: &Path) -> Self {
        let source = dir.join("source");
        append(&source, pages(&[(1, "a b"), (2, "c d"), (3, "e f"), (4, "g h"), (5, "i j")]), &[]).await;
        let feed = [("delta.enableChangeDataFeed".to_owned(), "true".to_owned())];
        open(&source).await.set_tbl_properties().with_properties(feed.into()).await.unwrap();

        let project = dir.join("project");
        fs::create_dir_all(project.join("stages")).unwrap();
        let manifest = format!(
            "name: library\nsources:\n  source: {{ kind: delta, location: {} }}\ndefaults:\n  incremental: strict\n",
            source.display()
        );
        fs::write(project.join("windlass.yaml"), manifest).unwrap();
        for (name, io, sql) in STAGES {
            let text = format!("/* windlass\nio: {{ {io} }}\n*/\n{sql}\n");
            fs::write(project.join(format!("stages/{name}.sql")), text).unwrap();
        }
        let project = Project::open(&project, None, &[]).unwrap();
        let home = project.home(None).unwrap();
        let config = EmbeddedConfig::new(home.clone(), project.graph.session.clone());
        let windlass = Windlass::embedded(config).await.unwrap();
        Self { project, windlass, home, source }
    }

    /// Runs the pipeline and checks every table against its query. The steps of the two stages that unnest come back,
    /// if they are row by row.
    async fn run(&self) -> [Vec<String>; 2] {
        let record = self.windlass.run(&self.project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        for (name, _, sql) in STAGES {
            let ask = async |sql: String| {
                let rows = self.windlass.query(&self.project, &sql, &Default::default()).await.unwrap();
                pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string()
            };
            let actual = ask(format!("SELECT * FROM {name} ORDER BY 1, 2")).await;
            assert_eq!(actual, ask(format!("SELECT * FROM ({sql}) ORDER BY 1, 2")).await, "{name}");
        }
        let runs = local_runs(&self.home).await.unwrap();
        let steps = async |name: &str| {
            let stage = record.stages.iter().find(|stage| stage.stage.as_str() == name).unwrap();
            if stage.strategy != Some(Strategy::RowWise) {
                return Vec::new();
            }
            let plans = runs.bundles.plan_text(&record.run_id, &name.into(), PlanText::Physical).await;
            let plans = plans.unwrap().unwrap();
            plans.lines().filter_map(|line| line.strip_prefix("-- ")).map(ToOwned::to_owned).collect()
        };
        [steps("words").await, steps("labels").await]
    }
}

fn pages(rows: &[(i64, &str)]) -> datafusion::arrow::array::RecordBatch {
    batch(vec![
        ("id", array(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id)))),
        ("text", array(StringArray::from_iter_values(rows.iter().map(|(_, text)| *text)))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_the_key_that_they_carry_if_it_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path()).await;
    library.run().await;

    let has = |steps: &[String], step: &str| steps.iter().any(|own| own.starts_with(step));
    let check = |[words, labels]: [Vec<String>; 2]| {
        // What the old text had become is not computed again…
        assert!(has(&words, "ambiguous") && !has(&words, "keys"), "{words:?}");
        // … unless a row that did not change has the same key.
        assert!(has(&labels, "ambiguous") && has(&labels, "keys"), "{labels:?}");
    };
    let update = open(&library.source).await.update().with_predicate("id = 3");
    update.with_update("text", "'e k l'").await.unwrap();
    check(library.run().await);

    open(&library.source).await.delete().with_predicate("id = 2").await.unwrap();
    check(library.run().await);

    let update = open(&library.source).await.update().with_predicate("id = 1");
    update.with_update("text", "'m'").await.unwrap();
    append(&library.source, pages(&[(6, "n o"), (7, "p")]), &[]).await;
    check(library.run().await);
    library.windlass.stop().await;
}
