//! The code version of a stage: equal as long as the stage, on equal inputs, makes equal rows.
//!
//! ```text
//! plan, plans and conditions of expectations ─canonical→ forms ─┐
//! settings of the table, files, functions, session ─────────────┴→ CodeVersion: a hash of all, and one of each part
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use serde_json::{Value, json};
use windlass_base::code_parts::CodeParts;
use windlass_base::ids::NodeName;
use windlass_delta::cursor::hash_as_version;
use windlass_engine::canonical::{Canonical, Names, PlanDependencies, canonical, canonical_expr, normalize};
use windlass_engine::function::FunctionRecord;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{Registration, TableKind};
use windlass_project::expect::Rule;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::source::SourceKind;
use windlass_project::spec::table::Incremental;
use windlass_project::spec::{ParamValue, StageQuery};

use super::incremental::{first_volatile, volatile_function};
use super::query::{QueryInputs, QuerySession};

/// The form of code versions. Tables that were written under another count as made by another definition, once.
const FORMAT: u32 = 2;

/// A hash of everything about a stage that decides its rows, in 32 hexadecimal digits: the canonical form of its query with
/// views and caches seen through and parameters set, what its table demands of rows and what is expected of them, how files
/// are read, the versions of the functions, and what queries mean in the session. White space, comments, descriptions, tags,
/// the order of keys, names that only the query itself uses, and columns of tables that it does not read are not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeVersion {
    digest: String,
    parts: CodeParts,
    volatile: Option<String>,
}

/// A stage whose code version is asked for.
pub(super) struct StageCode<'c> {
    pub(super) graph: &'c PipelineGraph,
    pub(super) stage: &'c Stage,
    /// What it reads, views and caches seen through.
    pub(super) reads: &'c QueryInputs,
    /// A session that knows all of it.
    pub(super) session: &'c QuerySession,
    pub(super) sessions: &'c Sessions,
    pub(super) params: &'c BTreeMap<String, ParamValue>,
}

impl CodeVersion {
    /// The code version of a stage whose query is `plan` before it is optimized.
    ///
    /// # Errors
    /// The engine's, if the types of the plan do not fit.
    pub(super) async fn of(of: &StageCode<'_>, plan: &LogicalPlan) -> EngineResult<Self> {
        let context = &of.session.context;
        let plan = normalize(plan, &context.state())?;
        let form = canonical(&plan, Names::Outside)?;
        let mut dependencies = form.dependencies().clone();
        let mut volatile = first_volatile(&plan)?.map(|blocker| blocker.to_string());
        let columns = Arc::new(DFSchema::try_from(Arc::clone(plan.schema().inner()))?);
        let expected = of.expectations(&columns, &mut dependencies, &mut volatile).await;
        let constraints = of.constraints(&columns, &mut dependencies);
        if volatile.is_none() {
            volatile = of.opaque(&dependencies);
        }
        let parts = of.parts(&dependencies);
        let settings = &of.stage.table;
        let whole = json!({
            "format": FORMAT,
            "plan": form.digest(),
            "reading": parts.reading,
            "functions": parts.functions,
            "mode": settings.mode,
            "partition_by": settings.partition_by,
            "key": settings.key,
            "not_null": settings.not_null,
            "constraints": constraints,
            "contract": of.stage.contract.as_ref().map(|contract| contract.value.identity()),
            "expect": expected,
            "settings": parts.settings,
            "engine": parts.engine,
        });
        Ok(Self { digest: digest(&whole), parts, volatile })
    }

    /// The version as transactions of the stage's table write it.
    pub fn mark(&self) -> i64 {
        hash_as_version(&self.digest)
    }

    /// 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.digest
    }

    /// What it is made of.
    pub fn parts(&self) -> &CodeParts {
        &self.parts
    }

    /// Why the stage's rows differ from run to run though nothing has changed, if they do.
    pub fn volatile(&self) -> Option<&str> {
        self.volatile.as_deref()
    }
}

