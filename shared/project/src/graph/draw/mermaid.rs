//! Mermaid flowcharts.

use std::fmt::Write;

use super::{Picture, Shown};

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let mut text = String::from("flowchart LR\n");
    // Names such as `end` are keywords of Mermaid, so nodes are numbered.
    let number = |node: &Shown<'_>| picture.nodes.iter().position(|other| other.name == node.name).unwrap_or_default();
    for node in picture.nodes.iter().filter(|node| node.instance.is_none()) {
        draw_node(&mut text, node, number(node), "  ");
    }
    for (index, (name, nodes)) in picture.instances().into_iter().enumerate() {
        let _ = writeln!(text, "  subgraph s{index} [\"{}\"]", escaped(name));
        for node in nodes {
            draw_node(&mut text, node, number(node), "    ");
        }
        text.push_str("  end\n");
    }
    for (from, to) in &picture.edges {
        let _ = writeln!(text, "  n{from} --> n{to}");
    }
    text.push_str("  classDef source fill:#dbeafe,stroke:#2563eb,color:#0f172a\n");
    text.push_str("  classDef table fill:#dcfce7,stroke:#16a34a,color:#0f172a\n");
    text.push_str("  classDef view fill:#f1f5f9,stroke:#64748b,color:#0f172a,stroke-dasharray:4 3\n");
    text.push_str("  classDef cache fill:#fef3c7,stroke:#d97706,color:#0f172a\n");
    if picture.nodes.iter().any(|node| node.kind == "subdag") {
        text.push_str("  classDef subdag fill:#ede9fe,stroke:#7c3aed,color:#0f172a\n");
    }
    text
}

fn draw_node(text: &mut String, node: &Shown<'_>, number: usize, indent: &str) {
    let label = format!("\"{}<br/><small>{}</small>\"", escaped(node.name), node.caption);
    let shape = match node.kind {
        "source" => format!("[({label})]"),
        "subdag" => format!("[[{label}]]"),
        _ => format!("[{label}]"),
    };
    let _ = writeln!(text, "{indent}n{number}{shape}:::{}", node.kind);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
