//! Column lineage of many queries: from which columns each column is made, and what decides about its values and rows.

use std::collections::BTreeMap;

use datafusion::arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use windlass_client::{Project, QueryOptions, Windlass};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

const MANIFEST: &str = "\
name: p
sources:
  orders:
    kind: rows
    columns: { id: long, customer: long, amount: double, tags: 'array<string>', day: date }
    rows: []
  customers: { kind: rows, columns: { id: long, name: string, country: string }, rows: [] }
";

/// Queries, and what each says of its columns: the column (`*` for all), its origin and the use.
const CASES: &[(&str, &[&str])] = &[
    ("SELECT id FROM orders", &["id orders.id identity"]),
    ("SELECT id AS number FROM orders", &["number orders.id identity"]),
    (
        "SELECT * FROM customers",
        &["country customers.country identity", "id customers.id identity", "name customers.name identity"],
    ),
    // A float is stored in a form of its own, and a cast changes only the type.
    ("SELECT amount FROM orders", &["amount orders.amount identity"]),
    ("SELECT CAST(id AS VARCHAR) AS text FROM orders", &["text orders.id identity"]),
    ("SELECT amount * 2 AS twice FROM orders", &["twice orders.amount transformation"]),
    ("SELECT amount + id AS both FROM orders", &["both orders.amount transformation", "both orders.id transformation"]),
    ("SELECT 1 AS one FROM orders", &[]),
    ("SELECT column1 AS x FROM (VALUES (1), (2))", &[]),
    (
        "SELECT upper(name) || country AS text FROM customers",
        &["text customers.country transformation", "text customers.name transformation"],
    ),
    (
        "SELECT coalesce(name, country) AS known FROM customers",
        &["known customers.country transformation", "known customers.name transformation"],
    ),
    ("SELECT country IN ('BE', 'NL') AS near FROM customers", &["near customers.country transformation"]),
    // Conditions.
    ("SELECT id FROM orders WHERE day > '2020-01-01'", &["* orders.day filter", "id orders.id identity"]),
    (
        "SELECT CASE WHEN day IS NULL THEN amount ELSE 0 END AS dated FROM orders",
        &["dated orders.amount transformation", "dated orders.day conditional"],
    ),
    (
        "SELECT CASE country WHEN 'NL' THEN name ELSE 'else' END AS place FROM customers",
        &["place customers.country conditional", "place customers.name transformation"],
    ),
    (
        "SELECT id FROM orders WHERE CASE WHEN day IS NULL THEN amount ELSE id END > 1",
        &["* orders.amount filter", "* orders.day filter", "* orders.id filter", "id orders.id identity"],
    ),
    // Aggregates.
    ("SELECT count(*) AS n FROM orders", &[]),
    ("SELECT count(DISTINCT customer) AS n FROM orders", &["n orders.customer aggregation"]),
    (
        "SELECT customer, sum(amount) / 2 AS half FROM orders GROUP BY customer",
        &["* orders.customer group_by", "customer orders.customer identity", "half orders.amount aggregation"],
    ),
    (
        "SELECT upper(country) AS land, count(*) AS n FROM customers GROUP BY upper(country)",
        &["* customers.country group_by", "land customers.country transformation"],
    ),
    (
        "SELECT customer FROM orders GROUP BY customer HAVING sum(amount) > 1",
        &["* orders.amount filter", "* orders.customer group_by", "customer orders.customer identity"],
    ),
    (
        "SELECT count(amount) FILTER (WHERE day > '2020-01-01') AS n FROM orders",
        &["n orders.amount aggregation", "n orders.day filter"],
    ),
    (
        "SELECT array_agg(name ORDER BY id) AS names FROM customers",
        &["names customers.id sort", "names customers.name aggregation"],
    ),
    (
        "SELECT country, name, count(id) AS n FROM customers GROUP BY ROLLUP (country, name)",
        &[
            "* customers.country group_by",
            "* customers.name group_by",
            "country customers.country identity",
            "n customers.id aggregation",
            "name customers.name identity",
        ],
    ),
    ("SELECT DISTINCT country FROM customers", &["* customers.country group_by", "country customers.country identity"]),
    // Joins and subqueries.
    (
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id",
        &["* customers.id join", "* orders.customer join", "id orders.id identity", "name customers.name identity"],
    ),
    (
        "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id AND c.country = 'NL'",
        &[
            "* customers.country join",
            "* customers.id join",
            "* orders.customer join",
            "id orders.id identity",
            "name customers.name identity",
        ],
    ),
    (
        "SELECT o.id AS o, c.id AS c FROM orders o CROSS JOIN customers c",
        &["c customers.id identity", "o orders.id identity"],
    ),
    (
        "SELECT name FROM customers WHERE id IN (SELECT customer FROM orders WHERE amount > 1)",
        &[
            "* customers.id filter",
            "* orders.amount filter",
            "* orders.customer filter",
            "name customers.name identity",
        ],
    ),
    (
        "SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)",
        &["* customers.id filter", "* orders.customer filter", "name customers.name identity"],
    ),
    (
        "SELECT id, (SELECT max(amount) FROM orders WHERE day > '2020-01-01') AS most FROM customers",
        &["id customers.id identity", "most orders.amount aggregation", "most orders.day filter"],
    ),
    (
        "SELECT c.id, (SELECT sum(o.amount) FROM orders o WHERE o.customer = c.id) AS total FROM customers c",
        &[
            "id customers.id identity",
            "total customers.id filter",
            "total orders.amount aggregation",
            "total orders.customer filter",
        ],
    ),
    (
        "SELECT c.name, l.amount FROM customers c CROSS JOIN LATERAL (SELECT amount FROM orders o WHERE o.customer = c.id) AS l",
        &[
            "* customers.id filter",
            "* orders.customer filter",
            "amount orders.amount identity",
            "name customers.name identity",
        ],
    ),
    // A part of the query with the name of a table is not that table.
    ("SELECT id FROM (SELECT customer AS id FROM orders) AS customers", &["id orders.customer identity"]),
    (
        "WITH sums AS (SELECT customer, sum(amount) AS total FROM orders GROUP BY customer) SELECT total FROM sums WHERE total > 1",
        &["* orders.amount filter", "* orders.customer group_by", "total orders.amount aggregation"],
    ),
    (
        "WITH RECURSIVE chain AS (SELECT id, customer FROM orders UNION ALL \
         SELECT chain.id, orders.customer + 1 FROM chain JOIN orders ON chain.customer = orders.id) SELECT id, customer FROM chain",
        &[
            "* orders.customer join",
            "* orders.id join",
            "customer orders.customer identity",
            "customer orders.customer transformation",
            "id orders.id identity",
        ],
    ),
    // Windows.
    (
        "SELECT id, CAST(rank() OVER (PARTITION BY customer ORDER BY amount) AS BIGINT) AS place FROM orders",
        &["id orders.id identity", "place orders.amount window", "place orders.customer window"],
    ),
    (
        "SELECT sum(amount) OVER (PARTITION BY customer) AS running FROM orders",
        &["running orders.amount aggregation", "running orders.customer window"],
    ),
    (
        "SELECT lag(amount) OVER (ORDER BY day) AS earlier FROM orders",
        &["earlier orders.amount transformation", "earlier orders.day window"],
    ),
    (
        "SELECT customer, CAST(rank() OVER (ORDER BY sum(amount)) AS BIGINT) AS place FROM orders GROUP BY customer",
        &["* orders.customer group_by", "customer orders.customer identity", "place orders.amount window"],
    ),
    // Rows of several inputs, several rows of one, and their order.
    (
        "SELECT id, name AS word FROM customers UNION ALL SELECT id, 'order' FROM orders",
        &["id customers.id identity", "id orders.id identity", "word customers.name identity"],
    ),
    (
        "SELECT id FROM customers UNION SELECT customer FROM orders",
        &[
            "* customers.id group_by",
            "* orders.customer group_by",
            "id customers.id identity",
            "id orders.customer identity",
        ],
    ),
    ("SELECT id, unnest(tags) AS tag FROM orders", &["id orders.id identity", "tag orders.tags transformation"]),
    ("SELECT id FROM orders ORDER BY amount LIMIT 3", &["* orders.amount sort", "id orders.id identity"]),
];

