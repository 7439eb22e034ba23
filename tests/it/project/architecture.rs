//! Which crate may depend on which: the rule of ARCHITECTURE.md against what Cargo has resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The direct dependencies of each package, by name.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// The crates of the workspace, each with those that it may depend on.
const RULE: [(&str, &[&str]); 13] = [
    ("base", &[]),
    ("project", &["base"]),
    ("storage", &["base"]),
    ("delta", &["base", "project", "storage"]),
    ("evidence", &["base", "project", "storage"]),
    ("engine", &["base", "project", "storage", "delta", "evidence"]),
    ("api", &["base", "project", "evidence"]),
    ("process", &["base", "storage"]),
    ("scheduler", OF_SHARED),
    ("executor", OF_SHARED),
    ("ui", &["base", "project", "evidence"]),
    ("client", OF_SHARED),
    ("tests", OF_SHARED),
];
/// The crates of shared/ that the other crates may depend on: all.
const OF_SHARED: &[&str] = &["base", "project", "storage", "delta", "evidence", "engine", "api", "process"];
/// The other crates that they may depend on.
const BESIDES: [(&str, &[&str]); 2] =
    [("client", &["scheduler", "executor", "ui"]), ("tests", &["scheduler", "executor", "client"])];
/// The crates that only process texts, and the prefixes of the names of packages that they must not depend on.
const PURE: [&str; 2] = ["windlass-base", "windlass-project"];
const HEAVY: [&str; 6] = ["tokio", "arrow", "datafusion", "object_store", "deltalake", "ballista"];

/// Those of the `edges` between the crates of the workspace that the rule forbids.
fn wrong_edges(edges: &Edges) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, dependencies) in edges {
        let Some(of) = name.strip_prefix("windlass-") else { continue };
        let Some((_, allowed)) = RULE.iter().find(|(of_rule, _)| *of_rule == of) else {
            wrong.push(format!("{name} has no place in the rule"));
            continue;
        };
        let besides = BESIDES.iter().filter(|(behind, _)| *behind == of).flat_map(|(_, besides)| *besides);
        let allowed: BTreeSet<&str> = allowed.iter().chain(besides).copied().filter(|other| *other != of).collect();
        let of_workspace = dependencies.iter().filter_map(|dependency| dependency.strip_prefix("windlass-"));
        let forbidden = of_workspace.filter(|dependency| !allowed.contains(dependency));
        wrong.extend(forbidden.map(|dependency| format!("{name} depends on windlass-{dependency}")));
    }
    wrong
}

/// Every package that `name` depends on, directly or indirectly.
fn reached(edges: &Edges, name: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        for dependency in edges.get(name).into_iter().flatten() {
            if reached.insert(dependency.clone()) {
                open.push(dependency);
            }
        }
    }
    reached
}

/// Those of the `edges` that make a crate heavy that only processes texts.
fn heavy(edges: &Edges) -> Vec<String> {
    let brought = PURE.iter().flat_map(|pure| reached(edges, pure).into_iter().map(move |other| (pure, other)));
    let heavy = brought.filter(|(_, other)| HEAVY.iter().any(|heavy| other.starts_with(heavy)));
    heavy.map(|(pure, other)| format!("{pure} brings {other} along")).collect()
}

/// Cargo's metadata of the workspace, only for the current platform: packages for others were never downloaded.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let version = Command::new(&cargo).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let reported = Command::new(&cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap();
    assert!(reported.status.success(), "{}", String::from_utf8_lossy(&reported.stderr));
    serde_json::from_slice(&reported.stdout).unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().unwrap().iter()
}

/// What the manifests of the workspace declare, for tests and features that are off too.
fn declared(metadata: &Value) -> Edges {
    let members: BTreeSet<&str> = list(metadata, "workspace_members").map(|member| member.as_str().unwrap()).collect();
    let packages = list(metadata, "packages").filter(|package| members.contains(text(package, "id")));
    let edges = packages.map(|package| {
        let dependencies = list(package, "dependencies").map(|dependency| text(dependency, "name").to_owned());
        (text(package, "name").to_owned(), dependencies.collect())
    });
    edges.collect()
}

