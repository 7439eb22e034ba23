//! The versions of the stages' code, as they are judged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray};
use windlass_client::Project;
use windlass_scheduler::home::Home;
use windlass_scheduler::plan::{PlanRequest, plan_run};
use windlass_shared::artifact::Refresh;
use windlass_shared::error::full_message;
use windlass_shared::function::Functions;
use windlass_shared::ids::RunId;
use windlass_shared::session::Sessions;
use windlass_shared::storage::Location;

use crate::delta_read::tables::{append, array, batch};

/// The tables that the mutants read, and how the versions of a project over them are found.
pub(super) struct Versions {
    dir: PathBuf,
}

impl Versions {
    /// Makes the tables below `dir`.
    pub(super) async fn new(dir: &Path) -> Self {
        for name in ["orders", "orders_2"] {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", array(Int64Array::from(vec![1, 2]))),
                ("customer", array(Int64Array::from(vec![1, 1]))),
                ("amount", array(Int64Array::from(vec![5, 6]))),
                ("day", array(Date32Array::from(vec![20_460, 20_461]))),
                ("status", array(StringArray::from(vec!["paid", "open"]))),
                ("currency", array(StringArray::from(vec!["x", "y"]))),
            ];
            append(&dir.join(name), batch(columns), &[]).await;
        }
        for name in ["customers", "customers_2"] {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", array(Int64Array::from(vec![1]))),
                ("name", array(StringArray::from(vec!["ada"]))),
                ("region", array(StringArray::from(vec!["north"]))),
            ];
            append(&dir.join(name), batch(columns), &[]).await;
        }
        for name in ["rates.csv", "rates_2.csv"] {
            fs::write(dir.join(name), "currency,rate\nx,1.5\n").unwrap();
        }
        for name in ["notes", "notes_2"] {
            fs::create_dir(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("one.txt"), "one note").unwrap();
        }
        Self { dir: dir.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The version of every stage that has a table, as a plan of a run says it.
    pub(super) async fn of(&self, project: &Project) -> BTreeMap<String, String> {
        let graph = &project.graph;
        let sessions = Sessions::new(graph.session.clone(), Functions::standard()).unwrap();
        let given: [(String, String); 0] = [];
        let request = PlanRequest {
            graph: Arc::clone(graph),
            base: Location::from_path(&self.dir).unwrap(),
            home: Home::new(Location::from_path(&self.dir.join("home")).unwrap()),
            params: graph.bind_params(&given).unwrap(),
            select: Vec::new(),
            exclude: Vec::new(),
            run: RunId::new("r"),
            refresh: Refresh::default(),
        };
        let plan = plan_run(request, &sessions).await.unwrap_or_else(|error| panic!("{}", full_message(&error)));
        let stages = plan.summary().stages.into_iter();
        stages.map(|stage| (stage.stage.to_string(), stage.code_version)).collect()
    }
}
