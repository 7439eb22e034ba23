//! Sub-DAGs: expansion, drawing and selection.

use std::fmt::Write;

use windlass_project::graph::draw::DrawFormat;
use windlass_project::graph::{PipelineGraph, check};
use windlass_project::spec::RenderStyle;

use super::graph_of;
use super::pages::subdag_example as example;

fn example_graph() -> PipelineGraph {
    check(&example()).unwrap_or_else(|problems| panic!("{}", problems.render(RenderStyle::default())))
}

/// Every stage as a project would have to write it.
fn written_out(graph: &PipelineGraph) -> String {
    let mut text = String::new();
    for stage in &graph.stages {
        let instance = stage.instance.as_ref().map(|instance| format!(" ({} of {})", instance.name, instance.subdag));
        let reads: Vec<&str> = stage.reads.iter().map(|name| name.as_str()).collect();
        let _ = writeln!(text, "--- {}{}, reads {}", stage.name, instance.unwrap_or_default(), reads.join(", "));
        let _ = writeln!(text, "{:?} key {:?} params {:?}", stage.tags.0, stage.table.key, stage.params);
        let _ = writeln!(text, "{}", stage.query.sql().unwrap().text);
    }
    text
}

#[test]
fn the_example_of_the_page() {
    let graph = example_graph();
    let names: Vec<&str> = graph.stages.iter().map(|stage| stage.name.as_str()).collect();
    for name in ["shop_clean", "shop_totals", "web_clean", "web_totals"] {
        assert!(names.contains(&name), "{names:?}");
    }
    insta::assert_snapshot!(written_out(&graph));
}

#[test]
fn expansion_is_the_same_every_time() {
    assert_eq!(written_out(&example_graph()), written_out(&example_graph()));
}

#[test]
fn parameters_of_every_type_are_literals_in_sql_and_texts_in_yaml() {
    let graph = graph_of(&[
        (
            "windlass.yaml",
            r#"
name: p
params: { late: { type: date } }
sources: { items: { kind: delta, location: items } }
subdags:
  s:
    inputs: { rows: items }
    params:
      text: "it's $$5; -- \"x\""
      long: -3
      byte: 7
      double: 0.1
      flag: true
      day: "2026-01-31"
      moment: "2026-01-31T12:00:00Z"
      local: "2026-01-31T12:00:00"
      price: 1.50
      late: $late
      column: Order
      columns: [a, "b c"]
"#,
        ),
        (
            "subdags/s.yaml",
            r#"
params:
  text: { type: string }
  long: { type: long }
  byte: { type: byte }
  double: { type: double }
  flag: { type: boolean }
  day: { type: date }
  moment: { type: timestamp }
  local: { type: timestamp_ntz }
  price: { type: "decimal(9,2)" }
  late: { type: date }
  column: { type: name }
  columns: { type: names }
inputs: [rows]
outputs: [all]
"#,
        ),
        (
            "subdags/s/all.sql",
            r#"/* windlass
description: $text, ${long} and $day of $instance; not $$long
tags: { kind: $flag, artifact: "${byte}x" }
io: { key: [$columns, id] }
*/
SELECT r.$column, $columns, $text AS t, $long AS l, $byte AS b, $double AS d, $flag AS f, $day AS y, $moment AS m,
    $local AS n, $price AS p, '$text' AS as_it_is -- $text
FROM rows AS r, (SELECT rows.id FROM rows) AS x
WHERE day > $late
"#,
        ),
    ]);
    let stage = &graph.stages[0];
    insta::assert_snapshot!(format!("{}\n{}", stage.description.as_deref().unwrap(), written_out(&graph)));
}

const NESTED: &[(&str, &str)] = &[
    (
        "windlass.yaml",
        r"
name: p
sources:
  a: { kind: delta, location: a }
  b: { kind: delta, location: b }
subdags:
  both:
    use: pair
    params: { key: id }
    inputs: { left: a, right: b }
    outputs: { joined: pairs }
  more:
    use: pair
    over: [{ key: x, least: 5 }, { key: y }]
    inputs: { left: pairs, right: a }
",
    ),
    (
        "subdags/pair.yaml",
        r"
params: { key: { type: name }, least: 1 }
inputs: [left, right]
outputs: [joined]
subdags:
  side:
    use: tidy
    over: { which: [left, right] }
    inputs: { rows: $which }
    params: { column: $key, least: $least }
    outputs: { tidied: tidy_$which }
",
    ),
    ("subdags/pair/joined.sql", "SELECT * FROM tidy_left JOIN tidy_right AS r ON tidy_left.$key = r.$key"),
    (
        "subdags/tidy.yaml",
        r"
params: { column: { type: name }, least: { type: long }, which: { type: string } }
inputs: [rows]
outputs: [tidied]
pipes:
  tidied:
    input: known
    materialize: view
    tags: { side: $which }
    steps:
      - large: SELECT * FROM previous WHERE $column >= $least
      - named: |
          SELECT large.*, $which AS side
          FROM large
",
    ),
    (
        "subdags/tidy/known.sql",
        "/* windlass\nmaterialize: view\n*/\nWITH rows AS (SELECT * FROM rows) SELECT * FROM rows WHERE $column IS NOT NULL",
    ),
];

