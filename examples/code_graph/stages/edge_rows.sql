/* windlass
description: The edges of the graph, from one node to another.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.edge_row, entity: edge, grain: per_edge, join_keys: { src_id: cpg.nodes, dst_id: cpg.nodes } }
*/
SELECT stable_id(kind, src_id, dst_id) AS edge_id, src_id, dst_id, kind, confidence
FROM (
    SELECT coalesce(scope_id, file_id) AS src_id, node_id AS dst_id, 'contains' AS kind, CAST(1 AS DOUBLE) AS confidence
    FROM syntax
    UNION ALL
    SELECT stable_id('repo', repo), file_id, 'contains', 1
    FROM files
    UNION ALL
    SELECT call_id, definition_id, 'calls', confidence
    FROM resolved_calls
    UNION ALL
    SELECT import_id, repo_id, 'imports', confidence
    FROM resolved_imports
)
