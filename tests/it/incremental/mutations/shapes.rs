//! Queries with every node and every expression that SQL can make, each with changes that matter and with others that do
//! not.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::parts::{Parts, StageFile, base};

/// A query, and changes of it.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// Parts of the query and replacements that can change the rows.
    matters: &'static [(&'static str, &'static str)],
    /// Equivalent replacements.
    same: &'static [(&'static str, &'static str)],
}

/// A placeholder for any number that does not occur in a query otherwise.
const ANY: &str = "{any}";

/// The stage that is one of the shapes.
pub(super) const STAGE: &str = "shaped";

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "rows of literals",
        sql: "SELECT n, t FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'), (7, 'g')) AS v(n, t)",
        matters: &[
            ("(7, 'g')", "({any}, 'g')"),
            ("'g'", "'{any}'"),
            ("(1, 'a'), (2", "(1, NULL), (2"),
            ("(4, 'd'), ", ""),
        ],
        same: &[("AS v(n, t)", "AS w(n, t)"), ("SELECT n, t", "SELECT v.n, v.t"), ("SELECT n", "SELECT n AS n")],
    },
    Shape {
        name: "a series",
        sql: "SELECT o.id, value AS n FROM orders AS o CROSS JOIN generate_series(1, 100, 2) AS g",
        matters: &[("100", "{any}"), ("(1,", "({any},"), (", 2)", ", {any})"), ("generate_series", "range")],
        same: &[("AS g", "AS g2"), ("value AS n", "g.value AS n"), ("100, 2", "99 + 1, 2")],
    },
    Shape {
        name: "a series of days",
        sql: "SELECT value AS day FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-03-01', INTERVAL '1 day')",
        matters: &[
            ("2026-03-01", "2026-03-02"),
            ("1 day", "2 day"),
            ("1 day", "1 month"),
            ("generate_series", "range"),
        ],
        same: &[("SELECT value", "SELECT \"value\""), ("generate_series(TIMESTAMP", "generate_series(timestamp")],
    },
    Shape {
        name: "a series of nothing",
        sql: "SELECT value AS n FROM generate_series(1, NULL)",
        matters: &[("NULL", "{any}")],
        same: &[("value", "\"value\"")],
    },
    Shape {
        name: "nothing read",
        sql: "SELECT 1 AS n, 1.5 AS x, 'a' AS t, true AS b, CAST(NULL AS BIGINT) AS nothing, DATE '2026-01-01' AS d, X'01' AS bytes",
        matters: &[
            ("1 AS n", "{any} AS n"),
            ("1 AS n", "1 AS m"),
            ("1.5", "1.{any}"),
            ("'a'", "'{any}'"),
            ("true", "false"),
            ("CAST(NULL AS", "CAST(1 AS"),
            ("2026-01-01", "2026-01-02"),
            ("X'01'", "X'02'"),
        ],
        same: &[("true", "TRUE"), ("1 AS n", "1 n"), ("1.5", "1.50")],
    },
    Shape {
        name: "zeros",
        sql: "SELECT o.id, CAST(0.0 AS DOUBLE) AS zero FROM orders AS o WHERE o.amount > 0",
        matters: &[("CAST(0.0", "-CAST(0.0"), ("AS DOUBLE", "AS REAL"), ("> 0", "> {any}"), ("0.0", "0.{any}")],
        same: &[("orders AS o", "orders o"), ("CAST(0.0", "cast(0.0")],
    },
    Shape {
        name: "tests of truth",
        sql: "SELECT o.id, (o.amount > 5) IS TRUE AS a, (o.amount > 5) IS NOT TRUE AS b, (o.amount > 5) IS FALSE AS c, \
              (o.amount > 5) IS NOT FALSE AS d, (o.amount > 5) IS UNKNOWN AS e, (o.amount > 5) IS NOT UNKNOWN AS f, \
              o.day IS NULL AS g, o.day IS NOT NULL AS h, NOT (o.amount > 5) AS i, -o.amount AS j FROM orders AS o",
        matters: &[
            ("IS TRUE", "IS FALSE"),
            ("IS TRUE", "IS NOT TRUE"),
            ("IS NOT TRUE", "IS NOT FALSE"),
            ("IS FALSE", "IS UNKNOWN"),
            ("IS NOT FALSE", "IS NOT UNKNOWN"),
            ("IS UNKNOWN", "IS TRUE"),
            ("IS NOT UNKNOWN", "IS UNKNOWN"),
            ("o.day IS NULL", "o.status IS NULL"),
            ("o.day IS NOT NULL", "o.day IS NULL"),
            ("NOT (o.amount > 5)", "(o.amount > 5)"),
            ("-o.amount", "o.amount"),
            ("> 5", "> {any}"),
        ],
        same: &[("NOT (o.amount", "not(o.amount"), ("o.day IS NULL", "(o.day IS NULL)")],
    },
    Shape {
        name: "patterns",
        sql: "SELECT o.id, o.status LIKE 'p%' AS a, o.status NOT LIKE 'o%' AS b, o.status ILIKE 'P%' AS c, \
              o.status !~ 'o.*' AS d, o.status ~* 'P.*' AS e, o.status ~ 'p.*' AS f FROM orders AS o",
        matters: &[
            ("LIKE 'p%'", "LIKE '{any}%'"),
            ("LIKE 'p%'", "NOT LIKE 'p%'"),
            ("LIKE 'p%'", "ILIKE 'p%'"),
            ("ILIKE", "LIKE"),
            ("!~ 'o.*'", "~ 'o.*'"),
            ("~* 'P.*'", "!~* 'P.*'"),
            ("~* 'P.*'", "~ 'P.*'"),
            ("~ 'p.*'", "~ '{any}.*'"),
        ],
        same: &[("o.status LIKE 'p%'", "(o.status LIKE 'p%')"), ("ILIKE", "ilike")],
    },
    Shape {
        name: "choices",
        sql: "SELECT o.id, CASE o.status WHEN 'paid' THEN 1 WHEN 'open' THEN 2 ELSE 3 END AS a, \
              CASE WHEN o.amount BETWEEN 1 AND 9 THEN 'x' END AS b, o.amount NOT BETWEEN 2 AND 8 AS c, \
              o.amount IN (1, 2, 3) AS d, o.amount NOT IN (4, 5, 6) AS e, TRY_CAST(o.status AS BIGINT) AS f FROM orders AS o",
        matters: &[
            ("'open' THEN 2", "'{any}' THEN 2"),
            ("THEN 2", "THEN {any}"),
            (" ELSE 3", ""),
            ("CASE o.status", "CASE o.currency"),
            ("BETWEEN 1 AND 9", "BETWEEN 1 AND {any}"),
            ("BETWEEN 1 AND 9", "NOT BETWEEN 1 AND 9"),
            ("IN (1, 2, 3)", "IN (1, 2, {any})"),
            ("NOT IN (4", "IN (4"),
            ("AS BIGINT", "AS INT"),
            ("TRY_CAST(o.status AS BIGINT)", "CAST(o.status AS BIGINT)"),
        ],
        same: &[("CASE o.status", "CASE (o.status)"), ("AS BIGINT) AS f", "AS bigint) AS f")],
    },
    Shape {
        name: "nested values",
        sql: "SELECT o.id, make_array(1, 2, 3) AS items, named_struct('a', 1, 'b', 'x') AS pair, upper(o.status) AS up, \
              o.day + INTERVAL '1 month' AS later FROM orders AS o",
        matters: &[
            ("2, 3)", "2, {any})"),
            ("'b', 'x'", "'b', '{any}'"),
            ("'b',", "'c',"),
            ("upper", "lower"),
            ("1 month", "1 day"),
        ],
        same: &[("make_array(1, 2, 3)", "[1, 2, 3]"), ("upper", "UPPER")],
    },
    Shape {
        name: "aggregates",
        sql: "SELECT o.customer, count(DISTINCT o.day) AS days, sum(o.amount) FILTER (WHERE o.amount > 5) AS large, \
              first_value(o.amount ORDER BY o.id) AS first, count(*) AS n FROM orders AS o GROUP BY o.customer \
              HAVING count(*) > 0",
        matters: &[
            ("DISTINCT ", ""),
            ("amount > 5", "amount > {any}"),
            (" FILTER (WHERE o.amount > 5)", ""),
            ("ORDER BY o.id)", "ORDER BY o.id DESC)"),
            ("ORDER BY o.id)", "ORDER BY o.day)"),
            ("> 0", "> {any}"),
            ("sum(", "avg("),
            ("AS first", "AS last"),
            ("GROUP BY o.customer", "GROUP BY o.customer, o.status"),
        ],
        same: &[("orders AS o GROUP", "orders o GROUP"), ("GROUP BY o.customer", "GROUP BY customer"), ("> 0", ">0")],
    },
    Shape {
        name: "grouping sets",
        sql: "SELECT o.customer, o.status, count(*) AS n FROM orders AS o GROUP BY GROUPING SETS ((o.customer), (o.status))",
        matters: &[
            ("GROUPING SETS ((o.customer), (o.status))", "ROLLUP (o.customer, o.status)"),
            ("GROUPING SETS ((o.customer), (o.status))", "CUBE (o.customer, o.status)"),
            ("(o.status)", "(o.customer, o.status)"),
            ("(o.status))", "())"),
        ],
        same: &[("GROUPING SETS", "grouping sets")],
    },
    Shape {
        name: "a rollup",
        sql: "SELECT o.customer, o.status, sum(o.amount) AS n FROM orders AS o GROUP BY ROLLUP (o.customer, o.status)",
        matters: &[("ROLLUP", "CUBE"), ("(o.customer, o.status)", "(o.status, o.customer)"), ("sum(", "min(")],
        same: &[("ROLLUP", "rollup"), ("orders AS o", "orders o")],
    },
    Shape {
        name: "a cube",
        sql: "SELECT o.customer, o.status, sum(o.amount) AS n FROM orders AS o GROUP BY CUBE (o.customer, o.status)",
        matters: &[("CUBE", "ROLLUP"), (", o.status)", ")")],
        same: &[("CUBE", "cube")],
    },
    Shape {
        name: "windows",
        sql: "SELECT o.id, sum(o.amount) OVER (PARTITION BY o.customer ORDER BY o.id ROWS BETWEEN 1 PRECEDING AND CURRENT \
              ROW) AS near, lag(o.amount, 1) OVER (ORDER BY o.id) AS before, rank() OVER (ORDER BY o.day) AS place \
              FROM orders AS o",
        matters: &[
            ("1 PRECEDING", "{any} PRECEDING"),
            ("CURRENT ROW", "1 FOLLOWING"),
            ("ROWS BETWEEN", "RANGE BETWEEN"),
            ("PARTITION BY o.customer", "PARTITION BY o.status"),
            ("PARTITION BY o.customer ", ""),
            ("ORDER BY o.id ROWS", "ORDER BY o.id DESC ROWS"),
            ("amount, 1)", "amount, {any})"),
            ("lag(", "lead("),
            ("rank()", "dense_rank()"),
            ("ORDER BY o.day)", "ORDER BY o.day NULLS FIRST)"),
        ],
        same: &[("orders AS o", "orders o"), ("ORDER BY o.day)", "ORDER BY day ASC NULLS LAST)")],
    },
    Shape {
        name: "joins",
        sql: "SELECT o.id, c.name FROM orders AS o JOIN customers AS c ON o.customer = c.id AND o.amount > c.id",
        matters: &[
            ("JOIN", "LEFT JOIN"),
            ("JOIN", "RIGHT JOIN"),
            ("JOIN", "FULL JOIN"),
            ("o.customer = c.id", "o.id = c.id"),
            ("o.amount > c.id", "o.amount > {any}"),
            (" AND o.amount > c.id", ""),
        ],
        same: &[("customers AS c", "customers c"), ("JOIN", "INNER JOIN"), ("o.id, c.name", "o.id, name")],
    },
    Shape {
        name: "half joins",
        sql: "SELECT o.id FROM orders AS o LEFT SEMI JOIN customers AS c ON o.customer = c.id",
        matters: &[("LEFT SEMI", "LEFT ANTI"), ("o.customer = c.id", "o.id = c.id"), ("LEFT SEMI ", "")],
        same: &[("customers AS c", "customers c"), ("LEFT SEMI", "left semi")],
    },
    Shape {
        name: "subqueries",
        sql: "SELECT o.id, (SELECT max(c.id) FROM customers AS c) AS newest FROM orders AS o WHERE o.customer IN (SELECT \
              c.id FROM customers AS c WHERE c.region = 'north') AND EXISTS (SELECT * FROM customers AS c WHERE \
              c.id = o.customer AND c.name <> 'x')",
        matters: &[
            ("max(c.id)", "min(c.id)"),
            ("'north'", "'{any}'"),
            ("o.customer IN", "o.customer NOT IN"),
            ("AND EXISTS", "AND NOT EXISTS"),
            ("c.id = o.customer", "c.id = o.id"),
            ("<> 'x'", "<> '{any}'"),
        ],
        same: &[
            ("(SELECT * FROM customers AS c", "(SELECT 1 FROM customers AS c"),
            ("(SELECT * FROM customers AS c", "(SELECT c.name FROM customers AS c"),
            ("max(c.id) FROM customers AS c)", "max(d.id) FROM customers AS d)"),
        ],
    },
    Shape {
        name: "comparisons with sets",
        sql: "SELECT o.id FROM orders AS o WHERE o.amount > ALL (SELECT c.id FROM customers AS c WHERE c.region = 'north')",
        matters: &[("> ALL", "> ANY"), ("> ALL", "< ALL"), ("'north'", "'{any}'")],
        same: &[("SELECT c.id FROM customers AS c WHERE c.region", "SELECT d.id FROM customers AS d WHERE d.region")],
    },
    Shape {
        name: "a lateral query",
        sql: "SELECT o.id, twice FROM orders AS o CROSS JOIN LATERAL (SELECT o.amount * 2 AS twice) AS l",
        matters: &[("* 2", "* {any}"), ("o.amount *", "o.id *")],
        same: &[("o.id, twice", "o.id, l.twice")],
    },
    Shape {
        name: "unions",
        sql: "SELECT o.id, o.status FROM orders AS o UNION ALL SELECT c.id, c.name FROM customers AS c",
        matters: &[("UNION ALL", "UNION"), ("c.name", "c.region"), ("UNION ALL", "EXCEPT"), ("UNION ALL", "INTERSECT")],
        same: &[("c.id, c.name FROM customers AS c", "id, name FROM customers"), ("UNION ALL", "union all")],
    },
    Shape {
        name: "distinct rows",
        sql: "SELECT DISTINCT o.customer, o.status FROM orders AS o",
        matters: &[("DISTINCT ", ""), ("o.status", "o.currency")],
        same: &[("orders AS o", "orders o")],
    },
    Shape {
        name: "distinct on",
        sql: "SELECT DISTINCT ON (o.customer) o.customer, o.amount FROM orders AS o ORDER BY o.customer, o.id",
        matters: &[
            ("ON (o.customer)", "ON (o.status)"),
            ("o.id", "o.day"),
            (", o.id", ", o.id DESC"),
            ("o.amount", "o.day"),
        ],
        same: &[("orders AS o", "orders o")],
    },
    Shape {
        name: "the first rows",
        sql: "SELECT id FROM (SELECT o.id FROM orders AS o ORDER BY o.amount DESC LIMIT 3 OFFSET 1) AS t",
        matters: &[
            ("LIMIT 3", "LIMIT {any}"),
            ("OFFSET 1", "OFFSET {any}"),
            (" OFFSET 1", ""),
            (" DESC", ""),
            ("o.amount DESC", "o.day DESC"),
            ("DESC LIMIT", "DESC NULLS LAST LIMIT"),
        ],
        same: &[(") AS t", ") AS u"), ("SELECT id", "SELECT t.id"), ("orders AS o", "orders o")],
    },
    Shape {
        name: "unnested lists",
        sql: "SELECT o.id, unnest(make_array(o.id, o.amount, 7)) AS item FROM orders AS o",
        matters: &[("7)", "{any})"), ("o.amount, 7", "7"), ("AS item", "AS one")],
        same: &[("orders AS o", "orders o")],
    },
    Shape {
        name: "a recursive query",
        sql: "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT r.n + 1 FROM r WHERE r.n < 10) SELECT n FROM r",
        matters: &[
            ("< 10", "< {any}"),
            ("SELECT 1 AS n", "SELECT {any} AS n"),
            ("UNION ALL", "UNION"),
            ("r.n + 1", "r.n + 2"),
        ],
        same: &[("SELECT n FROM r", "SELECT s.n FROM r AS s")],
    },
    Shape {
        name: "named queries",
        sql: "WITH a AS (SELECT o.id AS x, o.amount AS y FROM orders AS o), b AS (SELECT x, y FROM a WHERE y > 5) \
              SELECT b.x AS id, b.y AS amount FROM b",
        matters: &[("y > 5", "y > {any}"), ("o.amount AS y", "o.customer AS y"), ("b.y AS amount", "b.y AS total")],
        same: &[
            ("o.amount AS y", "o.amount AS y, o.day AS z"),
            ("SELECT x, y FROM a", "SELECT * FROM a"),
            (" SELECT b.x AS id, b.y AS amount FROM b", " SELECT x AS id, y AS amount FROM b"),
        ],
    },
    Shape {
        name: "parameters",
        sql: "SELECT o.id, $label AS label FROM orders AS o WHERE o.amount IN (1, 2, 3, 4, 5, $least)",
        matters: &[("$least)", "{any})"), ("$label", "'{any}'"), ("5, $least", "5")],
        same: &[("$least)", "3)"), ("$label", "'paid'")],
    },
];

