//! Where rows come from and where they go: inline rows, tables of other projects, write modes, exports, and loaders and
//! savers that the program brings along.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use deltalake::kernel::{DataType, StructField};
use futures::TryStreamExt;
use parking_lot::Mutex;
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_client::embedded::EmbeddedConfig;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_engine::connectors::{ConnectorRegistry, Fault, LoadRequest, Loaded, Loader, SaveRequest, Saved, Saver};
use windlass_engine::session::{ProviderInput, TableInput};
use windlass_evidence::artifact::{OutputRecord, PlanDecision, ReceiptOutcome, RunRecord, RunStatus};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

use crate::delta_read::tables::{append, array, batch};
use crate::incremental::tables::open;

/// A folder with a home and the parts of the projects in it.
pub(super) struct Lab {
    pub(super) dir: tempfile::TempDir,
    pub(super) windlass: Windlass,
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::with(ConnectorRegistry::standard()).await
    }

    pub(super) async fn with(connectors: ConnectorRegistry) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Location::from_path(&dir.path().join("home")).unwrap();
        let session = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
        let config = EmbeddedConfig { connectors, ..windlass_tests::embedded(home, session) };
        Self { windlass: Windlass::embedded(config).await.unwrap(), dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A table `orders` of ids with days and amounts.
    pub(super) async fn orders(&self, rows: &[(i64, &str, i64)]) {
        let folder = self.path("orders");
        if !folder.exists() {
            fs::create_dir_all(&folder).unwrap();
            let columns = [("id", DataType::LONG), ("day", DataType::STRING), ("amount", DataType::LONG)];
            let columns = columns.map(|(name, of)| StructField::nullable(name, of));
            let create = open(&folder).await.create().with_columns(columns);
            create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
        }
        let columns = vec![
            ("id", array(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            ("day", array(rows.iter().map(|row| Some(row.1)).collect::<StringArray>())),
            ("amount", array(rows.iter().map(|row| row.2).collect::<Int64Array>())),
        ];
        append(&folder, batch(columns), &[]).await;
    }

    pub(super) fn project(&self, files: &[(&str, &str)], target: Option<&str>) -> Project {
        let files: ProjectFiles = files.iter().copied().collect();
        Project::from_files(&files, self.dir.path(), target, &[])
            .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()))
    }

    pub(super) async fn run(&self, project: &Project) -> RunRecord {
        self.windlass.run(project, &RunOptions::default()).await.unwrap().wait().await.unwrap()
    }

    pub(super) async fn succeed(&self, project: &Project) -> RunRecord {
        let record = self.run(project).await;
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        record
    }

    async fn outputs(&self, project: &Project, record: &RunRecord, stage: &str) -> Vec<OutputRecord> {
        let runs = self.windlass.runs(project).await.unwrap();
        runs.bundles.stage(&record.run_id, &stage.into()).await.unwrap().unwrap().outputs
    }

    pub(super) async fn rows(&self, project: &Project, sql: &str) -> String {
        let rows = self.windlass.query(project, sql, &QueryOptions::default()).await.unwrap();
        let batches: Vec<_> = rows.stream().try_collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let lines = text.lines().filter(|line| line.starts_with('|')).skip(1);
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }
}

