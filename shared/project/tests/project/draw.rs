//! Drawings: exact, deterministic, and safe against any content of descriptions.

use windlass_project::graph::PipelineGraph;
use windlass_project::graph::draw::DrawFormat;

use super::{code_graph, graph_of};

#[test]
fn dot() {
    insta::assert_snapshot!(code_graph().draw(DrawFormat::Dot, None));
}

#[test]
fn mermaid() {
    insta::assert_snapshot!(code_graph().draw(DrawFormat::Mermaid, None));
}

#[test]
fn json() {
    insta::assert_snapshot!(code_graph().draw(DrawFormat::Json, None));
}

#[test]
fn svg() {
    insta::assert_snapshot!(code_graph().draw(DrawFormat::Svg, None));
}

#[test]
fn a_part_of_the_graph() {
    let graph = code_graph();
    let part = graph.select(&["1+cpg_edges"], &[]).unwrap();
    insta::assert_snapshot!(graph.draw(DrawFormat::Dot, Some(&part)));
    let none = graph.select(&["cpg_nodes"], &["cpg_nodes"]).unwrap();
    for format in DrawFormat::NAMES {
        let drawing = graph.draw(format.parse().unwrap(), Some(&none));
        assert!(!drawing.contains("cpg_nodes"), "{drawing}");
    }
}

#[test]
fn names_and_descriptions_are_escaped() {
    let graph = graph_of(&[
        ("windlass.yaml", "name: p"),
        ("stages/end.sql", "/* windlass { description: '</title><script>\"&\\' } */ SELECT 1 AS x"),
    ]);
    let svg = graph.draw(DrawFormat::Svg, None);
    assert!(svg.contains("end: &lt;/title&gt;&lt;script&gt;&quot;&amp;\\"), "{svg}");
    let json: serde_json::Value = serde_json::from_str(&graph.draw(DrawFormat::Json, None)).unwrap();
    assert_eq!(json["nodes"][0]["description"], "</title><script>\"&\\");
    // A node called `end` would end a mermaid block.
    assert!(!graph.draw(DrawFormat::Mermaid, None).contains("\n  end"));
}

/// Forty stages with long names that read one source, and one that reads all of them.
fn wide_graph() -> PipelineGraph {
    let name = |number: usize| format!("the_number_of_orders_per_customer_and_region_{number}");
    let mut files =
        vec![("windlass.yaml".to_owned(), "name: p\nsources: { a: { kind: delta, location: a } }".to_owned())];
    files.extend((0..40).map(|number| (format!("stages/{}.sql", name(number)), "SELECT * FROM a".to_owned())));
    let all: Vec<String> = (0..40).map(|number| format!("SELECT * FROM {}", name(number))).collect();
    files.push(("stages/all_of_them.sql".to_owned(), all.join(" UNION ALL ")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    graph_of(&files)
}

#[test]
fn a_picture_is_at_most_1200_pixels_wide() {
    let svg = wide_graph().draw(DrawFormat::Svg, None);
    let width = svg.split_once(" width=\"").unwrap().1.split_once('"').unwrap().0;
    assert!((800..=1_200).contains(&width.parse::<u32>().unwrap()), "{width}");
    assert!(svg.contains("data flows from top to bottom"), "{svg}");
    assert!(svg.contains(">the_number_o…_and_region_7<"), "{svg}");
    assert!(svg.contains("<title>the_number_of_orders_per_customer_and_region_7</title>"), "{svg}");
}

#[test]
fn quarantines_and_exports_are_marked() {
    let svg = graph_of(&[
        ("windlass.yaml", "name: p\nsources: { a: { kind: delta, location: a } }"),
        (
            "stages/b.sql",
            "/* windlass\n\
             io: { exports: [{ format: parquet, location: out }] }\n\
             expect:\n\
             \x20 - range: { column: x, min: 1 }\n\
             \x20   on_failure: quarantine\n\
             */ SELECT x FROM a",
        ),
    ])
    .draw(DrawFormat::Svg, None);
    assert!(svg.contains(">table, quarantine, export<"), "{svg}");
    // One mark of each at the stage, and one in the legend.
    assert_eq!(svg.matches("class=\"mark\"").count(), 4, "{svg}");
}

#[test]
fn unknown_formats_are_refused() {
    assert_eq!(
        "png".parse::<DrawFormat>().unwrap_err(),
        "`png` is not a drawing format; they are dot, mermaid, svg, json"
    );
}