/// The resolved dependencies of every package, without those that only its tests need.
fn resolved(metadata: &Value) -> Edges {
    let names: BTreeMap<&str, &str> =
        list(metadata, "packages").map(|package| (text(package, "id"), text(package, "name"))).collect();
    let mut edges = Edges::new();
    for node in list(&metadata["resolve"], "nodes") {
        let built_with = list(node, "deps").filter(|dependency| {
            list(dependency, "dep_kinds").any(|kind| kind["kind"].as_str().is_none_or(|kind| kind != "dev"))
        });
        let dependencies = built_with.map(|dependency| names[text(dependency, "pkg")].to_owned());
        // There may be two versions of a package: here they count as one, with the dependencies of both.
        edges.entry(names[text(node, "id")].to_owned()).or_default().extend(dependencies);
    }
    edges
}

#[test]
fn crates_depend_only_on_lower_ones() {
    let metadata = metadata();
    let declared = declared(&metadata);
    assert_eq!(declared.len(), RULE.len(), "{:?}", declared.keys());
    assert_eq!(wrong_edges(&declared), Vec::<String>::new());
    let import_delta = declared.iter().filter(|(_, dependencies)| dependencies.contains("deltalake"));
    let import_delta: Vec<&str> = import_delta.map(|(name, _)| name.as_str()).collect();
    assert_eq!(import_delta, ["windlass-delta", "windlass-tests"]);

    let resolved = resolved(&metadata);
    assert!(reached(&resolved, "windlass-delta").contains("deltalake"));
    assert!(reached(&resolved, "windlass-project").contains("windlass-base"));
    assert_eq!(heavy(&resolved), Vec::<String>::new());
}

/// The packages that the client consists of with these features.
fn of_client(features: &[&str]) -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--package", "windlass-client", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--locked", "--offline", "--no-default-features", "--features", &features.join(","), "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next().map(ToOwned::to_owned)).collect()
}

#[test]
fn a_client_of_a_cluster_contains_neither_servers_nor_tables() {
    const OF_SERVERS: [&str; 5] =
        ["deltalake", "ballista-scheduler", "ballista-executor", "tree-sitter", "opentelemetry"];
    let (remote, embedded) = (of_client(&[]), of_client(&["embedded"]));
    assert!(OF_SERVERS.iter().all(|package| embedded.contains(*package)), "{embedded:?}");
    let brought: Vec<_> = OF_SERVERS.iter().filter(|package| remote.contains(**package)).collect();
    assert_eq!(brought, Vec::<&&str>::new());
}

fn edges(edges: &[(&str, &[&str])]) -> Edges {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    edges.iter().map(|(name, dependencies)| ((*name).to_owned(), owned(dependencies))).collect()
}

#[test]
fn a_planted_dependency_is_found() {
    let good = edges(&[
        ("windlass-project", &["windlass-base", "serde"]),
        ("windlass-client", &["windlass-scheduler", "windlass-engine", "tokio"]),
    ]);
    assert_eq!(wrong_edges(&good), Vec::<String>::new());
    let planted = edges(&[
        ("windlass-base", &["windlass-storage"]),
        ("windlass-evidence", &["windlass-delta"]),
        ("windlass-executor", &["windlass-scheduler"]),
        ("windlass-odds-and-ends", &[]),
    ]);
    let found = [
        "windlass-base depends on windlass-storage",
        "windlass-evidence depends on windlass-delta",
        "windlass-executor depends on windlass-scheduler",
        "windlass-odds-and-ends has no place in the rule",
    ];
    assert_eq!(wrong_edges(&planted), found);
}

#[test]
fn an_indirect_runtime_dependency_is_found() {
    let planted = edges(&[
        ("windlass-base", &["serde"]),
        ("windlass-project", &["windlass-base", "files"]),
        ("files", &["reader"]),
        ("reader", &["tokio", "files"]),
    ]);
    assert_eq!(heavy(&planted), ["windlass-project brings tokio along"]);
}
