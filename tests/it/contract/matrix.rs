//! Twelve types against twelve, under every policy, as docs/contracts.md says: of queries and of tables.

use std::collections::BTreeSet;

use windlass_base::ids::NodeName;
use windlass_client::RunOptions;

use super::{POLICIES, everything, messages, project, stage, succeed, windlass};
use crate::pages::widens;

/// Types by their names in Delta, and a value of each in SQL.
const TYPES: [(&str, &str); 12] = [
    ("byte", "arrow_cast(1, 'Int8')"),
    ("short", "arrow_cast(1, 'Int16')"),
    ("integer", "arrow_cast(1, 'Int32')"),
    ("long", "arrow_cast(1, 'Int64')"),
    ("float", "arrow_cast(1.5, 'Float32')"),
    ("double", "arrow_cast(1.5, 'Float64')"),
    ("decimal(12,2)", "arrow_cast(1, 'Decimal128(12, 2)')"),
    ("boolean", "true"),
    ("string", "'one'"),
    ("binary", "arrow_cast('one', 'Binary')"),
    ("date", "DATE '2026-01-01'"),
    ("timestamp_ntz", "arrow_cast('2026-01-01T00:00:00', 'Timestamp(Microsecond, None)')"),
];

fn name(from: usize, to: usize) -> String {
    format!("s_{from}_{to}")
}

/// A stage and a contract for every pair that `wanted` asks for: of the type `of_query`, checked against the type
/// `of_contract`.
fn pairs(
    policy: &str,
    version: u32,
    wanted: impl Fn(usize, usize) -> bool,
    types: impl Fn(usize, usize) -> (usize, usize),
) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for from in 0..TYPES.len() {
        for to in (0..TYPES.len()).filter(|to| wanted(from, *to)) {
            let name = name(from, to);
            let (of_query, of_contract) = types(from, to);
            let contract =
                format!("version: {version}\nevolution: {policy}\ncolumns: {{ x: '{}' }}\n", TYPES[of_contract].0);
            files.push((format!("contracts/{name}.yaml"), contract));
            files.push(stage(&name, &name, &format!("SELECT {} AS x", TYPES[of_query].1)));
        }
    }
    files
}

fn named(messages: &[String]) -> BTreeSet<String> {
    messages.iter().map(|message| message.split('`').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_checked_against_their_contracts_before_anything_runs() {
    for policy in POLICIES {
        let dir = tempfile::tempdir().unwrap();
        let windlass = windlass(dir.path()).await;
        let fits = |from: usize, to: usize| from == to || (policy != "exact" && widens(TYPES[from].0, TYPES[to].0));
        let all = project(dir.path(), &pairs(policy, 1, |_, _| true, |from, to| (from, to)));
        let refused = messages(&windlass.plan(&all, &RunOptions::default()).await.unwrap_err());
        let expected: BTreeSet<String> = (0..144)
            .map(|index| (index / 12, index % 12))
            .filter(|(from, to)| !fits(*from, *to))
            .map(|(from, to)| name(from, to))
            .collect();
        assert_eq!(named(&refused), expected, "{policy}");
        assert!(refused.iter().all(|message| message.starts_with("WL1001")));
        assert!(windlass.run(&all, &RunOptions::default()).await.unwrap().wait().await.is_err());
        assert_eq!(everything(&dir.path().join("home/tables")).len(), 0, "a refused project wrote something");

        // The rest create tables with the contracts' types.
        let good = project(dir.path(), &pairs(policy, 1, fits, |from, to| (from, to)));
        succeed(&windlass, &good).await;
        for stage in &good.graph.stages {
            let rows = windlass.query(&good, &format!("SELECT x FROM {}", stage.name), &Default::default()).await;
            let schema = rows.unwrap().schema();
            let columns = windlass_delta::table::contract_columns(&schema).unwrap();
            let contract = &good.graph.stage(&stage.name).unwrap().contract.as_ref().unwrap().value;
            assert_eq!(columns[0].data_type, contract.columns[0].data_type, "{} under {policy}", stage.name);
        }
        windlass.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_unchanged_when_its_next_contract_is_refused() {
    for policy in POLICIES {
        let dir = tempfile::tempdir().unwrap();
        let windlass = windlass(dir.path()).await;
        let before = project(dir.path(), &pairs(policy, 1, |_, _| true, |from, _| (from, from)));
        succeed(&windlass, &before).await;
        let files = everything(&dir.path().join("home/tables"));

        let after = project(dir.path(), &pairs(policy, 2, |_, _| true, |_, to| (to, to)));
        let refused = messages(&windlass.run(&after, &RunOptions::default()).await.unwrap().wait().await.unwrap_err());
        let expected: BTreeSet<String> = (0..144)
            .map(|index| (index / 12, index % 12))
            .filter(|(from, to)| from != to && (policy == "exact" || !widens(TYPES[*from].0, TYPES[*to].0)))
            .map(|(from, to)| name(from, to))
            .collect();
        assert_eq!(named(&refused), expected, "{policy}");
        assert!(refused.iter().all(|message| message.starts_with("WL1002")));
        assert_eq!(everything(&dir.path().join("home/tables")), files, "{policy}");

        // Requesting a full refresh of a table is taken as consent.
        let stage = NodeName::new(name(3, 8));
        let mut options = RunOptions { select: vec![stage.to_string()], ..RunOptions::default() };
        options.refresh.full = vec![stage.to_string()];
        let record = windlass.run(&after, &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status.as_str(), "succeeded", "{:?}", record.stages);
        windlass.stop().await;
    }
}
