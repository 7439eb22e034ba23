//! The style sheet.

/// Light colours, and dark ones if the viewer prefers them.
pub(super) const STYLE: &str = "\
    .page { fill: #ffffff }\n\
    text { fill: #0f172a; text-anchor: middle; font: 11px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }\n\
    .heading { font-size: 15px; font-weight: 600; text-anchor: start }\n\
    .name, .item { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace }\n\
    .name { font-size: 13px }\n\
    .caption { fill: #475569 }\n\
    .edge path { fill: none; stroke: #8492a6; stroke-width: 1.5 }\n\
    .edge .tip { fill: #8492a6; stroke: none }\n\
    .edge:hover path { stroke: #2563eb; stroke-width: 2.5 }\n\
    .shape, .rule { stroke-width: 1.5 }\n\
    .rule { fill: none }\n\
    .mark { fill: none; stroke: #b91c1c; stroke-width: 1.3 }\n\
    .source .shape { fill: #dbeafe } .source .shape, .source .rule { stroke: #2563eb }\n\
    .table .shape { fill: #dcfce7; stroke: #16a34a }\n\
    .view .shape { fill: #f8fafc; stroke: #64748b; stroke-dasharray: 4 3 }\n\
    .cache .shape { fill: #fef3c7; stroke: #d97706 }\n\
    .subdag .shape { fill: #ede9fe } .subdag .shape, .subdag .rule { stroke: #7c3aed }\n\
    .frame rect { fill: none; stroke: #7c3aed; stroke-dasharray: 2 4 }\n\
    .frame text, .legend text { text-anchor: start }\n\
    @media (prefers-color-scheme: dark) {\n\
    .page { fill: #0f172a }\n\
    text { fill: #f1f5f9 }\n\
    .caption { fill: #cbd5e1 }\n\
    .edge path { stroke: #7486a0 }\n\
    .edge .tip { fill: #7486a0 }\n\
    .edge:hover path { stroke: #93c5fd }\n\
    .mark { stroke: #fca5a5 }\n\
    .source .shape { fill: #172554 } .source .shape, .source .rule { stroke: #60a5fa }\n\
    .table .shape { fill: #052e16; stroke: #4ade80 }\n\
    .view .shape { fill: #1e293b; stroke: #94a3b8 }\n\
    .cache .shape { fill: #451a03; stroke: #fbbf24 }\n\
    .subdag .shape { fill: #2e1065 } .subdag .shape, .subdag .rule { stroke: #a78bfa }\n\
    .frame rect { stroke: #a78bfa }\n\
    }\n";
