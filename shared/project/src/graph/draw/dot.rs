//! Graphviz.

use std::fmt::Write;

use super::{Picture, Shown};

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let mut text = format!("digraph {} {{\n", quoted(picture.graph.name.as_str()));
    text.push_str("  rankdir=LR;\n");
    text.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"monospace\", fillcolor=\"#ffffff\"];\n");
    for node in picture.nodes.iter().filter(|node| node.instance.is_none()) {
        draw_node(&mut text, node, "  ");
    }
    for (name, nodes) in picture.instances() {
        let _ = writeln!(text, "  subgraph {} {{", quoted(&format!("cluster_{name}")));
        let _ = writeln!(text, "    label={}; style=\"rounded,dashed\"; fontname=\"monospace\";", quoted(name));
        for node in nodes {
            draw_node(&mut text, node, "    ");
        }
        text.push_str("  }\n");
    }
    for (from, to) in &picture.edges {
        let (from, to) = (picture.nodes[*from].name, picture.nodes[*to].name);
        let _ = writeln!(text, "  {} -> {};", quoted(from), quoted(to));
    }
    text.push_str("}\n");
    text
}

fn draw_node(text: &mut String, node: &Shown<'_>, indent: &str) {
    let fill = match node.kind {
        "source" => "#dbeafe",
        "table" => "#dcfce7",
        "cache" => "#fef3c7",
        "subdag" => "#ede9fe",
        _ => "#f1f5f9",
    };
    let (name, label) = (quoted(node.name), quoted(&format!("{}\n{}", node.name, node.caption)));
    let _ = writeln!(text, "{indent}{name} [label={label}, fillcolor=\"{fill}\"];");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