impl fmt::Display for CodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digest)
    }
}

impl StageCode<'_> {
    /// What is expected of rows, each with the form of its condition or of the rows that it refers to.
    async fn expectations(
        &self,
        columns: &DFSchemaRef,
        dependencies: &mut PlanDependencies,
        volatile: &mut Option<String>,
    ) -> Vec<Value> {
        let context = &self.session.context;
        let mut expected = Vec::new();
        for expectation in &self.stage.expectations {
            let looked_at = match &expectation.rule {
                Rule::References { to, key, .. } => referred(context, to, key).await,
                rule => rule.condition().map(|text| condition(context, &text, columns)).transpose(),
            };
            // One that does not fit fails the plan, or the run: until then its text tells it.
            let (form, other_every_time) = looked_at.ok().flatten().unzip();
            if let Some(function) = other_every_time.flatten() {
                let name = &expectation.name;
                volatile.get_or_insert_with(|| format!("its expectation `{name}` depends on {function}"));
            }
            expected.push(json!([expectation.rule, expectation.severity, form.as_ref().map(Canonical::digest)]));
            dependencies.extend(form.as_ref());
        }
        expected
    }

    /// What the table demands of each row, with the form of the condition.
    fn constraints(&self, columns: &DFSchemaRef, dependencies: &mut PlanDependencies) -> BTreeMap<String, Value> {
        let constraints = self.stage.table.constraints.iter().map(|(name, text)| {
            let form = condition(&self.session.context, text, columns).ok().map(|(form, _)| form);
            let demanded = json!([text, form.as_ref().map(Canonical::digest)]);
            dependencies.extend(form.as_ref());
            (name.clone(), demanded)
        });
        constraints.collect()
    }

    /// Why equal forms do not promise equal rows, if they do not.
    fn opaque(&self, dependencies: &PlanDependencies) -> Option<String> {
        let known =
            |table: &&String| self.session.registrations.iter().any(|known| known.name.as_str() == table.as_str());
        let unknown =
            dependencies.tables.keys().find(|table| !known(table)).map(|table| format!("the table `{table}`"));
        let what = dependencies.opaque.first().cloned().or(unknown)?;
        Some(format!("{what}: it may give different rows in every run"))
    }

    fn parts(&self, dependencies: &PlanDependencies) -> CodeParts {
        let columns =
            dependencies.tables.iter().map(|(name, columns)| (NodeName::new(name.clone()), digest(&json!(columns))));
        let mut called: BTreeMap<String, Vec<FunctionRecord>> = BTreeMap::new();
        for record in self.sessions.functions().records() {
            if dependencies.functions.contains(&(record.kind, record.name.clone())) {
                called.entry(record.name.clone()).or_default().push(record);
            }
        }
        let used = self.seen_through().chain([self.stage]).flat_map(|stage| &stage.params);
        let given = used.filter_map(|name| Some((name.clone(), digest(&json!(self.params.get(name)?)))));
        CodeParts {
            definition: self.definition(),
            written: self.written_parts(),
            params: given.collect(),
            columns: columns.collect(),
            reading: self.session.registrations.iter().filter_map(|table| self.reading(table)).collect(),
            functions: called.into_iter().map(|(name, records)| (name, digest(&json!(records)))).collect(),
            settings: self.sessions.result_identity().to_string(),
            engine: datafusion::DATAFUSION_VERSION.to_owned(),
            incremental: self.stage.table.incremental != Incremental::Off,
        }
    }

    /// The views and caches between the stage and what it reads, by name.
    fn seen_through(&self) -> impl Iterator<Item = &Stage> {
        self.reads.views.iter().filter_map(|name| self.graph.stage(name))
    }

    /// What the author wrote, without white space and comments.
    fn definition(&self) -> String {
        let written = |stage: &Stage| {
            let contract = stage.contract.as_ref().map(|contract| contract.value.identity());
            json!([stage.name, written(&stage.query), contract])
        };
        let stage = self.stage;
        let settings = &stage.table;
        digest(&json!([
            written(stage),
            self.seen_through().map(written).collect::<Vec<_>>(),
            self.expected(),
            [json!(settings.mode), json!(settings.partition_by), json!(settings.key), json!(settings.not_null)],
            settings.constraints,
        ]))
    }

    /// What the author wrote, part by part: only those that are there.
    fn written_parts(&self) -> BTreeMap<String, String> {
        let of_query = |stage: &Stage| {
            let contract = stage.contract.as_ref().map(|contract| contract.value.identity());
            (digest(&written(&stage.query)), contract)
        };
        let (stage, settings) = (self.stage, &self.stage.table);
        let query = if stage.query.sql().is_some() { "sql" } else { "plan" };
        let (text, contract) = of_query(stage);
        let mut parts = BTreeMap::from([(query.to_owned(), text)]);
        parts.extend(contract.map(|contract| ("contract".to_owned(), digest(&json!(contract)))));
        for view in self.seen_through() {
            parts.insert(format!("view:{}", view.name), digest(&json!(of_query(view))));
        }
        for (name, text) in &settings.constraints {
            parts.insert(format!("constraint:{name}"), digest(&json!(text)));
        }
        let expected = self.expected();
        if !expected.is_empty() {
            parts.insert("expect".to_owned(), digest(&json!(expected)));
        }
        let options = [
            ("mode", json!(settings.mode)),
            ("partition_by", json!(settings.partition_by)),
            ("key", json!(settings.key)),
            ("not_null", json!(settings.not_null)),
        ];
        parts.extend(options.map(|(option, value)| (option.to_owned(), digest(&value))));
        parts
    }

    /// What is expected of rows, as the author wrote it.
    fn expected(&self) -> Vec<Value> {
        let expectations = self.stage.expectations.iter();
        expectations.map(|expectation| json!([expectation.rule, expectation.severity])).collect()
    }

    /// How a table of files is read, and the rows of one that the project holds. Which Delta table is read, and at which
    /// version, is data; which columns files happen to have is told by those that are read.
    fn reading(&self, table: &Registration) -> Option<(NodeName, String)> {
        let said = match (table.kind, self.graph.sources.get(&table.name).map(|source| &source.kind)) {
            (TableKind::Delta | TableKind::View, _) => return None,
            (TableKind::Listing, Some(SourceKind::Listing(source))) => json!([table.location, source]),
            _ => json!(table.scan_identity),
        };
        Some((table.name.clone(), digest(&said)))
    }
}

