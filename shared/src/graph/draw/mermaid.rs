//! Mermaid flowcharts.

use std::fmt::Write;

use super::{Picture, caption_of, kind_of};
use crate::graph::Node;

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let mut text = String::from("flowchart LR\n");
    for (index, node) in picture.nodes.iter().enumerate() {
        // Names such as `end` are words of mermaid's own, so nodes go by number.
        let label = format!("\"{}<br/><small>{}</small>\"", escaped(node.name().as_str()), caption_of(*node));
        let shape = match node {
            Node::Source(_) => format!("[({label})]"),
            Node::Stage(_) => format!("[{label}]"),
        };
        let _ = writeln!(text, "  n{index}{shape}:::{}", kind_of(*node));
    }
    for (from, to) in &picture.edges {
        let _ = writeln!(text, "  n{from} --> n{to}");
    }
    text.push_str("  classDef source fill:#dbeafe,stroke:#2563eb,color:#0f172a\n");
    text.push_str("  classDef table fill:#dcfce7,stroke:#16a34a,color:#0f172a\n");
    text.push_str("  classDef view fill:#f1f5f9,stroke:#64748b,color:#0f172a,stroke-dasharray:4 3\n");
    text.push_str("  classDef cache fill:#fef3c7,stroke:#d97706,color:#0f172a\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
