//! A scheduler's API on a free port, and projects to send to it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::util::pretty::pretty_format_batches;
use tempfile::TempDir;
use windlass_client::{ConnectOptions, Project, QueryOptions, Windlass};
use windlass_scheduler::Scheduler;
use windlass_scheduler::leadership::Leadership;
use windlass_scheduler::maintain::Turns;
use windlass_scheduler::metrics::ServiceMetrics;
use windlass_scheduler::service::queue::QueueLimits;
use windlass_scheduler::service::{ApiConfig, ApiServer};
use windlass_scheduler::state::MemoryStore;
use windlass_storage::Location;
use windlass_tests::shared_cluster;

/// A scheduler's API, its home and its data in a separate folder.
pub(super) struct Lab {
    pub(super) dir: TempDir,
    pub(super) server: ApiServer,
    pub(super) url: String,
}

/// Limits that a test may lower.
pub(super) struct Limits {
    pub(super) project_bytes: u64,
    pub(super) runs: usize,
    pub(super) queued: usize,
    pub(super) queued_per_pipeline: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { project_bytes: 1024 * 1024, runs: 4, queued: 1000, queued_per_pipeline: 100 }
    }
}

impl Lab {
    pub(super) async fn start(limits: Limits) -> Self {
        let cluster = shared_cluster().await;
        let dir = tempfile::tempdir().unwrap();
        let location = |name: &str| {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            Location::from_path(&folder).unwrap()
        };
        let config = ApiConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            home: location("home"),
            data: location("data"),
            project_limit: limits.project_bytes,
            queue: QueueLimits {
                max_runs: limits.runs,
                max_queued: limits.queued,
                max_queued_per_pipeline: limits.queued_per_pipeline,
            },
        };
        let scheduler = Scheduler {
            sessions: Arc::new(cluster.sessions.clone()),
            engine: cluster.engine.clone(),
            state: Arc::new(MemoryStore::default()),
            turns: Turns::default(),
            leadership: Leadership::default(),
        };
        let metrics = Arc::new(ServiceMetrics::register(&prometheus::Registry::new()).unwrap());
        let server = ApiServer::start(config, Arc::new(scheduler), metrics).await.unwrap();
        let url = format!("http://{}", server.address());
        Self { dir, server, url }
    }

    pub(super) async fn connect(&self) -> Windlass {
        Windlass::connect_with(&self.url, impatient()).await.unwrap()
    }

    /// Puts the data of [`shop`] where relative locations start.
    pub(super) fn land_orders(&self) {
        fs::write(self.dir.path().join("data/orders.csv"), ORDERS).unwrap();
    }

    /// The paths of all files below the home.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("home")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path.display().to_string()),
                }
            }
        }
        found
    }
}

pub(super) fn impatient() -> ConnectOptions {
    ConnectOptions { start: Duration::from_millis(500), away: Duration::from_secs(20) }
}

pub(super) const ORDERS: &str = "id,customer,amount\n1,ada,5\n2,ada,20\n3,bo,30\n4,bo,40\n";

const SHOP: &str = "
name: shop
sources:
  orders: { kind: listing, format: csv, location: orders.csv }
params:
  least: { type: long, default: 0 }
";

/// A project of the given stages over `orders.csv`.
pub(super) fn shop(dir: &Path, stages: &[(&str, &str)]) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), SHOP).unwrap();
    for (name, sql) in stages {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

pub(super) const TOTALS: [(&str, &str); 2] = [
    ("paid", "SELECT id, customer, amount FROM orders WHERE amount >= $least"),
    ("totals", "SELECT customer, sum(amount) AS total FROM paid GROUP BY customer"),
];

/// A stage that takes minutes.
pub(super) const SLOW: [(&str, &str); 2] = [
    ("many", "/* windlass\nmaterialize: view\n*/\nSELECT unnest(range(0, 3000000)) AS n FROM orders"),
    ("slow", "SELECT a.n, count(*) AS c FROM many a JOIN many b ON a.n % 1000 = b.n % 1000 GROUP BY a.n"),
];

/// The rows of a query, as a table.
pub(super) async fn ask(windlass: &Windlass, project: &Project, sql: &str, options: &QueryOptions) -> String {
    let rows = windlass.query(project, sql, options).await.unwrap();
    pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string()
}
