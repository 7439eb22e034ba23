/* windlass
description: Metrics of the graph, one row for each kind of row.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.graph_summary, entity: part, grain: per_dataset_and_part }
*/
SELECT dataset, part, rows FROM cpg_nodes_counts
UNION ALL
SELECT dataset, part, rows FROM cpg_edges_counts
UNION ALL
SELECT dataset, part, rows FROM cpg_props_counts