#[test]
fn sub_dags_use_sub_dags() {
    insta::assert_snapshot!(written_out(&graph_of(NESTED)));
}

#[test]
fn instances_are_drawn_expanded_or_folded() {
    let graph = example_graph();
    let mut drawings = String::new();
    for format in [DrawFormat::Dot, DrawFormat::Mermaid] {
        drawings.push_str(&graph.draw(format, None));
        drawings.push_str(&graph.draw_folded(format));
    }
    drawings.push_str(&graph.draw_folded(DrawFormat::Json));
    insta::assert_snapshot!(drawings);
    let svg = graph_of(NESTED).draw_folded(DrawFormat::Svg);
    assert!(svg.contains(">more_x<") && svg.contains(">5 stages of pair<") && !svg.contains("tidy"), "{svg}");
}

#[test]
fn a_picture_shows_what_a_folded_instance_makes_and_frames_one_that_is_not() {
    let graph = example_graph();
    let folded = graph.draw_folded(DrawFormat::Svg);
    for text in [">orders_shop<", ">2 stages of cleaned<", ">shop_clean<", ">shop_totals<"] {
        assert!(folded.contains(text), "{text}: {folded}");
    }
    assert!(folded.contains("<title>orders_web: web_clean, web_totals</title>"), "{folded}");
    assert!(!folded.contains("class=\"frame\""), "{folded}");
    let unfolded = graph.draw(DrawFormat::Svg, None);
    assert_eq!(unfolded.matches("class=\"frame\"").count(), 2, "{unfolded}");

    let tables: Vec<(String, &str)> =
        (1..=8).map(|number| (format!("subdags/many/t{number}.sql"), "SELECT * FROM rows")).collect();
    let mut files = vec![
        (
            "windlass.yaml",
            "name: p\nsources: { a: { kind: delta, location: a } }\nsubdags:\n  many: { inputs: { rows: a } }\n",
        ),
        ("subdags/many.yaml", "inputs: [rows]\noutputs: [t8]\n"),
    ];
    files.extend(tables.iter().map(|(path, text)| (path.as_str(), *text)));
    let folded = graph_of(&files).draw_folded(DrawFormat::Svg);
    // The only output has the name of the instance.
    for text in [">many<", ">many__t5<", ">+ 2 more<"] {
        assert!(folded.contains(text), "{text}: {folded}");
    }
    assert!(!folded.contains(">many__t6<"), "{folded}");
}

#[test]
fn an_instance_that_would_be_in_a_cycle_is_not_folded() {
    let graph = graph_of(&[
        (
            "windlass.yaml",
            "name: p\nsources: { a: { kind: delta, location: a } }\nsubdags:\n  two: { inputs: { first: a, second: between } }\n",
        ),
        ("subdags/two.yaml", "inputs: [first, second]\noutputs: [one, other]\n"),
        ("subdags/two/one.sql", "SELECT * FROM first"),
        ("subdags/two/other.sql", "SELECT * FROM second"),
        ("stages/between.sql", "SELECT * FROM two_one"),
    ]);
    let folded = graph.draw_folded(DrawFormat::Mermaid);
    assert!(folded.contains("two_one") && folded.contains("two_other") && !folded.contains("[["), "{folded}");
}

#[test]
fn instances_are_selected() {
    let graph = graph_of(NESTED);
    let select = |text: &str| -> Vec<String> {
        let found = graph.select(&[text.to_owned()], &[]).unwrap();
        graph
            .stages
            .iter()
            .map(|stage| stage.name.to_string())
            .filter(|name| found.iter().any(|found| found.as_str() == name))
            .collect()
    };
    assert_eq!(select("subdag:pair").len(), 15);
    assert_eq!(select("subdag:more_x").len(), 5);
    assert_eq!(select("subdag:both__side_left"), ["both__side_left__known", "both__tidy_left"]);
    assert_eq!(select("subdag:tidy,*left*").len(), 6);
    let problems = graph.select(&["subdag:pare".to_owned()], &[]).unwrap_err();
    assert!(problems.to_string().contains("WL0212"), "{problems}");
    assert!(problems.iter().next().unwrap().help.as_ref().unwrap().contains("`pair`"));
}

/// The position in an expanded query that an engine's error reports is mapped to the author's file.
#[test]
fn positions_in_expanded_queries_are_mapped_back() {
    let graph = example_graph();
    for (stage, word, file, line) in
        [("web_clean", "max", "subdags/cleaned.yaml", 19), ("shop_totals", "sum", "subdags/cleaned/totals.sql", 7)]
    {
        let stage = graph.stages.iter().find(|found| found.name.as_str() == stage).unwrap();
        let sql = &stage.query.sql().unwrap().text;
        let (row, text) = sql.lines().enumerate().find(|(_, text)| text.contains(word)).unwrap();
        let column = text[..text.find(word).unwrap()].chars().count() + 1;
        let found = graph.position_in_sql(stage, row + 1, column);
        assert_eq!((found.file.as_str(), found.line), (file, line));
        let files = example();
        let original = files.get(file).unwrap().lines().nth(line - 1).unwrap();
        let rest: String = original.chars().skip(found.column - 1).collect();
        assert!(rest.starts_with(word), "{rest}");
    }
}