/// The project of one stage that is `sql`.
pub(super) fn project(sql: &str) -> Parts {
    let mut parts = base();
    let stage = StageFile {
        name: STAGE,
        folder: "stages".to_owned(),
        header: Vec::new(),
        io: Vec::new(),
        sql: sql.to_owned(),
        notes: Vec::new(),
    };
    parts.stages = vec![stage];
    parts
}

impl Shape {
    /// The query with one of the changes, and a description of the change.
    fn changed(&self, changes: &[(&str, &str)], random: &mut StdRng) -> (String, String) {
        let (old, new) = *changes.choose(random).unwrap();
        assert!(self.sql.contains(old), "{} has no {old}", self.name);
        let new = new.replace(ANY, &random.random_range(101..100_000).to_string());
        (self.sql.replacen(old, &new, 1), format!("`{old}` becomes `{new}` in {}", self.name))
    }
}

/// `base` with a change of one of the shapes.
pub(super) struct Reshaped {
    pub(super) base: &'static str,
    pub(super) sql: String,
    pub(super) what: String,
}

/// A change that matters, or one that does not.
pub(super) fn reshaped(matters: bool, random: &mut StdRng) -> Reshaped {
    let shape = SHAPES.choose(random).unwrap();
    let (sql, what) = shape.changed(if matters { shape.matters } else { shape.same }, random);
    Reshaped { base: shape.sql, sql, what }
}

/// Every change of every shape, each with whether it matters.
pub(super) fn all(random: &mut StdRng) -> Vec<(bool, Reshaped)> {
    let mut all = Vec::new();
    for shape in SHAPES {
        for (matters, changes) in [(true, shape.matters), (false, shape.same)] {
            all.extend(changes.iter().map(|change| {
                let (sql, what) = shape.changed(&[*change], random);
                (matters, Reshaped { base: shape.sql, sql, what })
            }));
        }
    }
    all
}
