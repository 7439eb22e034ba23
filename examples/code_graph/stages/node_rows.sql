/* windlass
description: The nodes of the graph.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.node_row, entity: node, grain: per_node }
*/
SELECT node_id, role AS kind, syntax_kind, name, repo, file_id, start_line, end_line, start_byte, end_byte
FROM syntax
UNION ALL
SELECT
    file_id AS node_id,
    'file' AS kind,
    NULL AS syntax_kind,
    path AS name,
    repo,
    file_id,
    NULL AS start_line,
    NULL AS end_line,
    0 AS start_byte,
    size AS end_byte
FROM files
UNION ALL
SELECT
    repo_id AS node_id,
    'repo' AS kind,
    NULL AS syntax_kind,
    repo AS name,
    repo,
    NULL AS file_id,
    NULL AS start_line,
    NULL AS end_line,
    NULL AS start_byte,
    NULL AS end_byte
FROM repos
