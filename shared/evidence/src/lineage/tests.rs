use windlass_base::ids::{NodeName, TableVersion};

use super::{Lineage, LineageMap, LineageQuestion, Side};
use crate::artifact::{
    ColumnLineage, ColumnOrigin, ColumnOrigins, ColumnUse, LineageInput, LineageRecord, ReuseVerdict, StageLineage,
};

fn origin(table: &str, column: &str, how: ColumnUse) -> ColumnOrigin {
    ColumnOrigin { table: table.into(), column: column.into(), how }
}

fn columns(of: &[(&str, ColumnOrigin)], rows: Vec<ColumnOrigin>) -> Option<ColumnLineage> {
    let columns = of.iter().map(|(name, origin)| ColumnOrigins { name: (*name).into(), origins: vec![origin.clone()] });
    Some(ColumnLineage { columns: columns.collect(), rows })
}

fn stage(name: &str, inputs: &[(&str, u64)], version: u64, columns: Option<ColumnLineage>) -> StageLineage {
    let input = |(name, version): &(&str, u64)| LineageInput {
        name: (*name).into(),
        version: Some(TableVersion(*version)),
        identity: None,
    };
    StageLineage {
        stage: name.into(),
        inputs: inputs.iter().map(input).collect(),
        code_fingerprint: String::new(),
        plan_fingerprint: String::new(),
        location: format!("/tables/{name}"),
        code_version: "c1".into(),
        reuse: ReuseVerdict::default(),
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        changes: Vec::new(),
        output_version: Some(TableVersion(version)),
        columns,
    }
}

/// orders → clean → totals → report, and customers → totals. The newest run has used `clean` as it was.
fn map() -> LineageMap {
    let clean = columns(&[("amount", origin("orders", "amount", ColumnUse::Identity))], Vec::new());
    let totals = columns(
        &[("total", origin("clean", "amount", ColumnUse::Aggregation))],
        vec![origin("customers", "id", ColumnUse::Join)],
    );
    let report = columns(&[("text", origin("totals", "total", ColumnUse::Transformation))], Vec::new());
    let reused = StageLineage {
        reuse: ReuseVerdict { hit: true, missed: Vec::new() },
        ..stage("clean", &[("orders", 7)], 3, None)
    };
    let mut map = LineageMap::default();
    let newest = vec![
        reused,
        stage("totals", &[("clean", 3), ("customers", 9)], 5, totals),
        stage("report", &[("totals", 5)], 1, report),
    ];
    map.add(&"run-2".into(), LineageRecord { stages: newest });
    assert!(map.is_complete(&"totals".into()) && !map.is_complete(&"clean".into()));
    map.add(&"run-1".into(), LineageRecord { stages: vec![stage("clean", &[("orders", 7)], 3, clean)] });
    assert!(map.is_complete(&"clean".into()));
    map
}

fn ask(table: &str, column: Option<&str>, sides: (bool, bool), depth: Option<u32>) -> Lineage {
    let (upstream, downstream) = sides;
    let column = column.map(ToOwned::to_owned);
    map().trace(&LineageQuestion { table: table.into(), column, upstream, downstream, depth })
}

fn names(lineage: &Lineage, side: Side) -> Vec<&str> {
    lineage.tables.iter().filter(|table| table.side == side).map(|table| table.name.as_str()).collect()
}

#[test]
fn tables_on_both_sides() {
    let all = ask("totals", None, (true, true), None);
    assert_eq!(names(&all, Side::Upstream), ["clean", "customers", "orders"]);
    assert_eq!(names(&all, Side::Downstream), ["report"]);
    assert_eq!(names(&ask("totals", None, (true, true), Some(1)), Side::Upstream), ["clean", "customers"]);
    assert_eq!(names(&ask("totals", None, (false, true), None), Side::Upstream), [""; 0]);
    assert_eq!(names(&ask("orders", None, (true, true), Some(2)), Side::Downstream), ["clean", "totals"]);
}

#[test]
fn versions_and_the_runs_that_made_them() {
    let all = ask("totals", None, (true, true), None);
    let table = |name: &str| all.tables.iter().find(|table| table.name == NodeName::new(name)).unwrap();
    assert_eq!((table("clean").version, table("clean").run_id.clone()), (Some(TableVersion(3)), Some("run-1".into())));
    assert_eq!((table("orders").version, table("orders").run_id.clone()), (Some(TableVersion(7)), None));
    let edges: Vec<String> = all
        .edges
        .iter()
        .map(|edge| {
            let version = |version: Option<TableVersion>| version.map(|version| version.0).unwrap_or_default();
            format!("{}@{} {}@{}", edge.from, version(edge.from_version), edge.to, version(edge.to_version))
        })
        .collect();
    assert_eq!(edges, ["orders@7 clean@3", "totals@5 report@1", "clean@3 totals@5", "customers@9 totals@5"]);
}

#[test]
fn columns_are_followed_by_what_they_are_made_of() {
    let uses = |lineage: &Lineage| -> Vec<String> {
        let column = |edge: &super::ColumnEdge| {
            let to = edge.to_column.as_deref().unwrap_or("*");
            format!("{}.{} {}.{to} {}", edge.from, edge.from_column, edge.to, edge.how.as_str())
        };
        lineage.columns.iter().map(column).collect()
    };
    let up = ask("report", Some("text"), (true, false), None);
    assert_eq!(
        uses(&up),
        [
            "clean.amount totals.total aggregation",
            "customers.id totals.* join",
            "orders.amount clean.amount identity",
            "totals.total report.text transformation"
        ]
    );
    assert_eq!(names(&up, Side::Upstream), ["totals", "clean", "customers", "orders"]);
    // A join key is met, and not followed to the columns of the table.
    let down = ask("customers", Some("id"), (true, true), None);
    assert_eq!(uses(&down), ["customers.id totals.* join"]);
    assert_eq!(names(&down, Side::Downstream), ["totals"]);
}

#[test]
fn what_is_known_can_be_suggested() {
    let map = map();
    assert!(map.contains(&"customers".into()) && !map.contains(&"nothing".into()));
    assert_eq!(map.columns(&"clean".into()), ["amount"]);
    assert_eq!(map.columns(&"customers".into()), ["id"]);
}