const SEEDS: &[(&str, &str)] = &[
    (
        "windlass.yaml",
        "name: p\nsources:\n  orders: { kind: delta, location: orders }\n  days:\n    kind: rows\n    columns: { day: string, weight: long }\n    rows: [[mon, 1], [tue, 10]]\n  names: { kind: rows, file: names.csv }\ndefaults: { incremental: strict }\n",
    ),
    ("seeds/names.csv", "id,name\n1,ada\n2,\"bo, the second\"\n"),
    (
        "stages/weighed.sql",
        "/* windlass\nio: { key: [id] }\n*/\nSELECT id, name, amount * weight AS weight FROM orders JOIN days ON orders.day = days.day LEFT JOIN names USING (id)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_project_are_code() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5), (2, "tue", 7)]).await;
    let project = lab.project(SEEDS, None);
    lab.succeed(&project).await;
    let all = "SELECT * FROM weighed ORDER BY id";
    assert_eq!(lab.rows(&project, all).await, "| 1 | ada | 5 |\n| 2 | bo, the second | 70 |\n");
    assert_eq!(lab.rows(&project, "SELECT weight FROM days ORDER BY day").await, "| 1 |\n| 10 |\n");

    // Changes of the table are applied under `strict`; the literal rows next to it do not change by themselves.
    lab.orders(&[(3, "tue", 1)]).await;
    let plan = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.stages[0].decision, PlanDecision::Incremental, "{:?}", plan.stages[0]);
    lab.succeed(&project).await;
    let plan = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.stages[0].decision, PlanDecision::Reuse, "{:?}", plan.stages[0]);

    // Other rows make another definition.
    let mut files = SEEDS.to_vec();
    files[1].1 = "id,name\n1,ada\n2,bo\n3,cy\n";
    let changed = lab.project(&files, None);
    let plan = lab.windlass.plan(&changed, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.stages[0].decision, PlanDecision::Full, "{:?}", plan.stages[0]);
    lab.succeed(&changed).await;
    assert_eq!(lab.rows(&changed, all).await, "| 1 | ada | 5 |\n| 2 | bo | 70 |\n| 3 | cy | 10 |\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_project_is_a_source() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let upstream = [
        ("windlass.yaml", "name: upstream\nsources: { orders: { kind: delta, location: orders } }\n"),
        ("stages/clean.sql", "SELECT id, amount FROM orders"),
    ];
    lab.succeed(&lab.project(&upstream, None)).await;
    let files = [
        ("windlass.yaml", "name: p\nsources: { clean_orders: { kind: project_table, home: home, table: clean } }\n"),
        ("stages/sums.sql", "SELECT sum(amount) AS amount FROM clean_orders"),
    ];
    let project = lab.project(&files, None);
    lab.succeed(&project).await;
    assert_eq!(lab.rows(&project, "SELECT * FROM sums").await, "| 5 |\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_saved_by_key_or_by_partition() {
    let lab = Lab::new().await;
    let project = |query: &str, dataset: &str| {
        let manifest = format!(
            "name: p\nsources: {{ orders: {{ kind: delta, location: orders }} }}\ndatasets: {{ kept: {dataset} }}\n"
        );
        lab.project(&[("windlass.yaml", &manifest), ("stages/kept.sql", query)], None)
    };
    lab.orders(&[(1, "mon", 5), (2, "tue", 7)]).await;
    let all = "SELECT id, day, amount FROM kept ORDER BY id, amount";

    let upsert = "{ mode: upsert, key: [id], location: upserted }";
    let first = project("SELECT * FROM orders", upsert);
    lab.succeed(&first).await;
    let second = project(
        "SELECT id, day, amount * 10 AS amount FROM orders WHERE id > 1 UNION ALL SELECT 9 AS id, 'wed' AS day, 1 AS amount",
        upsert,
    );
    let record = lab.succeed(&second).await;
    assert_eq!(lab.rows(&second, all).await, "| 1 | mon | 5 |\n| 2 | tue | 70 |\n| 9 | wed | 1 |\n");
    let outputs = lab.outputs(&second, &record, "kept").await;
    assert_eq!((outputs.len(), outputs[0].materialization.as_str()), (1, "delta"));
    // The same rows again: there is nothing to do.
    let plan = lab.windlass.plan(&second, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.stages[0].decision, PlanDecision::Reuse);
    // Two rows with one key are refused, and nothing is written.
    let twice = project("SELECT * FROM orders UNION ALL SELECT * FROM orders", upsert);
    assert_eq!(lab.run(&twice).await.status, RunStatus::Failed);
    assert_eq!(lab.rows(&second, all).await, "| 1 | mon | 5 |\n| 2 | tue | 70 |\n| 9 | wed | 1 |\n");

    let by_day = "{ mode: replace_partitions, partition_by: [day], location: by_day }";
    lab.succeed(&project("SELECT * FROM orders", by_day)).await;
    let tuesday = project("SELECT id + 10 AS id, day, amount FROM orders WHERE day = 'tue'", by_day);
    lab.succeed(&tuesday).await;
    assert_eq!(lab.rows(&tuesday, all).await, "| 1 | mon | 5 |\n| 12 | tue | 7 |\n");
    let none = project("SELECT * FROM orders WHERE day = 'sun'", by_day);
    lab.succeed(&none).await;
    assert_eq!(lab.rows(&none, all).await, "| 1 | mon | 5 |\n| 12 | tue | 7 |\n");
}

/// The files in a folder with their content, without folders; for parquet and arrow their size.
pub(super) fn exported(folder: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(folder)
        .map(|files| files.map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect::<Vec<_>>());
    let text = |path: &Path| match path.extension().unwrap_or_default().to_str().unwrap() {
        "csv" | "json" => {
            let text = fs::read_to_string(path).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        }
        _ => String::new(),
    };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.unwrap_or_default().iter().map(|path| (name(path), text(path))).collect()
}

