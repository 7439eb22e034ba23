//! Drawings: exact, deterministic, and safe against any content of descriptions.

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

#[test]
fn unknown_formats_are_refused() {
    assert_eq!(
        "png".parse::<DrawFormat>().unwrap_err(),
        "`png` is not a drawing format; they are dot, mermaid, svg, json"
    );
}