/// The lineage of each stage of a project, as lines.
async fn lineage(files: &ProjectFiles) -> BTreeMap<String, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::from_files(files, dir.path(), None, &[])
        .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()));
    let home = Location::from_path(&dir.path().join("home")).unwrap();
    let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
    let sql = "SELECT table_name, coalesce(column_name, '*') || ' ' || from_table || '.' || from_column || ' ' || how, kind \
               FROM information_schema.column_lineage";
    let rows = windlass.query(&project, sql, &QueryOptions::default()).await.unwrap();
    let batches: Vec<_> = rows.stream().try_collect().await.unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for batch in &batches {
        let text = |column: usize, row| array_value_to_string(batch.column(column), row).unwrap();
        for row in 0..batch.num_rows() {
            let line = text(1, row);
            let is_direct = ["identity", "transformation", "aggregation"].iter().any(|how| line.ends_with(how));
            assert_eq!(text(2, row), if is_direct { "direct" } else { "indirect" }, "{line}");
            found.entry(text(0, row)).or_default().push(line);
        }
    }
    windlass.stop().await;
    found.values_mut().for_each(|lines| lines.sort_unstable());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn many_queries() {
    let name = |case: usize| format!("case_{case:02}");
    let stages = CASES.iter().enumerate();
    let stages = stages.map(|(case, (sql, _))| (format!("stages/{}.sql", name(case)), (*sql).to_owned()));
    let all: Vec<(String, String)> =
        std::iter::once(("windlass.yaml".to_owned(), MANIFEST.to_owned())).chain(stages).collect();
    let files: ProjectFiles = all.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let found = lineage(&files).await;
    let mut wrong = String::new();
    for (case, (sql, expected)) in CASES.iter().enumerate() {
        let lines = found.get(&name(case)).cloned().unwrap_or_default();
        if lines != *expected {
            wrong.push_str(&format!("{sql}\n  expected {expected:?}\n  found    {lines:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_origins_of_what_reads_them() {
    let files: ProjectFiles = [
        ("windlass.yaml", MANIFEST),
        ("stages/named.sql", "/* windlass\nmaterialize: view\n*/\nSELECT id, upper(name) AS name FROM customers"),
        ("stages/plain.sql", "SELECT name FROM named WHERE id > 1"),
        ("stages/hidden.sql", "WITH other AS (SELECT id AS name FROM named) SELECT name FROM other"),
    ]
    .into_iter()
    .collect();
    let found = lineage(&files).await;
    assert_eq!(found["named"], ["id customers.id identity", "name customers.name transformation"]);
    assert_eq!(found["plain"], ["* named.id filter", "name named.name identity"]);
    assert_eq!(found["hidden"], ["name named.id identity"]);
}