const EXPORTS: &[(&str, &str)] = &[
    (
        "windlass.yaml",
        r"
name: p
sources: { orders: { kind: delta, location: orders } }
datasets:
  totals:
    key: [day]
    exports:
      - { format: csv, location: out/csv, options: { delimiter: ';' } }
      - { format: json, location: out/json }
      - { format: parquet, location: out/parquet }
      - { format: arrow, location: out/arrow }
targets:
  dev:
    sources:
      orders: { kind: rows, columns: { id: long, day: string, amount: long }, rows: [[1, sun, 3]] }
    datasets:
      totals: { location: dev/totals, exports: [{ format: csv, location: dev/out }] }
",
    ),
    ("stages/totals.sql", "SELECT day, sum(amount) AS amount FROM orders GROUP BY day"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_has_several_sinks() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5), (2, "tue", 7)]).await;
    let project = lab.project(EXPORTS, None);
    let record = lab.succeed(&project).await;
    let outputs = lab.outputs(&project, &record, "totals").await;
    let reported: Vec<_> = outputs.iter().map(|output| (output.materialization.as_str(), output.rows)).collect();
    assert_eq!(reported, [("delta", 2), ("csv", 2), ("json", 2), ("parquet", 2), ("arrow", 2)]);
    assert!(outputs.iter().all(|output| output.schema_hash == outputs[0].schema_hash && output.bytes > 0));
    let csv = exported(&lab.path("out/csv"));
    assert_eq!(csv.values().collect::<Vec<_>>(), ["day;amount\nmon;5\ntue;7"]);
    let json = exported(&lab.path("out/json"));
    assert_eq!(json.values().collect::<Vec<_>>(), ["{\"day\":\"mon\",\"amount\":5}\n{\"day\":\"tue\",\"amount\":7}"]);

    // What was exported can be read: as a listing of the next project.
    let files = [
        (
            "windlass.yaml",
            "name: reader\nsources:\n  parquet: { kind: listing, location: out/parquet, format: parquet }\n  arrow: { kind: listing, location: out/arrow, format: arrow }\n",
        ),
        ("stages/both.sql", "/* windlass\nmaterialize: view\n*/\nSELECT * FROM parquet UNION ALL SELECT * FROM arrow"),
    ];
    let reader = lab.project(&files, None);
    assert_eq!(lab.rows(&reader, "SELECT count(*) AS n, sum(amount) AS a FROM both").await, "| 4 | 24 |\n");

    // The next version replaces this one; a lost export is written again although nothing is computed.
    lab.orders(&[(3, "mon", 1)]).await;
    lab.succeed(&project).await;
    assert_eq!(exported(&lab.path("out/csv")).values().collect::<Vec<_>>(), ["day;amount\nmon;6\ntue;7"]);
    fs::remove_dir_all(lab.path("out/json")).unwrap();
    let plan = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.stages[0].decision, PlanDecision::Reuse);
    assert_eq!(plan.stages[0].exports, ["json"]);
    assert!(plan.stages[0].reason.ends_with("the run writes what is missing of its exports: json"), "{plan:?}");
    lab.succeed(&project).await;
    assert_eq!(exported(&lab.path("out/json")).len(), 1);
    let plan = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.stages[0].exports, Vec::<String>::new());

    // A target has other rows, and exports them elsewhere.
    let before = exported(&lab.path("out/csv"));
    let dev = lab.project(EXPORTS, Some("dev"));
    lab.succeed(&dev).await;
    assert_eq!(exported(&lab.path("dev/out")).values().collect::<Vec<_>>(), ["day,amount\nsun,3"]);
    assert_eq!(exported(&lab.path("out/csv")), before);
    assert!(lab.path("dev/totals/_delta_log").exists());
}

/// Squares, as many as the option `count` says.
#[derive(Debug)]
struct Squares;

#[async_trait]
impl Loader for Squares {
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault> {
        let options = &request.custom()?.options;
        let count: i64 = options.get("count").ok_or("say how many: `options: { count: \"10\" }`")?.parse()?;
        let rows = batch(vec![
            ("n", array((0..count).collect::<Int64Array>())),
            ("square", array((0..count).map(|n| n * n).collect::<Int64Array>())),
        ]);
        let provider = Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?);
        let table = TableInput::Provider(ProviderInput::custom(request.name(), provider, &("squares", count))?);
        let content_identity = Some(count.to_string());
        Ok(Loaded { table, kind: "squares".to_owned(), chosen_by: "loaded", pinned: None, content_identity })
    }
}

/// Sums the rows that it is given; the first save fails.
#[derive(Debug, Default)]
struct Sum {
    saves: AtomicU64,
    reported: Mutex<Vec<String>>,
}