/// A condition of a row of `columns`: its form, and what of it gives a different result in every run.
fn condition(context: &SessionContext, text: &str, columns: &DFSchemaRef) -> EngineResult<(Canonical, Option<String>)> {
    let condition = context.state().create_logical_expr(text, columns)?;
    Ok((canonical_expr(&condition, columns)?, volatile_function(&condition)?))
}

/// The rows that others are expected to refer to: their form, and what of it gives others in every run.
async fn referred(
    context: &SessionContext,
    to: &NodeName,
    key: &[String],
) -> EngineResult<Option<(Canonical, Option<String>)>> {
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let rows = context.table(to.as_str()).await?.select_columns(&key)?.into_unoptimized_plan();
    let rows = normalize(&rows, &context.state())?;
    let volatile = first_volatile(&rows)?.map(|blocker| blocker.operator);
    Ok(Some((canonical(&rows, Names::Outside)?, volatile)))
}

/// The tokens of a query, keywords in upper case; a plan as it is.
fn written(query: &StageQuery) -> Value {
    let sql = match query {
        StageQuery::Plan(plan) => return json!(blake3::hash(&plan.bytes).to_hex().as_str()),
        StageQuery::Sql(sql) => sql,
    };
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, &sql.text).tokenize() else { return json!(sql.text) };
    let texts = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).map(|token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        other => other.to_string(),
    });
    texts.collect()
}

fn digest(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex()[..32].to_owned()
}
