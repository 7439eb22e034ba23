//! A stage of a project built in code, and its file.

#[cfg(feature = "plans")]
use datafusion::dataframe::DataFrame;
#[cfg(feature = "plans")]
use datafusion::logical_expr::LogicalPlan;
#[cfg(feature = "plans")]
use windlass_engine::codec::logical::encode_plan;
use windlass_project::maintenance::MaintenanceSettings;
use windlass_project::spec::is_name;
use windlass_project::spec::pipeline::DatasetOverride;
#[cfg(feature = "plans")]
use windlass_project::spec::plan_text::{self, ENGINE_VERSION};
use windlass_project::spec::table::{
    Export, Incremental, Materialize, MergeWrite, OnDefinitionChange, TableSettings, WriteMode,
};

use super::BuildError;
use super::maintenance;
use super::yaml::{Map, Yaml};

/// A stage: a query in SQL or a plan of the engine, and its settings.
#[derive(Debug, Clone)]
#[must_use]
pub struct StageBuilder {
    pub(super) name: String,
    body: Body,
    header: Map,
}

#[derive(Debug, Clone)]
enum Body {
    Sql(String),
    #[cfg(feature = "plans")]
    Plan(Box<LogicalPlan>),
}

impl StageBuilder {
    /// A stage that is one query.
    pub fn sql(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { name: name.into(), body: Body::Sql(sql.into()), header: Map::default() }
    }

    /// A stage that is an unoptimized plan over tables with the names of sources and stages, such as one built in a
    /// [`planning_context`](super::planning_context). The providers of its tables make no difference.
    #[cfg(feature = "plans")]
    pub fn plan(name: impl Into<String>, plan: LogicalPlan) -> Self {
        Self { name: name.into(), body: Body::Plan(Box::new(plan)), header: Map::default() }
    }

    /// A stage that is the plan of a data frame, as [`StageBuilder::plan`].
    #[cfg(feature = "plans")]
    pub fn data_frame(name: impl Into<String>, frame: DataFrame) -> Self {
        Self::plan(name, frame.into_unoptimized_plan())
    }

    /// What the stage computes.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.header.set("description", Yaml::text(text));
        self
    }

    /// A tag.
    pub fn tag(mut self, key: &str, value: impl Into<String>) -> Self {
        self.header.enter("tags", key, Yaml::text(value));
        self
    }

    /// What becomes of its rows.
    pub fn materialize(mut self, materialize: Materialize) -> Self {
        self.header.set("materialize", word(materialize));
        self
    }

    /// How often it is retried after an error that may pass.
    pub fn retries(mut self, retries: u32) -> Self {
        self.header.set("retries", Yaml::plain(retries));
        self
    }

    /// Its Delta table. The project's defaults apply to settings that equal [`TableSettings::default`]; its default
    /// properties are added to those of the settings.
    pub fn table(mut self, table: &TableSettings) -> Self {
        self.header.set_map("io", io(table));
        self
    }

    /// Whether its table is updated from the changes of its inputs, overriding the project's default. Call it after
    /// [`StageBuilder::table`].
    pub fn incremental(mut self, incremental: Incremental) -> Self {
        let mut io = self.header.take_map("io");
        io.set("incremental", Yaml::text(incremental.as_str()));
        self.header.set_map("io", io);
        self
    }

    /// How its table is maintained, over what the project says. Call it after [`StageBuilder::table`].
    pub fn maintenance(mut self, settings: &MaintenanceSettings) -> Self {
        let mut io = self.header.take_map("io");
        io.set_map("maintenance", maintenance::of_tables(settings));
        self.header.set_map("io", io);
        self
    }

    /// The file's extension and text. `stem` is the name of the file without it.
    pub(super) fn into_file(self, stem: &str) -> Result<(&'static str, String), BuildError> {
        let mut header = Map::default();
        if stem != self.name {
            header.set("name", Yaml::text(&self.name));
        }
        for (key, value) in self.header.into_entries() {
            header.set(&key, value);
        }
        match self.body {
            Body::Sql(sql) if header.is_empty() => Ok(("sql", sql)),
            Body::Sql(sql) => Ok(("sql", format!("{}{sql}", comment(&header)))),
            #[cfg(feature = "plans")]
            Body::Plan(plan) => {
                let plan =
                    encode_plan(&plan).map_err(|source| BuildError::Plan { stage: self.name.clone(), source })?;
                header.set("reads", Yaml::texts(&plan.reads));
                header.set_texts("params", &plan.params);
                header.set("engine", Yaml::text(ENGINE_VERSION));
                let text = plan_text::write(&plan.bytes);
                Ok(("plan", format!("{}{text}", comment(&header))))
            }
        }
    }

    /// The name as a file name, if it is valid.
    pub(super) fn file_stem(&self) -> Option<&str> {
        is_name(&self.name).then_some(self.name.as_str())
    }
}

/// The header as a comment. Its content cannot end the comment: `*/` can only occur within quotes, where it is escaped.
fn comment(header: &Map) -> String {
    format!("/* windlass\n{}*/\n", header.to_text().replace("*/", "*\\x2F"))
}

/// `table`, `view` or `cache`.
pub(super) fn word(materialize: Materialize) -> Yaml {
    Yaml::text(match materialize {
        Materialize::View => "view",
        Materialize::Table => "table",
        Materialize::Cache => "cache",
    })
}

/// A target's override of a dataset.
pub(super) fn dataset(change: &DatasetOverride) -> Map {
    let mut map = Map::default();
    map.set_some("location", &change.location, |location| Yaml::text(&location.value));
    for (key, value) in &change.properties {
        map.enter("properties", key, Yaml::text(value));
    }
    map.set_some("target_file_size", &change.target_file_bytes, |value| Yaml::plain(value));
    for export in change.exports.iter().flatten() {
        map.push("exports", self::export(export));
    }
    map
}

fn export(export: &Export) -> Yaml {
    let mut fields = Map::default();
    fields.set("name", Yaml::text(&export.name));
    fields.set("saver", Yaml::text(&export.saver));
    fields.set("location", Yaml::text(&export.location));
    for (option, value) in &export.options {
        fields.enter("options", option, Yaml::text(value));
    }
    Yaml::Map(fields)
}

fn io(table: &TableSettings) -> Map {
    let mut io = Map::default();
    io.set_some("location", &table.location, |text| Yaml::text(text));
    if table.mode != WriteMode::default() {
        io.set("mode", Yaml::text(table.mode.as_str()));
    }
    for export in &table.exports {
        io.push("exports", self::export(export));
    }
    io.set_texts("partition_by", &table.partition_by);
    io.set_texts("key", &table.key);
    io.set_texts("not_null", &table.not_null);
    for (name, condition) in &table.constraints {
        io.enter("constraints", name, Yaml::text(condition));
    }
    for (key, value) in &table.properties {
        io.enter("properties", key, Yaml::text(value));
    }
    io.set_some("target_file_size", &table.target_file_bytes, |value| Yaml::plain(value));
    if table.incremental != Incremental::default() {
        io.set("incremental", Yaml::text(table.incremental.as_str()));
    }
    if table.merge != MergeWrite::default() {
        io.set("merge", Yaml::text(table.merge.as_str()));
    }
    if table.on_definition_change != OnDefinitionChange::default() {
        io.set("on_definition_change", Yaml::text(table.on_definition_change.as_str()));
    }
    io
}