#[async_trait]
impl Saver for Sum {
    async fn save(&self, request: SaveRequest) -> Result<Saved, Fault> {
        if self.saves.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err("the first save always fails".into());
        }
        let batches: Vec<_> = request.rows.try_collect().await?;
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        self.reported
            .lock()
            .push(format!("{} v{}: {rows} rows, {:?}", request.dataset, request.version, request.options));
        Ok(Saved { rows: rows as u64, bytes: 0 })
    }
}

const OWN: &[(&str, &str)] = &[
    ("windlass.yaml", "name: p\nsources: { squares: { kind: custom, loader: squares, options: { count: \"5\" } } }\n"),
    (
        "stages/even.sql",
        "/* windlass\nio: { exports: [{ saver: sum, location: out, options: { of: square } }] }\n*/\nSELECT * FROM squares WHERE n % 2 = 0",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_custom_loaders_and_savers() {
    let saver = Arc::new(Sum::default());
    let connectors = ConnectorRegistry::standard().with_loader("squares", Arc::new(Squares));
    let lab = Lab::with(connectors.with_saver("sum", Arc::clone(&saver) as Arc<dyn Saver>)).await;
    let project = lab.project(OWN, None);
    let record = lab.succeed(&project).await;
    assert_eq!(lab.rows(&project, "SELECT * FROM even ORDER BY n").await, "| 0 | 0 |\n| 2 | 4 |\n| 4 | 16 |\n");
    // The save that failed was retried; the table was committed once.
    assert_eq!(saver.saves.load(Ordering::SeqCst), 2);
    assert_eq!(*saver.reported.lock(), ["even v1: 3 rows, {\"of\": \"square\"}"]);
    let receipt = record.stages[0].receipt.as_ref().unwrap();
    assert!(matches!(receipt.outcome, ReceiptOutcome::AlreadyCommitted), "{receipt:?}");
    // Equal identities: there is nothing to do, and nothing is saved twice.
    lab.succeed(&project).await;
    assert_eq!(saver.saves.load(Ordering::SeqCst), 2);
    let mut files = OWN.to_vec();
    files[0].1 = "name: p\nsources: { squares: { kind: custom, loader: squares, options: { count: \"7\" } } }\n";
    let more = lab.project(&files, None);
    lab.succeed(&more).await;
    assert_eq!(saver.reported.lock().last().unwrap(), "even v2: 4 rows, {\"of\": \"square\"}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_loaders_and_savers_are_reported() {
    let lab = Lab::new().await;
    let error = lab.windlass.plan(&lab.project(OWN, None), &RunOptions::default()).await.unwrap_err();
    insta::assert_snapshot!(windlass_base::error::full_message(&error), @"`squares` asks for the loader `squares`, which this program does not have");
    let mut files = OWN.to_vec();
    files[0].1 = "name: p\nsources: { squares: { kind: rows, rows: [{ n: 1 }] } }\n";
    let project = lab.project(&files, None);
    let error = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap_err();
    assert_eq!(error.code().0, "WL0341", "{error}");
    let connectors = ConnectorRegistry::standard().with_loader("squares", Arc::new(Squares));
    let lab = Lab::with(connectors).await;
    files[0].1 = "name: p\nsources: { squares: { kind: custom, loader: squares } }\n";
    let error = lab.windlass.plan(&lab.project(&files, None), &RunOptions::default()).await.unwrap_err();
    let reported = windlass_base::error::full_message(&error);
    assert!(reported.contains("say how many"), "{reported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_project_of_the_page_does_what_the_page_says() {
    const PAGE: &str = include_str!("../../../docs/datasets.md");
    let block = |language: &str| PAGE.split_once(&format!("```{language}\n")).unwrap().1.split_once("```").unwrap().0;
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5), (2, "tue", 7)]).await;
    let manifest = block("yaml").replace("../lake/", "").replace("../share/", "share/");
    let files = [
        ("windlass.yaml", manifest.as_str()),
        ("seeds/names.csv", "id,name\n1,ada\n"),
        ("stages/totals.sql", block("sql")),
    ];
    let project = lab.project(&files, None);
    let record = lab.succeed(&project).await;
    assert_eq!(lab.rows(&project, "SELECT * FROM totals ORDER BY day").await, "| mon | 5 |\n| tue | 70 |\n");
    let outputs = lab.outputs(&project, &record, "totals").await;
    let names: Vec<_> = outputs.iter().map(|output| output.export.as_deref()).collect();
    assert_eq!(names, [None, Some("csv"), Some("bi")]);
    assert_eq!(exported(&lab.path("share/totals")).values().collect::<Vec<_>>(), ["day;amount\nmon;5\ntue;70"]);
    let dev = lab.project(&files, Some("dev"));
    lab.succeed(&dev).await;
    assert_eq!(lab.rows(&dev, "SELECT * FROM totals").await, "| mon | 3 |\n");
}
