/* windlass
description: One row per syntax node
tags: { layer: semantic, kind: table, artifact: cpg_nodes, version: 1 }
io:
  kind: delta
  location: out/cpg_nodes
  mode: append
  partition_by: [repo_id]
  key: [node_id]
  not_null: [node_id, repo_id]
  constraints:
    has_id: node_id <> ''
  properties: { delta.appendOnly: true }
  target_file_size: 64MiB
retries: 0
*/
WITH Languages AS (SELECT * FROM languages WHERE day >= $since),
     named AS (SELECT * FROM Languages)
SELECT n.path AS node_id, 'r' AS repo_id, $label AS label
FROM FILES_CLEAN AS n
JOIN named USING (path)
CROSS JOIN generate_series(1, 3) AS g;
-- the end
