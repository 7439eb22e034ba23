//! Graphviz.

use std::fmt::Write;

use super::{Picture, caption_of, kind_of};

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let mut text = format!("digraph {} {{\n", quoted(picture.graph.name.as_str()));
    text.push_str("  rankdir=LR;\n");
    text.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"monospace\", fillcolor=\"#ffffff\"];\n");
    for node in &picture.nodes {
        let fill = match kind_of(*node) {
            "source" => "#dbeafe",
            "table" => "#dcfce7",
            "cache" => "#fef3c7",
            _ => "#f1f5f9",
        };
        let name = quoted(node.name().as_str());
        let label = quoted(&format!("{}\n{}", node.name(), caption_of(*node)));
        let _ = writeln!(text, "  {name} [label={label}, fillcolor=\"{fill}\"];");
    }
    for (from, to) in &picture.edges {
        let (from, to) = (picture.nodes[*from].name().as_str(), picture.nodes[*to].name().as_str());
        let _ = writeln!(text, "  {} -> {};", quoted(from), quoted(to));
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
